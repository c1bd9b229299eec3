// The keyboard: what each key does, registered by whoever is on the screen.

import { useEffect, useRef } from "react";

/** Whether somebody is writing, so that letters are letters. */
export function isWriting(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

export type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>;

/** What keys do while a component is there; a dialog takes them all for itself. */
export function useKeys(keys: Keys, on = true): void {
  const latest = useRef(keys);
  useEffect(() => {
    latest.current = keys;
  });
  useEffect(() => {
    if (!on) return;
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isWriting(event.target) || document.querySelector("dialog[open]")) return;
      const act = latest.current[event.key];
      if (!act) return;
      // A button that has the focus is pressed by these.
      const target = event.target as HTMLElement;
      if ((event.key === "Enter" || event.key === " ") && target.closest("a,button,summary")) return;
      event.preventDefault();
      act(event);
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, [on]);
}

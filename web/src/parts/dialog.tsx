import { type ReactNode, useEffect, useRef } from "react";

/** What stands before everything else. The browser keeps the focus in it, and gives it back. */
export function Dialog(props: {
  title: string;
  onClose(): void;
  children: ReactNode;
  className?: string;
  bare?: boolean;
}) {
  const { onClose } = props;
  const place = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = place.current;
    if (!dialog || dialog.open) return;
    dialog.showModal();
    // Whoever opened it came to fill something in, or to say yes.
    const field = dialog.querySelector<HTMLElement>('textarea, input:not([type="checkbox"]), select');
    (field ?? dialog.querySelector<HTMLElement>("footer button:last-child"))?.focus();
  }, []);
  return (
    <dialog
      ref={place}
      className={`dialog ${props.className ?? ""}`}
      aria-label={props.title}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === place.current) onClose();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.preventDefault();
          event.stopPropagation();
          onClose();
        }
      }}
    >
      {!props.bare && (
        <header className="flex h-10 items-center justify-between border-b border-line pl-4 pr-1">
          <h2 className="label strong">{props.title}</h2>
          <button type="button" className="button plain" onClick={onClose}>
            <span className="sr">Close</span>
            <kbd className="key" aria-hidden="true">
              esc
            </kbd>
          </button>
        </header>
      )}
      {props.children}
    </dialog>
  );
}

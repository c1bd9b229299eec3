// Asking before something weighty: what it does, what follows, and why.

import { useMutation } from "@tanstack/react-query";
import { cloneElement, type FormEvent, isValidElement, type ReactNode, useId, useState } from "react";
import { queryClient } from "../api/queries";
import { Refusal } from "./basics";
import { Dialog } from "./dialog";

export interface Ask {
  title: string;
  /** What is true once it is done. */
  consequence: ReactNode;
  /** What the button says. */
  verb: string;
  danger?: boolean;
  /** Whether the command takes a reason. */
  reason?: "none" | "may" | "must";
  /** More to be filled in. */
  fields?: ReactNode;
  wide?: boolean;
  run(reason: string, form: FormData): Promise<unknown>;
  done?(answer: unknown): void;
}

export function Confirm({ ask, onClose }: { ask: Ask; onClose(): void }) {
  const [reason, setReason] = useState("");
  const asksReason = ask.reason === "may" || ask.reason === "must";
  const run = useMutation({
    mutationFn: (form: FormData) => ask.run(reason.trim(), form),
    onSuccess: (answer) => {
      void queryClient.invalidateQueries({ queryKey: ["of"] });
      onClose();
      ask.done?.(answer);
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    run.mutate(new FormData(event.currentTarget));
  };
  return (
    <Dialog
      title={ask.title}
      onClose={onClose}
      className={`${ask.danger ? "danger" : ""} ${ask.wide ? "wide" : ""}`}
    >
      <form onSubmit={submit} className="flex flex-col gap-3 p-4">
        <div>{ask.consequence}</div>
        {ask.fields}
        {asksReason && (
          <label className="flex flex-col gap-1">
            <span className="label">{ask.reason === "must" ? "Reason" : "Reason (kept in the audit)"}</span>
            <input
              className="field"
              name="reason"
              value={reason}
              required={ask.reason === "must"}
              maxLength={500}
              autoComplete="off"
              onChange={(event) => setReason(event.target.value)}
            />
          </label>
        )}
        {run.error && <Refusal error={run.error} />}
        <footer className="flex justify-end gap-2">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="submit"
            className={`button ${ask.danger ? "danger" : "main"}`}
            disabled={run.isPending}
          >
            {run.isPending ? "Sending" : ask.verb}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** A question that may be open, and how it is asked. */
export function useConfirm(): { ask(ask: Ask): void; dialog: ReactNode; isOpen: boolean } {
  const [asked, set] = useState<Ask | null>(null);
  return {
    ask: set,
    isOpen: asked !== null,
    dialog: asked && <Confirm ask={asked} onClose={() => set(null)} />,
  };
}

/** A field of a form, with its name above it. */
export function Field(props: { label: string; hint?: string; children: ReactNode; className?: string }) {
  const id = useId();
  const { children, hint } = props;
  const control =
    hint && isValidElement<{ "aria-describedby"?: string }>(children)
      ? cloneElement(children, { "aria-describedby": id })
      : children;
  return (
    <div className={`flex min-w-0 flex-col gap-1 ${props.className ?? ""}`}>
      <label className="flex min-w-0 flex-col gap-1">
        <span className="label">{props.label}</span>
        {control}
      </label>
      {hint && (
        <span className="dim text-xs" id={id}>
          {hint}
        </span>
      )}
    </div>
  );
}

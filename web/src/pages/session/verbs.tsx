// What can be done with a session, in words: what follows from it, and what it asks for.
//
// Which of them are legal now, and for this caller, the server says: `allowed_actions`.

import { tell } from "../../api/client";
import type { WritePath } from "../../api/paths.gen";
import type { MergeReport, Session } from "../../api/types";
import type { Ask } from "../../parts/confirm";
import { Field } from "../../parts/confirm";

interface Verb {
  name: string;
  consequence: string;
  danger?: boolean;
  reason?: "none" | "may" | "must";
  /** Whether it makes sense for many at once. */
  many?: boolean;
  fields?: (session: Session) => React.ReactNode;
  path?: WritePath;
  method?: "POST" | "DELETE";
  body?: (reason: string, form: FormData) => Record<string, unknown>;
  wide?: boolean;
  /** What is done with it as it is, without a question. */
  plain?: boolean;
}

const text = (form: FormData, name: string) => {
  const value = String(form.get(name) ?? "").trim();
  return value === "" ? null : value;
};
const number = (form: FormData, name: string) => {
  const value = text(form, name);
  return value === null ? null : Number(value);
};

/** By the name that the API gives them; in the order in which they are shown. */
export const verbs: Record<string, Verb> = {
  start: {
    name: "Start",
    consequence: "It is queued, and given to an agent as soon as there is one with room for it.",
    many: true,
    plain: true,
  },
  resume: {
    name: "Resume",
    consequence: "It goes on where it was left, as soon as there is a slot.",
    many: true,
    plain: true,
  },
  pause: {
    name: "Pause",
    consequence:
      "The agent ends its turn, at most 30 seconds from now; a checkpoint is kept and the slot becomes free.",
    many: true,
  },
  prompt: {
    name: "Prompt",
    consequence: "The agent is told this after its current turn, or at once when the turn is interrupted.",
    wide: true,
    fields: () => (
      <>
        <Field label="Prompt">
          <textarea className="field" name="text" rows={5} required maxLength={100_000} />
        </Field>
        <label className="flex items-center gap-2">
          <input type="checkbox" name="interrupt" /> Interrupt the current turn
        </label>
      </>
    ),
    body: (_, form) => ({ text: text(form, "text"), mode: form.get("interrupt") ? "interrupt" : "queue" }),
  },
  retry: {
    name: "Retry",
    consequence: "Another attempt begins, from its newest checkpoint unless you name one.",
    many: true,
    fields: (session) =>
      session.checkpoint_count > 0 && (
        <Field label="From checkpoint" hint="the newest when left empty">
          <input className="field" name="from" type="number" min={1} />
        </Field>
      ),
    body: (_, form) => ({ from_checkpoint: number(form, "from") }),
  },
  merge: {
    name: "Merge",
    consequence:
      "What it changed is brought into the branch that it began from. On a conflict nothing changes, and the files are listed.",
    wide: true,
    fields: () => (
      <>
        <Field label="How">
          <select className="field" name="mode" defaultValue="merge">
            <option value="merge">merge commit</option>
            <option value="squash">one commit</option>
            <option value="patch">a patch, nothing is merged</option>
          </select>
        </Field>
        <Field label="Message" hint="made of the title when left empty">
          <input className="field" name="message" maxLength={1000} autoComplete="off" />
        </Field>
      </>
    ),
    body: (_, form) => ({ mode: text(form, "mode"), message: text(form, "message") }),
  },
  verify: {
    name: "Verify",
    consequence: "Its gates run in a clean checkout of the exact commit; the verdict is kept with the session.",
    body: () => ({ force: true }),
  },
  checkpoint: {
    name: "Checkpoint",
    consequence: "What is in the workspace is kept under a number that can be restored.",
    path: "/sessions/{id}/checkpoints",
    plain: true,
  },
  fork: {
    name: "Fork",
    consequence: "A new session goes on where this one was. This one stays as it is.",
    wide: true,
    fields: (session) => (
      <>
        <Field label="Title">
          <input className="field" name="title" maxLength={200} defaultValue={`${session.title} (fork)`} />
        </Field>
        <Field label="Prompt" hint="that of this session when left empty">
          <textarea className="field" name="prompt" rows={3} maxLength={100_000} />
        </Field>
        <div className="grid grid-cols-2 gap-3">
          <Field label="From checkpoint">
            <input className="field" name="from" type="number" min={1} />
          </Field>
          <Field label="Agent">
            <input className="field" name="agent" autoComplete="off" />
          </Field>
        </div>
      </>
    ),
    body: (_, form) => ({
      title: text(form, "title"),
      initial_prompt: text(form, "prompt"),
      from_checkpoint: number(form, "from"),
      agent: text(form, "agent"),
    }),
  },
  rate: {
    name: "Rate",
    consequence: "Your judgement stands above what was measured, and counts for the agent.",
    fields: () => (
      <>
        <Field label="Success, 0 to 1">
          <input className="field" name="success" type="number" min={0} max={1} step={0.05} />
        </Field>
        <Field label="Quality of the code, 0 to 1">
          <input className="field" name="quality" type="number" min={0} max={1} step={0.05} />
        </Field>
        <Field label="Comment">
          <input className="field" name="comment" maxLength={1000} autoComplete="off" />
        </Field>
      </>
    ),
    body: (_, form) => ({
      success_rate: number(form, "success"),
      code_quality_score: number(form, "quality"),
      comment: text(form, "comment"),
    }),
  },
  complete: {
    name: "Force complete",
    consequence: "It counts as done, whatever the agent says; its gates are skipped. Audited.",
    reason: "must",
    danger: true,
    body: (reason) => ({ reason, result: { forced: true } }),
  },
  stop: {
    name: "Stop",
    consequence: "The current turn is aborted and the session is over. Its work stays; a fork can go on from it.",
    reason: "may",
    danger: true,
    many: true,
    body: (reason) => ({ reason: reason || null }),
  },
  cancel: {
    name: "Cancel",
    consequence: "It is withdrawn for good; nothing of it will run.",
    reason: "may",
    danger: true,
    many: true,
    body: (reason) => ({ reason: reason || null }),
  },
  fail: {
    name: "Force fail",
    consequence: "It counts as failed. What runs of it is ended. Audited.",
    reason: "must",
    danger: true,
    body: (reason) => ({ error_message: reason, retryable: false }),
  },
  delete: {
    name: "Delete",
    consequence: "It leaves all lists. It is kept for a while, and then it is gone.",
    danger: true,
    many: true,
    path: "/sessions/{id}",
    method: "DELETE",
  },
};

export function run(verb: string, id: string, body: Record<string, unknown> = {}): Promise<unknown> {
  const { path, method } = verbs[verb] ?? {};
  return tell(method ?? "POST", path ?? (`/sessions/{id}/${verb}` as WritePath), { params: { id }, body });
}

/** The question before a verb. */
export function askFor(verb: string, session: Session, done?: (answer: unknown) => void): Ask {
  const found = verbs[verb];
  if (!found) throw new Error(`nobody knows how to ${verb}`);
  const fields = found.fields?.(session);
  return {
    title: `${found.name} ${session.code}`,
    verb: found.name,
    consequence: (
      <>
        <p className="strong cut">{session.title}</p>
        <p>{found.consequence}</p>
      </>
    ),
    run: (reason, form) => run(verb, session.id, found.body?.(reason, form) ?? {}),
    ...(found.danger && { danger: true }),
    ...(found.reason && { reason: found.reason }),
    ...(found.wide && { wide: true }),
    ...(fields && { fields }),
    ...(done && { done }),
  };
}

export type { MergeReport };

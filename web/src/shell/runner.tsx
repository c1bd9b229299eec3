// Any command of the API, from what its document says of it.

import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { tell } from "../api/client";
import type { Field as FieldOf, Operation } from "../api/operation";
import type { WritePath } from "../api/paths.gen";
import { queryClient } from "../api/queries";
import { Refusal } from "../parts/basics";
import { Field } from "../parts/confirm";
import { Dialog } from "../parts/dialog";
import { words } from "../parts/format";

/** What was typed, as the API wants it; nothing when nothing was. */
export function valueOf(field: FieldOf, typed: string): unknown {
  if (typed.trim() === "") return undefined;
  switch (field.kind) {
    case "integer":
    case "number":
      return Number(typed);
    case "boolean":
      return typed === "true";
    case "list":
      return typed
        .split(/[\n,]/)
        .map((one) => one.trim())
        .filter(Boolean);
    case "json":
      return JSON.parse(typed) as unknown;
    case "line":
    case "text":
    case "choice":
      return typed;
  }
}

function Input({ field, ...described }: { field: FieldOf; "aria-describedby"?: string }) {
  const common = { ...described, name: `body.${field.name}`, className: "field", required: field.required };
  switch (field.kind) {
    case "text":
    case "json":
      return <textarea {...common} rows={field.kind === "json" ? 2 : 4} spellCheck={false} />;
    case "boolean":
    case "choice":
      return (
        <select {...common} defaultValue="">
          <option value="">{field.required ? "choose" : "as it is by itself"}</option>
          {(field.choices ?? ["true", "false"]).map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      );
    case "integer":
    case "number":
      return <input {...common} type="number" step={field.kind === "integer" ? 1 : "any"} />;
    case "line":
    case "list":
      return <input {...common} autoComplete="off" />;
  }
}

const hints: Partial<Record<FieldOf["kind"], string>> = { list: "separated by commas", json: "JSON" };

export function Runner({ operation, onClose }: { operation: Operation; onClose(): void }) {
  const [wrong, setWrong] = useState("");
  const run = useMutation({
    mutationFn: ({ params, body }: { params: Record<string, string>; body: unknown }) =>
      tell<unknown>(operation.method as "POST", operation.path.slice("/api/v1".length) as WritePath, {
        params,
        body,
      }),
    onSuccess: () => void queryClient.invalidateQueries(),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const params = Object.fromEntries(operation.params.map((name) => [name, String(form.get(`path.${name}`))]));
    const body: Record<string, unknown> = {};
    for (const field of operation.fields) {
      try {
        const value = valueOf(field, String(form.get(`body.${field.name}`) ?? ""));
        if (value !== undefined) body[field.name] = value;
      } catch {
        setWrong(`${field.name} is no JSON.`);
        return;
      }
    }
    setWrong("");
    run.mutate({ params, body });
  };
  const required = operation.fields.filter((field) => field.required);
  const optional = operation.fields.filter((field) => !field.required);
  const fields = (some: readonly FieldOf[]) =>
    some.map((field) => (
      <Field
        key={field.name}
        label={words(field.name)}
        hint={[field.about, hints[field.kind]].filter(Boolean).join(" · ")}
      >
        <Input field={field} />
      </Field>
    ));
  return (
    <Dialog title={operation.summary} onClose={onClose} className={operation.method === "DELETE" ? "wide danger" : "wide"}>
      <form className="flex flex-col gap-3 p-4" onSubmit={submit}>
        <p className="dim wrap">
          {operation.method} {operation.path}
        </p>
        {operation.params.map((name) => (
          <Field key={name} label={words(name)}>
            <input className="field" name={`path.${name}`} required autoComplete="off" />
          </Field>
        ))}
        {fields(required)}
        {optional.length > 0 && (
          <details open={required.length === 0 && optional.length < 5}>
            <summary className="label">{optional.length} more</summary>
            <div className="flex flex-col gap-3 pt-3">{fields(optional)}</div>
          </details>
        )}
        {wrong && (
          <p className="notice bad" role="alert">
            {wrong}
          </p>
        )}
        {run.error && <Refusal error={run.error} />}
        {run.isSuccess && (
          <div className="notice" role="status">
            <p className="strong">Done.</p>
            {run.data !== null && <pre className="wrap runner-answer">{JSON.stringify(run.data, null, 2)}</pre>}
          </div>
        )}
        <footer className="flex justify-end gap-2">
          <button type="button" className="button" onClick={onClose}>
            Close
          </button>
          <button
            type="submit"
            className={operation.method === "DELETE" ? "button danger" : "button main"}
            disabled={run.isPending}
          >
            {run.isPending ? "Sending" : "Send"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { useLocation } from "wouter";
import { tell, uniqueKey } from "../../api/client";
import { agents, queryClient } from "../../api/queries";
import type { RoutingDecision, Session } from "../../api/types";
import { Refusal } from "../../parts/basics";
import { Field } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { words } from "../../parts/format";

type Values = Record<string, string>;

const first: Values = {
  initial_prompt: "",
  title: "",
  session_type: "execution",
  priority: "medium",
  agent: "",
  capability: "",
  workspace: "none",
  path: "",
  base_ref: "",
  permissions: "ask",
  budget: "",
  minutes: "",
  retries: "",
  tags: "",
};

const numeric = (text: string) => (text.trim() === "" ? undefined : Number(text));
const named = (text: string) => text.split(/[,\s]+/).filter(Boolean);

/** What the form holds, as the API wants it; what was left empty is left to the server. */
export function bodyOf(values: Values, start: boolean): Record<string, unknown> {
  const value = (name: string) => (values[name] ?? "").trim();
  const body: Record<string, unknown> = {
    initial_prompt: value("initial_prompt"),
    session_type: value("session_type"),
    priority: value("priority"),
    permission_policy: { default: value("permissions"), rules: [] },
    start,
  };
  const put = (name: string, given: unknown) => {
    if (given !== undefined && given !== "") body[name] = given;
  };
  put("title", value("title"));
  put("agent", value("agent"));
  if (value("capability") && !value("agent")) put("required_capabilities", [value("capability")]);
  put("budget_usd", numeric(value("budget")));
  const minutes = numeric(value("minutes"));
  put("max_duration_seconds", minutes === undefined ? undefined : Math.round(minutes * 60));
  put("max_retries", numeric(value("retries")));
  if (value("tags")) put("tags", named(value("tags")));
  const kind = value("workspace");
  if (kind === "directory") body.workspace = { kind, path: value("path") };
  if (kind === "git") {
    body.workspace = { kind, repo: value("path"), ...(value("base_ref") && { base_ref: value("base_ref") }) };
  }
  return body;
}

function Routing({ values }: { values: Values }) {
  const capability = values.capability ?? "";
  const task = (values.initial_prompt ?? "").trim();
  const askable = capability !== "" && task.length >= 10 && !values.agent;
  const decision = useQuery({
    queryKey: ["of", "agents", "route", capability, values.session_type, task.slice(0, 200)],
    queryFn: ({ signal }) =>
      tell<RoutingDecision>("POST", "/agents/route", {
        body: {
          task_description: task.slice(0, 2000),
          required_capabilities: [capability],
          session_type: values.session_type,
        },
        signal,
      }),
    enabled: askable,
    retry: false,
  });
  if (values.agent) return <p className="notice">{values.agent} alone may do it, and it waits until that has room.</p>;
  if (!askable) {
    return <p className="notice dim">Name what its agent has to be able to do, and you see here who would get it, and why.</p>;
  }
  if (decision.error) return <Refusal error={decision.error} />;
  const { data } = decision;
  if (!data) return <p className="notice dim">Asking who would get it</p>;
  return (
    <div className="notice">
      <p>
        <span className="strong">{data.selected_agent.name}</span> would get it, with {data.routing_score.toFixed(3)} of{" "}
        {data.candidates_total} candidates.
      </p>
      <p className="dim">{data.routing_reason}</p>
    </div>
  );
}

export function NewSession({ onClose }: { onClose(): void }) {
  const [values, setValues] = useState(first);
  // One word for this form: sent twice, it makes one session.
  const key = useMemo(uniqueKey, []);
  const [, go] = useLocation();
  const fleet = useQuery(agents);
  const capabilities = useMemo(
    () => [...new Set((fleet.data ?? []).flatMap((agent) => agent.capabilities))].sort(),
    [fleet.data],
  );
  const make = useMutation({
    mutationFn: (start: boolean) =>
      tell<Session>("POST", "/sessions", {
        body: bodyOf(values, start),
        headers: { "Idempotency-Key": `${key}${start ? "s" : "c"}` },
      }),
    onSuccess: (session) => {
      void queryClient.invalidateQueries({ queryKey: ["of"] });
      onClose();
      go(`/sessions/${session.code}`);
    },
  });
  const bind = (name: string) => ({
    className: "field",
    name,
    value: values[name],
    onChange: (event: { target: { value: string } }) => setValues((old) => ({ ...old, [name]: event.target.value })),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { submitter } = event.nativeEvent as SubmitEvent;
    make.mutate(submitter?.getAttribute("value") !== "keep");
  };
  return (
    <Dialog title="New session" onClose={onClose} className="wide">
      <form onSubmit={submit} className="flex flex-col gap-3 p-4">
        <Field label="What is to be done">
          <textarea {...bind("initial_prompt")} rows={5} required maxLength={100_000} />
        </Field>
        <div className="new-grid">
          <Field label="Title" hint="made of the prompt when empty">
            <input {...bind("title")} maxLength={200} autoComplete="off" />
          </Field>
          <Field label="Type">
            <select {...bind("session_type")}>
              {["planning", "execution", "review", "debug", "integration"].map((type) => (
                <option key={type}>{type}</option>
              ))}
            </select>
          </Field>
          <Field label="Priority">
            <select {...bind("priority")}>
              {["critical", "high", "medium", "low", "deferred"].map((level) => (
                <option key={level}>{level}</option>
              ))}
            </select>
          </Field>
          <Field label="Workspace">
            <select {...bind("workspace")}>
              <option value="none">none</option>
              <option value="git">git worktree</option>
              <option value="directory">directory</option>
            </select>
          </Field>
          {values.workspace !== "none" && (
            <Field label={values.workspace === "git" ? "Repository" : "Path"} hint="a folder of the server">
              <input {...bind("path")} required maxLength={4096} autoComplete="off" />
            </Field>
          )}
          {values.workspace === "git" && (
            <Field label="From" hint="a branch or commit; what is checked out when empty">
              <input {...bind("base_ref")} maxLength={200} autoComplete="off" />
            </Field>
          )}
          <Field label="Agent" hint="chosen by score when empty">
            <select {...bind("agent")}>
              <option value="">any</option>
              {(fleet.data ?? []).map((agent) => (
                <option key={agent.id}>{agent.name}</option>
              ))}
            </select>
          </Field>
          {!values.agent && (
            <Field label="Has to be able to">
              <select {...bind("capability")}>
                <option value="">anything</option>
                {capabilities.map((capability) => (
                  <option key={capability} value={capability}>
                    {words(capability)}
                  </option>
                ))}
              </select>
            </Field>
          )}
          <Field label="Tools it asks for">
            <select {...bind("permissions")}>
              <option value="ask">ask a person</option>
              <option value="allow">allow</option>
              <option value="deny">deny</option>
            </select>
          </Field>
          <Field label="Budget, US dollars">
            <input {...bind("budget")} type="number" min={0} step="any" />
          </Field>
          <Field label="Longest time, minutes" hint="60 when empty">
            <input {...bind("minutes")} type="number" min={1} step={1} />
          </Field>
          <Field label="Retries">
            <input {...bind("retries")} type="number" min={0} max={10} step={1} />
          </Field>
          <Field label="Tags">
            <input {...bind("tags")} maxLength={400} autoComplete="off" />
          </Field>
        </div>
        <Routing values={values} />
        {make.error && <Refusal error={make.error} />}
        <footer className="flex justify-end gap-2">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button" name="then" value="keep" disabled={make.isPending}>
            Create
          </button>
          <button type="submit" className="button main" name="then" value="start" disabled={make.isPending}>
            {make.isPending ? "Sending" : "Create and start"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

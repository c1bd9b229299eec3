import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link, useLocation } from "wouter";
import { tell } from "../../api/client";
import { queryClient } from "../../api/queries";
import type { Agent, AgentKind } from "../../api/types";
import { Refusal } from "../../parts/basics";
import { Field } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";

const kinds: Record<AgentKind, { name: string; config: string; hint: string }> = {
  opencode: { name: "OpenCode", config: "{}", hint: "The server starts `opencode serve` itself; {\"url\": …} attaches to one that runs." },
  acp: { name: "Agent Client Protocol", config: '{ "command": ["gemini", "--experimental-acp"] }', hint: "A program that speaks the protocol over its standard input and output." },
  command: { name: "Any program", config: '{ "command": ["./agent.sh"] }', hint: "It gets the prompt on its standard input, and its lines are the log." },
  simulated: { name: "Simulated", config: "{}", hint: "Follows a script, and asks no model. Everything it does is labelled so." },
  eap: { name: "External", config: "{}", hint: "It registers itself, with a key that you make for it." },
};

export function Register({ onClose }: { onClose(): void }) {
  const [kind, setKind] = useState<AgentKind>("opencode");
  const [, go] = useLocation();
  const [wrong, setWrong] = useState("");
  const make = useMutation({
    mutationFn: (body: unknown) => tell<Agent>("POST", "/agents", { body }),
    onSuccess: (agent) => {
      void queryClient.invalidateQueries({ queryKey: ["of", "agents"] });
      onClose();
      go(`/agents/${agent.id}`);
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const value = (name: string) => String(form.get(name) ?? "").trim();
    const list = (name: string) => value(name).split(/[,\s]+/).filter(Boolean);
    let config: unknown;
    try {
      config = JSON.parse(value("config") || "{}");
    } catch {
      setWrong("The configuration is no JSON.");
      return;
    }
    setWrong("");
    make.mutate({
      kind,
      name: value("name"),
      agent_type: value("agent_type"),
      config,
      ...(value("capacity") && { max_concurrent_capacity: Number(value("capacity")) }),
      ...(value("model") && { model_identifier: value("model") }),
      ...(value("capabilities") && { primary_capabilities: list("capabilities") }),
    });
  };
  return (
    <Dialog title="Register an agent" onClose={onClose} className="wide">
      <form className="flex flex-col gap-3 p-4" onSubmit={submit}>
        <div className="chips" role="group" aria-label="Kind">
          {(Object.keys(kinds) as AgentKind[]).map((one) => (
            <button key={one} type="button" className="chip" aria-pressed={kind === one} onClick={() => setKind(one)}>
              {kinds[one].name}
            </button>
          ))}
        </div>
        <p className="dim">{kinds[kind].hint}</p>
        {kind === "eap" ? (
          <Link className="button self-start" href="/settings/keys">
            Make a key for it
          </Link>
        ) : (
          <>
            <div className="new-grid">
              <Field label="Name">
                <input className="field" name="name" required maxLength={100} autoComplete="off" />
              </Field>
              <Field label="Type">
                <select className="field" name="agent_type" defaultValue="implementer">
                  {["architect", "implementer", "reviewer", "debugger", "integrator", "orchestrator", "analyst", "optimizer"].map((type) => (
                    <option key={type}>{type}</option>
                  ))}
                </select>
              </Field>
              <Field label="At once" hint="sessions">
                <input className="field" name="capacity" type="number" min={1} max={100} />
              </Field>
              <Field label="Model">
                <input className="field" name="model" maxLength={200} autoComplete="off" />
              </Field>
            </div>
            <Field label="Can" hint="what sessions may ask of it, separated by commas: known capabilities, or words of your own">
              <input className="field" name="capabilities" required autoComplete="off" defaultValue="code_generation, testing" />
            </Field>
            <Field label="Configuration" hint="JSON">
              <textarea key={kind} className="field" name="config" rows={4} defaultValue={kinds[kind].config} spellCheck={false} />
            </Field>
          </>
        )}
        {wrong && (
          <p className="notice bad" role="alert">
            {wrong}
          </p>
        )}
        {make.error && <Refusal error={make.error} />}
        <footer className="flex justify-end gap-2">
          <button type="button" className="button" onClick={onClose}>
            {kind === "eap" ? "Close" : "Cancel"}
          </button>
          {kind !== "eap" && (
            <button type="submit" className="button main" disabled={make.isPending}>
              {make.isPending ? "Sending" : "Register"}
            </button>
          )}
        </footer>
      </form>
    </Dialog>
  );
}

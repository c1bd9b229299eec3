// Who would be given a piece of work, and why: every candidate, what its score is made of, or what keeps it out.

import { useMutation } from "@tanstack/react-query";
import type { FormEvent } from "react";
import { Link } from "wouter";
import { ApiProblem, tell } from "../../api/client";
import type { RoutingCandidate, RoutingDecision } from "../../api/types";
import { Empty, Refusal } from "../../parts/basics";
import { Field } from "../../parts/confirm";
import { words } from "../../parts/format";
import { Mark } from "../../parts/status";

const gates: Record<string, string> = {
  tenant: "is of another tenant",
  active: "is switched off",
  draining: "ends what it has",
  alive: "was not heard of",
  capability: "cannot do that",
  capacity: "has no room",
  technology: "avoids that",
  tier: "is not good enough",
  breaker: "failed too often",
};

const paints = [
  "var(--live)",
  "var(--status-queued)",
  "var(--status-paused)",
  "var(--status-timeout)",
  "var(--status-partially_completed)",
  "var(--status-orphaned)",
  "var(--status-pending)",
];

const three = (value: number) => value.toFixed(3);

/** What a score is made of, as one bar and as figures. */
function Score({ candidate, most }: { candidate: RoutingCandidate; most: number }) {
  const { bonuses } = candidate;
  const parts = candidate.components.map((part) => ({ name: words(part.component), add: part.product, about: `${three(part.value)} × ${part.weight}` }));
  for (const [name, add] of Object.entries(bonuses ?? {})) {
    if (typeof add === "number" && add !== 0) parts.push({ name: words(name), add, about: "bonus" });
  }
  return (
    <>
      <svg className="score" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        {parts.map((part, index) => {
          const before = parts.slice(0, index).reduce((sum, one) => sum + one.add, 0);
          return <rect key={part.name} x={(before / most) * 100} width={Math.max(0, (part.add / most) * 100 - 0.4)} height="8" fill={paints[index % paints.length]} />;
        })}
      </svg>
      <ul className="score-parts">
        {parts.map((part, index) => (
          <li key={part.name} title={part.about}>
            <i style={{ background: paints[index % paints.length] }} />
            {part.name} <span className="dim">{three(part.add)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

export function Candidates({ told }: { told: RoutingDecision }) {
  const most = Math.max(1, ...told.candidates.map((one) => one.score ?? 0));
  return (
    <>
      <p className="notice m-2 wrap" role="status">
        {told.routing_reason}
      </p>
      {told.candidates.length === 0 && <Empty title="Nobody is there who could." />}
      <ul>
        {told.candidates.map((candidate) => (
          <li key={candidate.agent_id} className="candidate" data-chosen={candidate.agent_id === told.selected_agent?.id || undefined}>
            <Link className="underline-hover cut strong" href={`/agents/${candidate.agent_id}`}>
              {candidate.agent_name}
            </Link>
            <span className="num">{candidate.score === null || candidate.score === undefined ? "" : three(candidate.score)}</span>
            <div className="min-w-0">
              {candidate.gate ? <Mark tone="bad">{gates[candidate.gate] ?? words(candidate.gate)}</Mark> : <Score candidate={candidate} most={most} />}
            </div>
          </li>
        ))}
      </ul>
      {told.candidates_total > told.candidates.length && <p className="dim p-3">{told.candidates_total} agents in all</p>}
    </>
  );
}

/** Why nobody is there who could: how many agents each gate keeps out. */
function Refused({ error }: { error: Error }) {
  const refused = error instanceof ApiProblem ? (error.told.refused as Record<string, number> | undefined) : undefined;
  return (
    <>
      <Refusal error={error} />
      <ul className="px-3">
        {Object.entries(refused ?? {}).map(([gate, times]) => (
          <li key={gate} className="candidate-refused">
            <span className="num">{times}</span> <Mark tone="bad">{gates[gate] ?? words(gate)}</Mark>
          </li>
        ))}
      </ul>
    </>
  );
}

export function Routing() {
  const ask = useMutation({ mutationFn: (body: unknown) => tell<RoutingDecision>("POST", "/agents/route", { body }) });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const value = (name: string) => String(form.get(name) ?? "").trim();
    const list = (name: string) => value(name).split(/[,\s]+/).filter(Boolean);
    ask.mutate({
      task_description: value("task") || "a piece of work",
      required_capabilities: list("capabilities"),
      explain: "all",
      ...(value("technologies") && { technologies: list("technologies") }),
      ...(value("complexity") && { estimated_complexity: Number(value("complexity")) }),
      ...(value("tier") && { min_performance_tier: value("tier") }),
    });
  };
  return (
    <div className="routing">
      <form className="flex flex-col gap-3 p-3" onSubmit={submit}>
        <p className="dim">Nothing is begun by asking, and no place is taken.</p>
        <Field label="Work">
          <input className="field" name="task" minLength={10} maxLength={500} autoComplete="off" placeholder="a piece of work" />
        </Field>
        <Field label="Needs" hint="capabilities, separated by commas">
          <input className="field" name="capabilities" required defaultValue="code_generation" autoComplete="off" />
        </Field>
        <Field label="With" hint="technologies">
          <input className="field" name="technologies" autoComplete="off" />
        </Field>
        <Field label="Complexity" hint="as that of a session; 1 is usual">
          <input className="field" name="complexity" type="number" step="any" min={0} />
        </Field>
        <Field label="At least">
          <select className="field" name="tier" defaultValue="">
            <option value="">any tier</option>
            {["elite", "advanced", "competent", "trainee"].map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </Field>
        <button type="submit" className="button main self-start" disabled={ask.isPending}>
          {ask.isPending ? "Asking" : "Who would get it?"}
        </button>
      </form>
      <div className="min-w-0">
        {ask.error && <Refused error={ask.error} />}
        {ask.data && <Candidates told={ask.data} />}
        {!ask.data && !ask.error && <Empty title="Every agent stands here, with what its score is made of." />}
      </div>
    </div>
  );
}

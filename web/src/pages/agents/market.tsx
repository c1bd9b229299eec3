// All agents side by side, for choosing among them: what they can, how well, how fast and for how much.

import { useQueries } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link } from "wouter";
import { outlook } from "../../api/queries";
import type { Agent, AgentOutlook } from "../../api/types";
import { Empty, Gauge, useNow } from "../../parts/basics";
import { count, duration, money, NONE, percent, short, since, words } from "../../parts/format";
import { Mark } from "../../parts/status";
import { breakerTones, heardOf, stateTones } from "./agents";

const columns = ["name", "success", "quality", "time", "cost", "tokens", "work"] as const;
type Column = (typeof columns)[number];

/** Capabilities that are shown of each. */
const SHOWN = 8;

const names: Record<Column, string> = {
  name: "Agent",
  success: "Success",
  quality: "Quality",
  time: "Mean time",
  cost: "Cost a task",
  tokens: "Tokens a task",
  work: "Tasks",
};

/** What an agent is ordered by; what is not known comes last. */
export function measure(column: Column, agent: Agent, told: AgentOutlook | undefined): number | string | null {
  const performance = told?.performance;
  const judged = performance && performance.total_tasks > 0;
  switch (column) {
    case "name":
      return agent.name;
    case "success":
      return judged ? -performance.overall_success_rate : null;
    case "quality":
      return performance?.average_quality_score == null ? null : -performance.average_quality_score;
    case "time":
      return performance?.average_execution_time_seconds ?? null;
    case "cost":
      return performance?.cost_per_task_usd ?? null;
    case "tokens":
      return performance?.tokens_per_task ?? null;
    case "work":
      return performance ? -performance.total_tasks : null;
  }
}

export function best<T>(items: readonly T[], of: (item: T) => number | string | null): T[] {
  return items.toSorted((one, other) => {
    const [mine, theirs] = [of(one), of(other)];
    if (mine === null || theirs === null) return mine === theirs ? 0 : mine === null ? 1 : -1;
    return mine < theirs ? -1 : mine > theirs ? 1 : 0;
  });
}

function Offer({ agent, told, now }: { agent: Agent; told: AgentOutlook | undefined; now: number }) {
  const performance = told?.performance;
  const judged = performance !== undefined && performance.total_tasks > 0;
  return (
    <>
      <tr>
        <td className="whitespace-nowrap">
          <Link className="underline-hover strong" href={`/agents/${agent.id}`}>
            {agent.name}
          </Link>{" "}
          {!agent.approved && <span className="needs">approve</span>} {agent.kind === "simulated" && <span className="provenance">simulated</span>}
        </td>
        <td className="whitespace-nowrap">
          <span className={agent.is_external ? "" : "dim"}>{agent.is_external ? "external" : agent.kind}</span>{" "}
          <span className="dim">{agent.version}</span>
        </td>
        <td>
          <Mark tone={stateTones[agent.state]}>{agent.state}</Mark>
          {agent.breaker !== "closed" && <Mark tone={breakerTones[agent.breaker]}>breaker {words(agent.breaker)}</Mark>}
        </td>
        <td className="whitespace-nowrap">
          {agent.performance_tier} {agent.tier_provisional && <span className="dim">provisional</span>}
        </td>
        <td className="num">
          <span className="cost-cell">
            <span className="w-12">
              <Gauge
                share={judged ? performance.overall_success_rate : null}
                paint={judged && performance.overall_success_rate < 0.6 ? "var(--bad)" : "var(--live)"}
                label={`Success of ${agent.name}`}
              />
            </span>
            {judged ? percent(performance.overall_success_rate) : NONE}
          </span>
        </td>
        <td className="num">{performance?.average_quality_score?.toFixed(2) ?? NONE}</td>
        <td className="num">{duration(performance?.average_execution_time_seconds)}</td>
        <td className="num">{money(performance?.cost_per_task_usd)}</td>
        <td className="num">{short(performance?.tokens_per_task)}</td>
        <td className="num">{count(performance?.total_tasks)}</td>
        <td className="num">
          {agent.load.current_concurrent_tasks}
          <span className="dim">/{agent.load.max_concurrent_capacity}</span>
        </td>
        <td className="num dim">{since(heardOf(agent), now)}</td>
      </tr>
      {(agent.capabilities.length > 0 || (told?.recommendations.length ?? 0) > 0) && (
        <tr className="offer-more">
          <td colSpan={12}>
            <span className="flex flex-wrap items-center gap-1">
              {agent.capabilities.slice(0, SHOWN).map((one) => (
                <span className="tag" key={one}>
                  {words(one)}
                </span>
              ))}
              {agent.capabilities.length > SHOWN && <span className="dim">and {agent.capabilities.length - SHOWN} more</span>}
              {told?.recommendations.map((one) => (
                <span className="dim" key={one}>
                  · {one}
                </span>
              ))}
            </span>
          </td>
        </tr>
      )}
    </>
  );
}

export function Market({ agents }: { agents: readonly Agent[] }) {
  const now = useNow(5000);
  const [order, setOrder] = useState<Column>("name");
  const told = useQueries({
    queries: agents.map((agent) => ({ ...outlook(agent.id), staleTime: 60_000 })),
    combine: (results) => new Map(results.flatMap((result) => (result.data ? [[result.data.agent_id, result.data] as const] : []))),
  });
  const rows = useMemo(() => best(agents, (agent) => measure(order, agent, told.get(agent.id))), [agents, order, told]);
  if (rows.length === 0) return <Empty title="No agent is like that." />;
  const head = (column: Column, num = true) => (
    <th key={column} scope="col" className={num ? "num" : undefined} aria-sort={order === column ? "ascending" : "none"}>
      <button type="button" className="sort" onClick={() => setOrder(column)}>
        {names[column]}
        {order === column && <span aria-hidden="true"> ▾</span>}
      </button>
    </th>
  );
  return (
    <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Agents side by side">
      <table className="grid-table">
        <thead>
          <tr>
            {head("name", false)}
            <th scope="col">Kind</th>
            <th scope="col">State</th>
            <th scope="col">Tier</th>
            {columns.slice(1).map((column) => head(column))}
            <th scope="col" className="num">At work</th>
            <th scope="col" className="num">Heard</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((agent) => (
            <Offer key={agent.id} agent={agent} told={told.get(agent.id)} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

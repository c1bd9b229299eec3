// The fleet: who works, how much, and how well.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { agents, pool } from "../../api/queries";
import type { Agent, AgentPool } from "../../api/types";
import { CommandLine, Empty, Gauge, Shown, useNow } from "../../parts/basics";
import { percent, since, words } from "../../parts/format";
import { Mark } from "../../parts/status";
import { useKeys } from "../../shell/keys";
import { useHere } from "../../shell/who";
import { changed } from "../sessions/filters";
import { Market } from "./market";
import { Register } from "./register";
import { Routing } from "./routing";

const views = [
  ["fleet", "Fleet"],
  ["market", "Side by side"],
  ["routing", "Who would get it"],
] as const;

export const stateTones = {
  idle: "quiet",
  active: "good",
  busy: "warn",
  degraded: "bad",
  offline: "bad",
  draining: "warn",
  maintenance: "warn",
  inactive: "quiet",
} as const;

export const breakerTones = { closed: "good", half_open: "warn", open: "bad" } as const;

/** When it was heard of last, by itself or when it was asked. */
export const heardOf = (agent: Agent) => agent.last_heartbeat_at ?? agent.last_probe?.at ?? null;

function Unit({ agent, now, chosen }: { agent: Agent; now: number; chosen: boolean }) {
  const { load } = agent;
  return (
    <Link href={`/agents/${agent.id}`} className="unit" data-chosen={chosen || undefined}>
      <div className="card-head">
        <span className="strong cut flex-1">{agent.name}</span>
        {!agent.approved && <span className="needs">approve</span>}
        {agent.kind === "simulated" && <span className="provenance">simulated</span>}
        <Mark tone={stateTones[agent.state]}>{agent.state}</Mark>
      </div>
      <Gauge share={load.utilization_percentage / 100} label={`Load of ${agent.name}`} />
      <dl className="unit-facts">
        <div>
          <dt>load</dt>
          <dd>
            {load.current_concurrent_tasks}
            <span className="dim">/{load.max_concurrent_capacity}</span>
          </dd>
        </div>
        <div>
          <dt>queue</dt>
          <dd>{load.queue_length}</dd>
        </div>
        <div>
          <dt>tier</dt>
          <dd>{agent.performance_tier}</dd>
        </div>
        <div>
          <dt>breaker</dt>
          <dd>{words(agent.breaker)}</dd>
        </div>
        <div>
          <dt>heard of</dt>
          <dd>{since(heardOf(agent), now)}</dd>
        </div>
        <div>
          <dt>kind</dt>
          <dd>
            {agent.kind} <span className="dim">{agent.version}</span>
          </dd>
        </div>
      </dl>
      {agent.last_probe?.error && <p className="bad cut">{agent.last_probe.error}</p>}
    </Link>
  );
}

function Figures({ data }: { data: AgentPool }) {
  return (
    <span className="dim">
      {data.total_agents === 1 ? "1 agent" : `${data.total_agents} agents`}, {data.available_agents} with room, {percent(data.overall_utilization)} used,{" "}
      {percent(data.average_success_rate)} success
    </span>
  );
}

export function Agents() {
  const [params, setParams] = useSearchParams();
  const [, go] = useLocation();
  const { can } = useHere();
  const now = useNow(5000);
  const query = useQuery(agents);
  const figures = useQuery(pool);
  const [at, setAt] = useState(-1);
  const kind = params.get("kind");
  const view = views.find(([one]) => one === params.get("view"))?.[0] ?? "fleet";
  const mayLead = can({ role: "lead", scope: "agents:write" });
  const all = query.data ?? [];
  const items = kind ? all.filter((agent) => agent.kind === kind) : all;
  const step = (by: number) => setAt((old) => Math.max(0, Math.min(items.length - 1, old + by)));
  useKeys({
    j: () => step(1),
    k: () => step(-1),
    Enter: () => {
      const chosen = items[at];
      if (chosen) go(`/agents/${chosen.id}`);
    },
  });
  const kinds = [...new Set(all.map((agent) => agent.kind))].sort();
  return (
    <div className="list-page">
      <div className="bar">
        <h1>Agents</h1>
        <div className="chips" role="group" aria-label="View">
          {views.map(([one, name]) => (
            <button
              key={one}
              type="button"
              className="chip"
              aria-pressed={view === one}
              onClick={() => setParams((old) => changed(old, "view", one === "fleet" ? [] : [one]))}
            >
              {name}
            </button>
          ))}
        </div>
        <div className="chips" role="group" aria-label="Kind">
          {kinds.length > 1 &&
            kinds.map((one) => (
              <button
                key={one}
                type="button"
                className="chip"
                aria-pressed={kind === one}
                onClick={() => setParams((old) => changed(old, "kind", kind === one ? [] : [one]))}
              >
                {one}
              </button>
            ))}
        </div>
        <span className="grow" />
        {figures.data && <Figures data={figures.data} />}
        {mayLead && (
          <button type="button" className="button main" onClick={() => setParams((old) => changed(old, "new", ["1"]))}>
            Register
          </button>
        )}
      </div>
      <div className="tab-scroll">
        <Shown query={query} what="agents" rows={10}>
          {() =>
            items.length === 0 ? (
              <Empty title="No agent is registered.">
                <p className="dim">Agents that are installed on the machine of the server are found with</p>
                <CommandLine>orchestrator agent list</CommandLine>
              </Empty>
            ) : (
              <div className={view === "fleet" ? "units" : ""}>
                {view === "market" && <Market agents={items} />}
                {view === "routing" && <Routing />}
                {view === "fleet" && items.map((agent, index) => (
                  <Unit key={agent.id} agent={agent} now={now} chosen={index === at} />
                ))}
              </div>
            )
          }
        </Shown>
      </div>
      {params.get("new") !== null && mayLead && <Register onClose={() => setParams((old) => changed(old, "new", []))} />}
    </div>
  );
}

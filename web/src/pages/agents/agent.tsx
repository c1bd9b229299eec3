// One agent: what it is, how it does, what it has, and what is wrong with it.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { tell } from "../../api/client";
import type { WritePath } from "../../api/paths.gen";
import { agent as agentOf, agentHealth, outlook, sessionsWhere } from "../../api/queries";
import type { Agent, AgentOutlook } from "../../api/types";
import { Empty, Gauge, Panel, Refusal, Shown, useNow } from "../../parts/basics";
import { type Ask, useConfirm } from "../../parts/confirm";
import { count, duration, money, percent, short, since, stamp, words } from "../../parts/format";
import { Mark, Status } from "../../parts/status";
import { useHere } from "../../shell/who";
import { breakerTones, heardOf, stateTones } from "./agents";

interface Command {
  name: string;
  path: WritePath;
  body?: Record<string, unknown>;
  consequence: string;
  danger?: boolean;
  /** Done without a question. */
  plain?: boolean;
  shown(agent: Agent): boolean;
}

const commands: Command[] = [
  { name: "Approve", path: "/agents/{id}/approve", consequence: "It is given work from now on.", shown: (agent) => !agent.approved },
  { name: "Probe", path: "/agents/{id}/probe", consequence: "", plain: true, shown: (agent) => !agent.is_external },
  { name: "Drain", path: "/agents/{id}/drain", consequence: "It ends what it has and is given nothing new, until it is taken up again.", shown: (agent) => !agent.draining },
  { name: "Take up again", path: "/agents/{id}/undrain", consequence: "It is given work again.", plain: true, shown: (agent) => agent.draining },
  { name: "Maintenance", path: "/agents/{id}/maintenance", body: { on: true }, consequence: "It is given nothing new while somebody works on it.", shown: (agent) => !agent.maintenance_mode },
  { name: "End maintenance", path: "/agents/{id}/maintenance", body: { on: false }, consequence: "It is given work again.", plain: true, shown: (agent) => agent.maintenance_mode },
  { name: "Reset figures", path: "/agents/{id}/reset-metrics", consequence: "It is judged anew: its window begins again and its breaker is closed.", shown: () => true },
  { name: "Rotate token", path: "/agents/{id}/rotate-token", consequence: "Its token is replaced; the new one is shown once.", shown: (agent) => agent.is_external },
  { name: "Remove", path: "/agents/{id}/deregister", body: { graceful: true }, consequence: "It ends what it has, and is gone then. Sessions that are pinned to it fail.", danger: true, shown: (agent) => !agent.is_built_in },
];

function Commands({ agent }: { agent: Agent }) {
  const { can } = useHere();
  const { ask, dialog } = useConfirm();
  const [told, setTold] = useState<{ error?: Error; tokens?: unknown }>({});
  if (!can({ role: "lead", scope: "agents:write" })) return null;
  const send = (command: Command) => tell<unknown>("POST", command.path, { params: { id: agent.id }, body: command.body ?? {} });
  const begin = (command: Command) => {
    setTold({});
    if (command.plain) {
      send(command).catch((error: Error) => setTold({ error }));
      return;
    }
    const question: Ask = {
      title: `${command.name} ${agent.name}`,
      verb: command.name,
      consequence: <p>{command.consequence}</p>,
      run: () => send(command),
      done: (answer) => {
        if (command.name === "Rotate token") setTold({ tokens: answer });
      },
    };
    ask(command.danger ? { ...question, danger: true } : question);
  };
  return (
    <div className="flex flex-col gap-2 p-2">
      <div className="flex flex-wrap gap-1" role="toolbar" aria-label="Commands">
        {commands
          .filter((command) => command.shown(agent))
          .map((command) => (
            <button key={command.name} type="button" className={`button ${command.danger ? "danger" : ""}`} onClick={() => begin(command)}>
              {command.name}
            </button>
          ))}
      </div>
      {told.error && <Refusal error={told.error} />}
      {told.tokens !== undefined && <pre className="raw wrap">{JSON.stringify(told.tokens, null, 2)}</pre>}
      {dialog}
    </div>
  );
}

function Rates({ rates, name }: { rates: Record<string, number>; name: string }) {
  const rows = Object.entries(rates).sort(([, one], [, other]) => other - one);
  if (rows.length === 0) return <p className="dim p-3">No {name} has been judged yet.</p>;
  return (
    <ul>
      {rows.map(([what, rate]) => (
        <li className="fleet-row" key={what}>
          <span className="cut flex-1">{words(what)}</span>
          <span className="fleet-load">
            <Gauge share={rate} paint={rate < 0.6 ? "var(--bad)" : "var(--live)"} label={`Success with ${words(what)}`} />
          </span>
          <span className="num fleet-count">{percent(rate)}</span>
        </li>
      ))}
    </ul>
  );
}

function Performance({ told }: { told: AgentOutlook }) {
  const { performance } = told;
  const trend = (of: string) => (of === "insufficient_data" ? "not enough yet" : words(of));
  const figures: [string, string, string][] = [
    ["success", performance.total_tasks > 0 ? percent(performance.overall_success_rate) : "–", trend(performance.trends.success_rate)],
    ["quality", performance.average_quality_score?.toFixed(2) ?? "–", trend(performance.trends.quality)],
    ["tasks", count(performance.total_tasks), `${performance.failed_tasks} failed`],
    ["today", count(told.tasks_completed_today), `${told.tasks_in_progress} at work`],
    ["mean time", duration(performance.average_execution_time_seconds), trend(performance.trends.efficiency)],
    ["cost a task", money(performance.cost_per_task_usd), `${money(performance.total_cost_usd)} in all`],
    ["tokens a task", short(performance.tokens_per_task), `${short(performance.total_tokens_used)} in all`],
    ["tier", told.performance_tier, told.tier_provisional ? "provisional" : "settled"],
  ];
  return (
    <>
      <div className="figures">
        {figures.map(([name, value, rest]) => (
          <div className="figure" key={name}>
            <span className="label">{name}</span>
            <b>{value}</b>
            <span className="dim text-xs">{rest}</span>
          </div>
        ))}
      </div>
      {told.recommendations.length > 0 && (
        <ul className="p-3">
          {told.recommendations.map((one) => (
            <li key={one}>{one}</li>
          ))}
        </ul>
      )}
    </>
  );
}

function Work({ agent }: { agent: Agent }) {
  const query = useQuery(sessionsWhere({ agent: agent.name, limit: "20" }));
  return (
    <Panel title="Sessions">
      <Shown query={query} what="its sessions">
        {(page) =>
          page.items.length === 0 ? (
            <Empty title="It has no sessions." />
          ) : (
            <ul>
              {page.items.map((session) => (
                <li key={session.id}>
                  <Link href={`/sessions/${session.code}`} className="fleet-row">
                    <span className="dim">{session.code}</span>
                    <span className="cut flex-1">{session.title}</span>
                    <Status status={session.status} />
                    <span className="dim">{stamp(session.created_at)}</span>
                  </Link>
                </li>
              ))}
            </ul>
          )
        }
      </Shown>
    </Panel>
  );
}

function Unit({ agent }: { agent: Agent }) {
  const now = useNow(5000);
  const performance = useQuery(outlook(agent.id));
  const health = useQuery(agentHealth(agent.id));
  return (
    <div className="page">
      <header className="bar">
        <h1>{agent.name}</h1>
        {agent.kind === "simulated" && <span className="provenance">simulated</span>}
        {!agent.approved && <span className="needs">waits for approval</span>}
        <span className="grow" />
        <Mark tone={stateTones[agent.state]}>{agent.state}</Mark>
        <Mark tone={breakerTones[agent.breaker]}>breaker {words(agent.breaker)}</Mark>
      </header>
      <Panel title="Performance">
        <Shown query={performance} what="its performance">
          {(told) => <Performance told={told} />}
        </Shown>
      </Panel>
      <div className="split three">
        <Panel title="Unit">
          <Commands agent={agent} />
          <dl className="facts border-t border-line">
            <dt>kind</dt>
            <dd>
              {agent.kind} {agent.version}
            </dd>
            <dt>type</dt>
            <dd>{agent.agent_type}</dd>
            <dt>model</dt>
            <dd>{agent.model_identifier ?? "–"}</dd>
            <dt>load</dt>
            <dd>
              {agent.load.current_concurrent_tasks} of {agent.load.max_concurrent_capacity}, {agent.load.load_level}
              <Gauge share={agent.load.utilization_percentage / 100} label="Load" />
            </dd>
            <dt>heard of</dt>
            <dd>{since(heardOf(agent), now)} ago</dd>
            <dt>probe</dt>
            <dd>
              {agent.last_probe ? (
                <>
                  <Mark tone={agent.last_probe.is_alive ? "good" : "bad"}>
                    {agent.last_probe.is_alive ? `alive in ${agent.last_probe.took_ms}ms` : "no answer"}
                  </Mark>
                  {agent.last_probe.error && <p className="bad wrap">{agent.last_probe.error}</p>}
                </>
              ) : (
                "not asked"
              )}
            </dd>
            <dt>registered</dt>
            <dd>{stamp(agent.created_at)}</dd>
          </dl>
        </Panel>
        <Panel title="Health">
          <Shown query={health} what="its health">
            {(told) =>
              told.issues.length === 0 ? (
                <p className="p-3">
                  <Mark tone="good">Nothing is wrong with it.</Mark>
                </p>
              ) : (
                <ul className="p-3">
                  {told.issues.map((issue) => (
                    <li key={issue.type}>
                      <Mark tone={issue.severity === "critical" ? "bad" : "warn"}>{issue.message}</Mark>
                    </li>
                  ))}
                </ul>
              )
            }
          </Shown>
          <h3 className="label px-3 pb-1">Can</h3>
          <p className="flex flex-wrap gap-1 px-3 pb-3">
            {agent.capabilities.map((one) => (
              <span className="tag" key={one}>
                {words(one)}
              </span>
            ))}
          </p>
        </Panel>
        <Panel title="Success by capability">
          <Shown query={performance} what="its performance">
            {(told) => <Rates rates={told.performance.capability_success_rates} name="capability" />}
          </Shown>
        </Panel>
      </div>
      <Work agent={agent} />
    </div>
  );
}

export function AgentPage({ id }: { id: string }) {
  const query = useQuery(agentOf(id));
  return (
    <Shown query={query} what="the agent" rows={14}>
      {(agent) => <Unit agent={agent} />}
    </Shown>
  );
}

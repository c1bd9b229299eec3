import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { agents, attention, serverHealth, sessionsWhere, stats, systemInfo } from "../../api/queries";
import type { Agent, AttentionItem, Health, SessionStats } from "../../api/types";
import { CommandLine, Empty, Gauge, Panel, Provenance, Shown, useNow } from "../../parts/basics";
import { count, duration, money, short, until } from "../../parts/format";
import { Glyph, looks, Mark, statuses } from "../../parts/status";
import { useKeys } from "../../shell/keys";
import { useHere } from "../../shell/who";
import { Card } from "./card";
import { Charts } from "./charts";
import { EventFeed, Lately } from "./feed";

function Strip({ data, waiting }: { data: SessionStats; waiting: number }) {
  return (
    <ul className="strip" aria-label="Sessions by status">
      <li>
        <Link href="/attention" className={`strip-cell ${waiting > 0 ? "strip-needs" : ""}`}>
          <span className="strip-count">{waiting}</span>
          <span className="strip-word">needs you</span>
        </Link>
      </li>
      {statuses.map((status) => {
        const number = data.sessions_by_status[status] ?? 0;
        return (
          <li key={status}>
            <Link href={`/sessions?status=${status}`} className="strip-cell" data-none={number === 0 || undefined}>
              <span className="strip-count">{count(number)}</span>
              <span className="strip-word">
                <Glyph status={status} size={10} />
                {looks[status].word}
              </span>
            </Link>
          </li>
        );
      })}
    </ul>
  );
}

function Totals({ data }: { data: SessionStats }) {
  return (
    <span className="totals flex items-center gap-4 whitespace-nowrap">
      <span>
        {short(data.total_tokens)} <span className="dim">tokens</span>
      </span>
      <span>
        {money(data.total_cost_usd)} <span className="dim">in all</span>
      </span>
      <Provenance simulated={data.simulated} />
    </span>
  );
}

function Working() {
  const now = useNow();
  const { can } = useHere();
  const [, go] = useLocation();
  const [at, setAt] = useState(-1);
  const query = useQuery(sessionsWhere({ status: ["running", "degraded", "paused", "queued"], limit: "12" }));
  const all = useQuery(stats);
  const items = query.data?.items ?? [];
  const step = (by: number) => setAt((old) => Math.max(0, Math.min(items.length - 1, old + by)));
  useKeys({
    j: () => step(1),
    k: () => step(-1),
    Enter: () => {
      const chosen = items[at];
      if (chosen) go(`/sessions/${chosen.code}`);
    },
  });
  return (
    <Panel title="At work" rest={all.data && <Totals data={all.data} />}>
      <Shown query={query} what="sessions" rows={8}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty title="Nothing is at work.">
              {can({ role: "member", scope: "sessions:write" }) ? (
                <>
                  <Link className="button main" href="/sessions?new=1">
                    New session
                  </Link>
                  <p className="dim">or, in the folder of a project:</p>
                  <CommandLine>orchestrator run "Fix the failing test"</CommandLine>
                </>
              ) : (
                <p className="dim">Sessions that others start are shown here as they run.</p>
              )}
            </Empty>
          ) : (
            <>
              <div className="cards">
                {page.items.map((session, index) => (
                  <Card key={session.id} session={session} now={now} chosen={index === at} />
                ))}
              </div>
              {page.has_more && (
                <Link className="button plain m-2" href="/sessions?status=running&status=degraded&status=paused&status=queued">
                  All that are at work
                </Link>
              )}
            </>
          )
        }
      </Shown>
    </Panel>
  );
}

function Waiting({ items }: { items: AttentionItem[] }) {
  const now = useNow();
  if (items.length === 0) return <p className="dim p-3">Nobody waits for you.</p>;
  const ordered = [...items].sort((one, other) => one.deadline.localeCompare(other.deadline));
  return (
    <ul>
      {ordered.slice(0, 6).map((item) => (
        <li key={item.id}>
          <Link href={`/attention?item=${item.id}`} className="wait">
            <span className="needs">{item.kind}</span>
            <span className="cut flex-1">{item.title}</span>
            <span className={Date.parse(item.deadline) - now < 120_000 ? "bad" : "dim"}>{until(item.deadline, now)}</span>
          </Link>
        </li>
      ))}
      {items.length > 6 && (
        <li>
          <Link href="/attention" className="wait dim">
            {items.length - 6} more
          </Link>
        </li>
      )}
    </ul>
  );
}

const tones = { idle: "quiet", active: "good", busy: "warn", degraded: "bad", offline: "bad", draining: "warn", maintenance: "warn", inactive: "quiet" } as const;

function Fleet({ items }: { items: Agent[] }) {
  if (items.length === 0) {
    return (
      <Empty title="No agent is registered.">
        <Link className="button" href="/agents?new=1">
          Register one
        </Link>
      </Empty>
    );
  }
  return (
    <ul>
      {items.slice(0, 10).map((agent) => (
        <li key={agent.id}>
          <Link href={`/agents/${agent.id}`} className="fleet-row">
            <span className="cut flex-1">{agent.name}</span>
            <Mark tone={tones[agent.state]}>{agent.state}</Mark>
            <span className="fleet-load">
              <Gauge share={agent.load.utilization_percentage / 100} label={`Load of ${agent.name}`} />
            </span>
            <span className="num fleet-count">
              {agent.load.current_concurrent_tasks}
              <span className="dim">/{agent.load.max_concurrent_capacity}</span>
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function Server({ health }: { health: Health }) {
  const { can } = useHere();
  const info = useQuery({ ...systemInfo, enabled: can({ role: "viewer", scope: "system:read" }) });
  return (
    <>
      <ul>
        {health.components.map((part) => (
          <li key={part.name} className="fleet-row">
            <span className="cut flex-1">{part.name}</span>
            {part.latency_ms !== null && part.latency_ms !== undefined && <span className="dim">{part.latency_ms.toFixed(1)}ms</span>}
            <Mark tone={part.status === "healthy" ? "good" : part.status === "degraded" ? "warn" : "bad"}>{part.status}</Mark>
          </li>
        ))}
      </ul>
      {info.data && (
        <p className="dim px-3 py-1">
          {info.data.store} · {info.data.sandbox} · {info.data.executing_sessions} of {info.data.max_running_sessions} slots
        </p>
      )}
    </>
  );
}

export function Overview() {
  const { can } = useHere();
  const figures = useQuery(stats);
  const waiting = useQuery(attention);
  const fleet = useQuery({ ...agents, enabled: can({ role: "viewer", scope: "agents:read" }) });
  const health = useQuery(serverHealth);
  return (
    <div className="overview">
      <h1 className="sr">Overview</h1>
      <div className="overview-strip">
        <Shown query={figures} what="the figures" rows={2}>
          {(data) => <Strip data={data} waiting={waiting.data?.length ?? 0} />}
        </Shown>
      </div>
      <div className="overview-main">
        <Working />
        <Charts />
        <Lately />
      </div>
      <div className="overview-side">
        <Panel title="Needs you" rest={<Link href="/attention" className="dim">g a</Link>}>
          <Shown query={waiting} what="what waits">
            {(items) => <Waiting items={items} />}
          </Shown>
        </Panel>
        {can({ role: "viewer", scope: "agents:read" }) && (
          <Panel title="Agents" rest={<Link href="/agents" className="dim">g f</Link>}>
            <Shown query={fleet} what="agents">
              {(items) => <Fleet items={items} />}
            </Shown>
          </Panel>
        )}
        <Panel
          title="Server"
          rest={
            health.data && (
              <span className="dim">
                {health.data.version} · up {duration(health.data.uptime_seconds)}
              </span>
            )
          }
        >
          <Shown query={health} what="the health of the server">
            {(data) => <Server health={data} />}
          </Shown>
        </Panel>
        {can({ role: "viewer", scope: "events:read" }) && <EventFeed />}
      </div>
    </div>
  );
}

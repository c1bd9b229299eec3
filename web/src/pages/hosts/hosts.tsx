// The agent servers that this machine keeps: how they are, how much they took, and when they are replaced.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { tell } from "../../api/client";
import { hosts as hostsOf } from "../../api/queries";
import type { Host, HostRecycling, HostServer } from "../../api/types";
import { CommandLine, Empty, Gauge, Shown, useNow } from "../../parts/basics";
import { useConfirm } from "../../parts/confirm";
import { bytes, count, duration, NONE, since, stamp } from "../../parts/format";
import { Mark } from "../../parts/status";
import { useKeys } from "../../shell/keys";
import { useHere } from "../../shell/who";

const tones: Record<string, "good" | "warn" | "bad" | "quiet"> = {
  starting: "warn",
  ready: "good",
  draining: "warn",
  wedged: "bad",
  failed: "bad",
  stopped: "quiet",
};

/** How much of something is used up, where that is known. */
function Use({ name, used, limit, shown }: { name: string; used: number | null; limit: number; shown: (value: number | null) => string }) {
  return (
    <div className="use">
      <span className="label">{name}</span>
      <span>
        {shown(used)} <span className="dim">of {limit > 0 ? shown(limit) : "no limit"}</span>
      </span>
      <Gauge share={used === null || limit === 0 ? null : used / limit} label={name} />
    </div>
  );
}

function Server({ server, host, name }: { server: HostServer; host: Host; name: string }) {
  const { limits } = host;
  return (
    <div className="server">
      <p className="card-head">
        <span className="label">{name}</span>
        <span className="strong">{server.version}</span>
        <span className="dim">pid {server.pid ?? NONE}</span>
        <span className="dim cut">since {stamp(server.started_at)}</span>
        {server.tools_rss_bytes !== null && <span className="dim cut">tools {bytes(server.tools_rss_bytes)}</span>}
      </p>
      <div className="uses">
        <Use name="sessions now" used={server.running_sessions} limit={limits.running_sessions} shown={count} />
        <Use name="memory" used={server.rss_bytes} limit={limits.soft_rss_bytes} shown={bytes} />
        <Use name="runs served" used={server.served_sessions} limit={limits.served_sessions} shown={count} />
        <Use name="age" used={server.age_seconds} limit={limits.age_seconds} shown={duration} />
      </div>
    </div>
  );
}

function One({ host, chosen, onRecycle }: { host: Host; chosen: boolean; onRecycle: (() => void) | null }) {
  const now = useNow(5000);
  const probe = host.last_probe;
  return (
    <section className="lock" data-chosen={chosen || undefined} aria-label={host.id}>
      <header>
        <h2 className="cut">{host.id}</h2>
        <span className="tag">{host.kind}</span>
        <Mark tone={tones[host.state] ?? "quiet"}>{host.state}</Mark>
        <span className="flex-1" />
        {probe ? (
          <Mark tone={probe.error === null ? "good" : "bad"}>
            {probe.error === null ? `${probe.is_deep ? "went through" : "answered"} in ${Math.round(probe.latency_ms)}ms` : "no answer"}, {since(probe.at, now)} ago
          </Mark>
        ) : (
          <span className="dim">not asked yet</span>
        )}
        {onRecycle && (
          <button type="button" className="button" disabled={host.server === null || host.replacement !== null} onClick={onRecycle}>
            Recycle
          </button>
        )}
      </header>
      {host.server && <Server server={host.server} host={host} name="server" />}
      {host.replacement && <Server server={host.replacement} host={host} name="takes over" />}
      {!host.server && !host.replacement && <p className="dim p-3">No server works here now; one is started when there is work.</p>}
      <p className="dim card-foot px-3 pb-2">
        <span>{host.starts === 1 ? "1 start" : `${count(host.starts)} starts`} since this process began</span>
        {host.reason && <span className="cut">because: {host.reason}</span>}
      </p>
      {probe?.error && <p className="bad wrap px-3 pb-2">{probe.error}</p>}
    </section>
  );
}

export function Hosts() {
  const query = useQuery(hostsOf);
  const { can } = useHere();
  const { ask, dialog } = useConfirm();
  const [steps, setSteps] = useState<string[]>([]);
  const [at, setAt] = useState(-1);
  const mayRecycle = can({ role: "admin", scope: "system:write", system: true });
  const items = query.data?.items ?? [];
  const step = (by: number) => setAt((old) => Math.max(0, Math.min(items.length - 1, old + by)));
  useKeys({ j: () => step(1), k: () => step(-1) });
  const recycle = (host: Host) =>
    ask({
      title: `Recycle ${host.id}`,
      verb: "Recycle",
      reason: "may",
      consequence: (
        <p>
          Another server is started. {host.server?.running_sessions ? `The ${host.server.running_sessions} sessions` : "Sessions"} that work with this one
          are moved to it when their turn is over, then this one ends. No session is lost.
        </p>
      ),
      run: (reason) => tell("POST", "/hosts/{id}/recycle", { params: { id: host.id }, body: { reason: reason || null } }),
      done: (answer) => setSteps((answer as HostRecycling | null)?.steps ?? []),
    });
  return (
    <div className="list-page">
      <div className="bar">
        <h1>Hosts</h1>
        <span className="grow" />
        <span className="dim">looked at every 5 s</span>
      </div>
      <div className="tab-scroll">
        {steps.length > 0 && (
          <div className="notice m-2" role="status">
            <ol>
              {steps.map((one) => (
                <li key={one}>{one}</li>
              ))}
            </ol>
          </div>
        )}
        <Shown query={query} what="hosts" rows={10}>
          {() =>
            items.length === 0 ? (
              <Empty title="This machine keeps no agent server.">
                <p className="dim">One is kept for each agent of the kind opencode that the server starts itself.</p>
                <CommandLine>orchestrator agent detect --register</CommandLine>
              </Empty>
            ) : (
              <div className="page">
                {items.map((host, index) => (
                  <One key={host.id} host={host} chosen={index === at} onRecycle={mayRecycle ? () => recycle(host) : null} />
                ))}
              </div>
            )
          }
        </Shown>
      </div>
      {dialog}
    </div>
  );
}

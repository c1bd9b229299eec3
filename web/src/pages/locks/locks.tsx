// Locks: who holds them, who waits for whom and since when, and how to take one away.

import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link } from "wouter";
import { tell } from "../../api/client";
import { locks as locksOf } from "../../api/queries";
import type { Lock, LockOwner, Locks as Told, StreamEvent } from "../../api/types";
import { useLive } from "../../live/store";
import { CommandLine, Empty, Gauge, Panel, Shown, useNow } from "../../parts/basics";
import { useConfirm } from "../../parts/confirm";
import { count, duration, since, stamp, until } from "../../parts/format";
import { Mark } from "../../parts/status";
import { useKeys } from "../../shell/keys";
import { useHere } from "../../shell/who";
import { WaitGraph } from "./graph";

function Owner({ owner, session }: { owner: LockOwner; session?: string | null }) {
  return (
    <>
      {owner.kind === "agent" ? (
        <Link className="underline-hover" href={`/agents/${owner.id}`}>
          {owner.name}
        </Link>
      ) : owner.kind === "session" ? (
        <Link className="underline-hover" href={`/sessions/${owner.id}`}>
          {owner.name}
        </Link>
      ) : (
        owner.name
      )}{" "}
      <span className="dim">{owner.kind}</span>
      {session && owner.kind !== "session" && (
        <Link className="tag ml-2" href={`/sessions/${session}`}>
          session
        </Link>
      )}
    </>
  );
}

/** How much of its time a hold has left. */
function Left({ lock, now }: { lock: Lock["holders"][number]; now: number }) {
  const share = (Date.parse(lock.expires_at) - now) / 1000 / lock.ttl_seconds;
  return (
    <span className="flex items-center gap-2">
      <span className="lock-left">
        <Gauge share={share} paint={share < 0.2 ? "var(--warn)" : "var(--live)"} label={`Time left of ${lock.name}`} />
      </span>
      {until(lock.expires_at, now)}
    </span>
  );
}

function One({ lock, now, chosen, onTake }: { lock: Lock; now: number; chosen: boolean; onTake: (() => void) | null }) {
  return (
    <section className="lock" data-chosen={chosen || undefined} aria-label={lock.name}>
      <header>
        <h2 className="cut">{lock.name}</h2>
        {lock.holders[0] && <span className="tag">{lock.holders[0].mode}</span>}
        {lock.queue.length > 0 && <Mark tone="warn">{lock.queue.length === 1 ? "1 waits" : `${lock.queue.length} wait`}</Mark>}
        <span className="flex-1" />
        {onTake && lock.holders.length > 0 && (
          <button type="button" className="button danger" onClick={onTake}>
            Force release
          </button>
        )}
      </header>
      <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={`Holders and queue of ${lock.name}`}>
        <table className="grid-table">
          <tbody>
            {lock.holders.map((hold) => (
              <tr key={hold.lock_id}>
                <td className="w-16">
                  <Mark tone="good">holds</Mark>
                </td>
                <td className="cut">
                  <Owner owner={hold.owner} session={hold.session_id ?? null} />
                </td>
                <td className="dim">since {since(hold.acquired_at, now)}</td>
                <td>
                  <Left lock={hold} now={now} />
                </td>
                <td className="dim">
                  token {hold.fencing_token}
                  {hold.hold_count > 1 && `, ${hold.hold_count} times`}
                  {hold.renewal_count > 0 && `, renewed ${count(hold.renewal_count)} times`}
                </td>
              </tr>
            ))}
            {lock.queue.map((waiter) => (
              <tr key={waiter.request_id}>
                <td>
                  <span className="dim">{waiter.position}.</span>
                </td>
                <td className="cut">
                  <Owner owner={waiter.owner} />
                </td>
                <td>waits {duration(Math.floor((now - Date.parse(waiter.requested_at)) / 1000))}</td>
                <td className="dim">gives up in {until(waiter.expires_at, now)}</td>
                <td className="dim">
                  {waiter.mode === "shared" && "shared, "}priority {waiter.priority}
                  {waiter.effective_priority > waiter.priority && `, by waiting ${waiter.effective_priority}`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

const troubles: Record<string, string> = {
  "lock.deadlock_detected": "a ring, broken",
  "lock.wait_timeout": "waited in vain",
  "lock.expired": "ran out",
  "lock.lost": "lost",
  "lock.force_released": "taken away",
};

/** Which lock an event is about. */
const lockOf = ({ subject, payload }: StreamEvent) => String(payload.name ?? payload.lock ?? subject.id);

/** What went wrong with locks lately, and how often somebody had to wait. */
function Contention() {
  const now = useNow(1000);
  const { lately, waits, busiest } = useMemo(() => {
    const events = useLive.getState().feed.events.filter((event) => event.type.startsWith("lock."));
    const recent = events.filter((event) => Date.parse(event.timestamp) > now - 3_600_000);
    const perLock = new Map<string, number>();
    for (const event of recent) if (event.type === "lock.queued") perLock.set(lockOf(event), (perLock.get(lockOf(event)) ?? 0) + 1);
    return {
      lately: recent.filter((event) => troubles[event.type]).slice(-12).reverse(),
      waits: [...perLock.values()].reduce((sum, one) => sum + one, 0),
      busiest: [...perLock].sort(([, one], [, other]) => other - one).slice(0, 6),
    };
  }, [now]);
  const most = busiest[0]?.[1] ?? 1;
  return (
    <Panel title="Last hour" rest={<span className="dim">{waits === 1 ? "1 wait" : `${count(waits)} waits`}</span>}>
      {busiest.length === 0 && lately.length === 0 && <p className="dim p-3">Nobody had to wait, as far as this page was told.</p>}
      <ul>
        {busiest.map(([name, times]) => (
          <li key={name} className="fleet-row">
            <span className="cut flex-1">{name}</span>
            <span className="fleet-load">
              <Gauge share={times / most} paint="var(--status-queued)" label={`Waits for ${name}`} />
            </span>
            <span className="num fleet-count">{times}</span>
          </li>
        ))}
        {lately.map((event) => (
          <li key={event.seq} className="fleet-row" title={stamp(event.timestamp)}>
            <Mark tone={event.type === "lock.deadlock_detected" || event.type === "lock.lost" ? "bad" : "warn"}>{troubles[event.type]}</Mark>
            <span className="cut flex-1">{lockOf(event)}</span>
            <span className="dim">{since(event.timestamp, now)} ago</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Figures({ told }: { told: Told }) {
  const { statistics } = told;
  const longest = Math.max(0, ...statistics.lock_stats.map((one) => one.longest_wait_seconds ?? 0));
  const figures: [string, string][] = [
    ["held", count(statistics.active_locks)],
    ["wait", count(statistics.waiting_requests)],
    ["longest wait", statistics.waiting_requests > 0 ? duration(Math.floor(longest)) : "–"],
  ];
  return (
    <div className="figures">
      {figures.map(([name, value]) => (
        <div className="figure" key={name}>
          <span className="label">{name}</span>
          <b>{value}</b>
        </div>
      ))}
    </div>
  );
}

export function Locks() {
  const query = useQuery(locksOf);
  const now = useNow();
  const { can } = useHere();
  const { ask, dialog } = useConfirm();
  const [at, setAt] = useState(-1);
  const mayTake = can({ role: "admin", scope: "locks:write" });
  const items = query.data?.items ?? [];
  const step = (by: number) => setAt((old) => Math.max(0, Math.min(items.length - 1, old + by)));
  useKeys({ j: () => step(1), k: () => step(-1) });
  const take = (lock: Lock) =>
    ask({
      title: `Take ${lock.name} away`,
      verb: "Force release",
      danger: true,
      reason: "must",
      consequence: (
        <p>
          {lock.holders.map((hold) => hold.owner.name).join(", ")} no longer {lock.holders.length === 1 ? "holds" : "hold"} it, and{" "}
          {lock.queue[0] ? `${lock.queue[0].owner.name} gets it at once` : "nobody does"}. Whoever works under it is not stopped by that: only what refuses
          its old token, {Math.max(0, ...lock.holders.map((hold) => hold.fencing_token))}, is safe.
        </p>
      ),
      run: (reason) => tell("DELETE", "/locks/{name}", { params: { name: lock.name }, query: { reason } }),
    });
  return (
    <div className="list-page">
      <div className="bar">
        <h1>Locks</h1>
        <span className="grow" />
        {query.data?.has_more && <span className="dim">the first {items.length}</span>}
      </div>
      <div className="tab-scroll">
        <Shown query={query} what="locks" rows={10}>
          {(told) => (
            <div className="locks">
              <div className="flex min-w-0 flex-col gap-2">
                {told.items.length === 0 ? (
                  <Empty title="Nothing is locked.">
                    <p className="dim">A lock is there as long as somebody holds it or waits for it. One is taken with</p>
                    <CommandLine>orchestrator lock acquire deploy/staging --ttl 60</CommandLine>
                  </Empty>
                ) : (
                  told.items.map((lock, index) => (
                    <One key={lock.name} lock={lock} now={now} chosen={index === at} onTake={mayTake ? () => take(lock) : null} />
                  ))
                )}
              </div>
              <div className="flex min-w-0 flex-col gap-2">
                <Figures told={told} />
                <Panel title="Who waits for whom">
                  {told.statistics.wait_for_edges.length === 0 ? (
                    <p className="dim p-3">Nobody waits. A ring of waiting is refused the moment that it would close.</p>
                  ) : (
                    <WaitGraph edges={told.statistics.wait_for_edges} locks={told.items} />
                  )}
                </Panel>
                <Contention />
              </div>
            </div>
          )}
        </Shown>
      </div>
      {dialog}
    </div>
  );
}

// Small histories of the last hour, from the events that the stream told.

import type { StreamEvent } from "../../api/types";

export const BUCKETS = 60;
const MINUTE = 60_000;

export interface Series {
  /** Oldest first; `null` where nothing was measured. */
  values: (number | null)[];
  /** All of them together, or their mean. */
  summary: number | null;
  simulated: boolean;
}

export interface History {
  ended: Series;
  waited: Series;
  spent: Series;
  /** When the first bucket that is fully known begins, in milliseconds. */
  from: number;
}

const ends = new Set([
  "session.completed",
  "session.partially_completed",
  "session.failed",
  "session.timed_out",
  "session.stopped",
  "session.cancelled",
  "session.orphaned",
]);

/** Sixty buckets of a minute up to now. */
export function history(events: readonly StreamEvent[], now: number): History {
  const begin = Math.floor(now / MINUTE) * MINUTE - (BUCKETS - 1) * MINUTE;
  const first = events[0] ? Date.parse(events[0].timestamp) : now;
  const bucketOf = (at: number) => Math.floor((at - begin) / MINUTE);
  const known = (index: number) => begin + (index + 1) * MINUTE > first;
  const zeros = (): (number | null)[] => Array.from({ length: BUCKETS }, (_, index) => (known(index) ? 0 : null));
  const ended = zeros();
  const spent = zeros();
  const sums: number[] = Array(BUCKETS).fill(0);
  const counts: number[] = Array(BUCKETS).fill(0);
  const queued = new Map<string, number>();
  let [done, money, waits, waited] = [0, 0, 0, 0];
  let simulated = false;
  for (const event of events) {
    const at = Date.parse(event.timestamp);
    const id = event.subject.id;
    if (event.type === "session.queued") queued.set(id, at);
    const bucket = bucketOf(at);
    if (bucket < 0 || bucket >= BUCKETS) continue;
    if (ends.has(event.type)) {
      ended[bucket] = (ended[bucket] ?? 0) + 1;
      done += 1;
    } else if (event.type === "session.started") {
      const since = queued.get(id);
      queued.delete(id);
      if (since === undefined) continue;
      const seconds = (at - since) / 1000;
      sums[bucket] = (sums[bucket] ?? 0) + seconds;
      counts[bucket] = (counts[bucket] ?? 0) + 1;
      waits += 1;
      waited += seconds;
    } else if (event.type === "usage.recorded" && typeof event.payload.cost_usd === "number") {
      spent[bucket] = (spent[bucket] ?? 0) + event.payload.cost_usd;
      money += event.payload.cost_usd;
      simulated ||= event.payload.simulated === true;
    }
  }
  const means = counts.map((count, index) => (count > 0 ? (sums[index] ?? 0) / count : null));
  return {
    ended: { values: ended, summary: done, simulated: false },
    waited: { values: means, summary: waits > 0 ? waited / waits : null, simulated: false },
    spent: { values: spent, summary: money, simulated },
    from: Math.max(begin, first),
  };
}

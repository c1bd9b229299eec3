// Merges that wait for somebody to decide: known by the events that tell of them.

import { queryOptions } from "@tanstack/react-query";
import { read } from "../../api/client";
import type { SeqPage, StreamEvent } from "../../api/types";

/** How long a merge waits, in milliseconds. */
export const WAITS = 7 * 86_400_000;
const PAGES = 10;

export interface Waiting {
  id: string;
  /** The target comes first. */
  sources: string[];
  paths: string[];
  by: string;
  until: number;
}

/** The merges that wait, newest first. */
export function waiting(events: readonly StreamEvent[], now: number): Waiting[] {
  const found = new Map<string, Waiting>();
  for (const { type, subject, timestamp, payload } of events) {
    if (type === "context.merge_resolved") found.delete(subject.id);
    const until = Date.parse(timestamp) + WAITS;
    if (type !== "context.merge_conflicted" || until <= now) continue;
    const list = (name: string) => (Array.isArray(payload[name]) ? payload[name].map(String) : []);
    found.set(subject.id, { id: subject.id, sources: list("source_ids"), paths: list("conflicts"), by: String(payload.by ?? ""), until });
  }
  return [...found.values()].reverse();
}

/** What is stored of merges. */
export const merges = queryOptions({
  queryKey: ["of", "contexts", "merges"],
  queryFn: async ({ signal }) => {
    const events: StreamEvent[] = [];
    for (let page = 0; page < PAGES; page += 1) {
      const found: SeqPage<StreamEvent> = await read("/events", {
        query: { type: ["context.merge_conflicted", "context.merge_resolved"], after: events.at(-1)?.seq ?? 0, limit: 200 },
        signal,
      });
      events.push(...found.items);
      if (!found.has_more) break;
    }
    return events;
  },
});

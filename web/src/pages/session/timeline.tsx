// Everything that happened to a session, one under the other, on a line.

import { useQuery } from "@tanstack/react-query";
import { memo, useMemo } from "react";
import { read } from "../../api/client";
import type { SeqPage, SessionStatus, StreamEvent } from "../../api/types";
import { eventsOf, useLive } from "../../live/store";
import { Shown } from "../../parts/basics";
import { clock, duration, money, stamp, words } from "../../parts/format";
import { colour } from "../../parts/status";

const PAGES = 10;

/** The stored events of a session, from the first on. */
function useStored(id: string) {
  return useQuery({
    queryKey: ["events", id],
    queryFn: async ({ signal }) => {
      const events: StreamEvent[] = [];
      for (let page = 0; page < PAGES; page += 1) {
        const found: SeqPage<StreamEvent> = await read("/sessions/{id}/events", {
          params: { id },
          query: { after: events.at(-1)?.seq ?? 0, limit: 200 },
          signal,
        });
        events.push(...found.items);
        if (!found.has_more) break;
      }
      return events;
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** What is stored and what came since, each once, in order. */
export function joined(stored: readonly StreamEvent[], live: readonly StreamEvent[], id: string): StreamEvent[] {
  const last = stored.at(-1)?.seq ?? 0;
  const ours = live.filter(
    (event) => event.seq > last && (event.subject.id === id || event.payload.session_id === id),
  );
  return stored.concat(ours);
}

/** What other events say in other words. */
const doubles = new Set(["session.status_changed", "agent.performance_updated", "agent.task_assigned", "agent.task_acknowledged"]);

type Tone = SessionStatus | "attention" | "plain";

const tones: Record<string, Tone> = {
  "session.created": "pending",
  "session.queued": "queued",
  "session.started": "running",
  "session.resumed": "running",
  "session.recovered": "running",
  "session.paused": "paused",
  "session.degraded": "degraded",
  "session.completed": "completed",
  "session.partially_completed": "partially_completed",
  "session.merged": "completed",
  "session.failed": "failed",
  "session.timed_out": "timeout",
  "session.stopped": "stopped",
  "session.cancelled": "cancelled",
  "session.orphaned": "orphaned",
  "session.attention_changed": "attention",
};

/** The facts of an event in a few words. */
export function about({ type, payload }: StreamEvent): string {
  const text = (name: string) => {
    const value = payload[name];
    return typeof value === "string" || typeof value === "number" ? String(value) : "";
  };
  switch (type) {
    case "session.started":
      return `attempt ${text("attempt")}, token ${text("fencing_token")}`;
    case "session.phase_changed":
      return text("new_phase");
    case "session.checkpoint_created":
    case "session.checkpoint_restored":
      return `#${text("sequence")} ${text("trigger")}`;
    case "session.failed":
    case "session.timed_out":
      return text("error_message");
    case "session.degraded":
      return Array.isArray(payload.reasons) ? payload.reasons.map(String).map(words).join(", ") : "";
    case "session.attention_changed": {
      const item = payload.item as { title?: string; state?: string } | null;
      return [item?.state === "open" ? "" : item?.state, item?.title].filter(Boolean).join(": ");
    }
    case "session.updated":
      return Array.isArray(payload.changed) ? payload.changed.map(String).map(words).join(", ") : "";
    case "session.completed": {
      const seconds = payload.execution_duration_seconds;
      return typeof seconds === "number" ? `after ${duration(seconds)}` : "";
    }
    case "usage.recorded":
      return `${text("tokens_input")} in, ${text("tokens_output")} out, ${money(typeof payload.cost_usd === "number" ? payload.cost_usd : null)}`;
    case "session.prompt_injected":
      return `${text("mode")}, by ${text("actor")}`;
    case "lock.queued":
    case "lock.acquired":
    case "lock.released":
    case "lock.expired":
    case "lock.lost":
    case "lock.force_released":
    case "lock.wait_timeout":
    case "lock.deadlock_detected":
      return [text("name"), (payload.owner as { name?: string } | undefined)?.name].filter(Boolean).join(", ");
    case "context.updated":
      return text("by") || text("changed_by");
    case "context.merge_conflicted":
      return Array.isArray(payload.conflicts) ? payload.conflicts.map(String).join(", ") : "";
    default:
      return text("reason") || text("outcome");
  }
}

interface Moment {
  event: StreamEvent;
  /** How often the same happened in a row, and what it cost together. */
  times: number;
  cost: number;
}

/** What happens again and again stands once, as of when it happened last. */
export function folded(events: readonly StreamEvent[]): Moment[] {
  const moments: Moment[] = [];
  for (const event of events) {
    const last = moments.at(-1);
    const cost = typeof event.payload.cost_usd === "number" ? event.payload.cost_usd : 0;
    if (last && last.event.type === "usage.recorded" && event.type === "usage.recorded") {
      moments[moments.length - 1] = { event, times: last.times + 1, cost: last.cost + cost };
    } else moments.push({ event, times: 1, cost });
  }
  return moments;
}

const Entry = memo(function Entry({ moment: { event, times, cost } }: { moment: Moment }) {
  const tone = tones[event.type] ?? "plain";
  const paint = tone === "attention" ? "var(--attention)" : tone === "plain" ? "var(--edge)" : colour(tone);
  const isCheckpoint = event.type.startsWith("session.checkpoint");
  const facts = times > 1 ? `${times} times, ${money(cost)}` : about(event);
  const name = words(event.type.replace(/^session\./, "").replace(".", " "));
  return (
    <li className="moment" data-seq={event.seq} title={`event ${event.seq} · ${stamp(event.timestamp)}`}>
      <svg width="16" height="22" aria-hidden="true" className="moment-mark">
        {isCheckpoint ? (
          <path d="M8 5l5 5-5 5-5-5z" fill="var(--panel)" stroke={paint} strokeWidth="1.5" />
        ) : (
          <path d="M4 6h8v8H4z" fill={tone === "plain" ? "var(--panel)" : paint} stroke={paint} strokeWidth="1.5" />
        )}
      </svg>
      <span className="moment-time">{clock(event.timestamp)}</span>
      <span className="min-w-0">
        <span>{name}</span>
        {facts && <span className="dim moment-facts">{facts}</span>}
      </span>
    </li>
  );
});

export function Timeline({ id }: { id: string }) {
  const query = useStored(id);
  const select = useMemo(() => eventsOf(id), [id]);
  const live = useLive(select);
  const moments = useMemo(
    () => folded(joined(query.data ?? [], live, id).filter((event) => !doubles.has(event.type))),
    [query.data, live, id],
  );
  return (
    <Shown query={query} what="what happened" rows={12}>
      {() => (
        <ol className="timeline" aria-label="What happened, newest first">
          {moments.toReversed().map((moment) => (
            <Entry key={moment.event.seq} moment={moment} />
          ))}
        </ol>
      )}
    </Shown>
  );
}

// The stream itself, newest first: raw, as far as there is room.

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "wouter";
import { sessionsWhere } from "../../api/queries";
import { useLive } from "../../live/store";
import { Panel } from "../../parts/basics";
import { clock, running, stamp } from "../../parts/format";
import { isOver, Status } from "../../parts/status";
import { about } from "../session/timeline";
import { elapsed } from "./card";

const SHOWN = 40;

export function EventFeed() {
  const events = useLive((live) => live.feed.events);
  const seq = useLive((live) => live.feed.seq);
  const last = useMemo(() => events.slice(-SHOWN).toReversed(), [events]);
  return (
    <Panel title="Events" className="stretches" rest={<span className="dim">#{seq}</span>}>
      {last.length === 0 ? (
        <p className="dim p-3">Nothing has happened yet.</p>
      ) : (
        <ol className="feed" aria-label="What just happened, newest first">
          {last.map((event) => (
            <li key={event.seq} data-seq={event.seq}>
              <span className="dim">{clock(event.timestamp)}</span>
              <span className="cut">
                {event.type} <span className="dim">{about(event)}</span>
              </span>
              <span className="dim">{event.seq}</span>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

/** What came to an end, or waits to be begun. */
export function Lately() {
  const { data } = useQuery(sessionsWhere({ limit: "40" }));
  const now = Date.now();
  const items = (data?.items ?? [])
    .filter((session) => isOver(session.status) || session.status === "pending")
    .sort((one, other) => other.status_updated_at.localeCompare(one.status_updated_at))
    .slice(0, 12);
  if (items.length === 0) return null;
  return (
    <Panel title="Lately" rest={<Link href="/sessions" className="dim">g s</Link>}>
      <ul>
        {items.map((session) => (
          <li key={session.id}>
            <Link href={`/sessions/${session.code}`} className="fleet-row lately">
              <span className="dim">{session.code}</span>
              <Status status={session.status} />
              <span className="cut">{session.title}</span>
              <span className="cut dim">{session.metrics.error?.message}</span>
              <span className="num">{running(elapsed(session, now))}</span>
              <span className="num dim">{stamp(session.status_updated_at)}</span>
            </Link>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

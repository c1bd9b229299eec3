// What the one stream has told, as a value: which events, in which order, and how far behind we are.
//
// Invariant: an event is taken when its number is larger than that of the last one taken, else it was
// taken before; nothing that happens to the connection takes an event twice or puts one before another.

import type { StreamEvent } from "../api/types";

/** How many events are kept; older ones are read from the server. */
export const KEPT = 4000;

export type Connection =
  /** Not asked for yet, or the caller may not listen. */
  | { state: "off"; why: string }
  /** The first connection is being made. */
  | { state: "connecting" }
  /** What there is has been told, or is being told. */
  | { state: "live" }
  /** The connection is gone, and another one is being made. */
  | { state: "reconnecting"; since: number; attempt: number };

export interface Feed {
  readonly connection: Connection;
  /** Number of the last event that was taken, or that is known not to be for us. */
  readonly seq: number;
  /** Number of the newest event there is, as far as we were told. */
  readonly head: number;
  /** In order of their numbers. */
  readonly events: readonly StreamEvent[];
  /** When the server last said anything, in milliseconds. */
  readonly heard: number;
  /** Up to which number events are no longer there. */
  readonly lost: number;
}

export const silent: Feed = {
  connection: { state: "connecting" },
  seq: 0,
  head: 0,
  events: [],
  heard: 0,
  lost: 0,
};

/** Takes what came: each event once, in order. */
export function take(feed: Feed, came: readonly StreamEvent[], now: number): Feed {
  let seq = feed.seq;
  const fresh: StreamEvent[] = [];
  for (const event of came) {
    if (event.seq <= seq) continue;
    seq = event.seq;
    fresh.push(event);
  }
  if (fresh.length === 0) return { ...feed, heard: now };
  const all = feed.events.concat(fresh);
  return {
    ...feed,
    seq,
    head: Math.max(feed.head, seq),
    heard: now,
    events: all.length > KEPT ? all.slice(all.length - KEPT) : all,
  };
}

/** The server tells where the stream stands: how far it goes, and up to where we were told all. */
export function standing(feed: Feed, head: number, position: number | null, now: number): Feed {
  return {
    ...feed,
    head: Math.max(feed.head, head),
    seq: position === null ? feed.seq : Math.max(feed.seq, position),
    heard: now,
  };
}

/** Events up to a number are no longer kept by the server. */
export function gap(feed: Feed, oldest: number, now: number): Feed {
  return { ...feed, seq: Math.max(feed.seq, oldest), lost: Math.max(feed.lost, oldest), heard: now };
}

/** How many events there are that we were not told of. */
export function behind(feed: Feed): number {
  return Math.max(0, feed.head - feed.seq);
}

/** Longest silence of a connection that is still believed, in milliseconds. */
export const PATIENCE = 12_000;

export interface Truth {
  tone: "live" | "behind" | "stale" | "off";
  words: string;
}

/** What is true of the connection, in a few words. */
export function truth(feed: Feed, now: number, clock: (at: number) => string): Truth {
  const { connection } = feed;
  const missing = behind(feed);
  switch (connection.state) {
    case "off":
      return { tone: "off", words: connection.why };
    case "connecting":
      return { tone: "behind", words: "connecting" };
    case "reconnecting":
      return now - connection.since < PATIENCE
        ? { tone: "behind", words: `reconnecting, ${missing} behind` }
        : { tone: "stale", words: `stale since ${clock(feed.heard || connection.since)}` };
    case "live":
      if (now - feed.heard > PATIENCE) return { tone: "stale", words: `stale since ${clock(feed.heard)}` };
      return missing > 0
        ? { tone: "behind", words: `catching up, ${missing} behind` }
        : { tone: "live", words: "live, 0 behind" };
  }
}

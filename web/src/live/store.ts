// The one store that the stream feeds. Frames are gathered and taken once for each painted picture.

import { create } from "zustand";
import { queryClient } from "../api/queries";
import type { StreamEvent } from "../api/types";
import { type Feed, gap, silent, standing, take } from "./feed";
import { Stream } from "./socket";
import { Throttle } from "./throttle";
import { touched } from "./touch";

/** What an agent is saying right now, by the part of its message. */
export type Words = Readonly<Record<string, string>>;

interface Live {
  feed: Feed;
  /** By session; replaced by the transcript once it is stored. */
  words: Readonly<Record<string, Words>>;
}

export const useLive = create<Live>(() => ({ feed: silent, words: {} }));

/** Letters that are kept of what is being said; the whole of it comes with the transcript. */
const LONGEST = 50_000;

let stream: Stream | null = null;
let waiting: StreamEvent[] = [];
let spoken: { session: string; part: string; text: string }[] = [];
let due = false;
/** From one taking to the next while very much comes, in milliseconds. */
const BETWEEN = 100;
let flushed = 0;

const throttle = new Throttle((key) => {
  void queryClient.invalidateQueries({ queryKey: ["of", ...key] });
});

const feed = (change: (feed: Feed) => Feed) => useLive.setState((live) => ({ feed: change(live.feed) }));

/** The beginnings of the keys of everything that was read, as events name them. */
function known(): Set<string> {
  const found = new Set<string>();
  for (const { queryKey } of queryClient.getQueryCache().getAll()) {
    const [, area, id] = queryKey;
    found.add(String(area));
    found.add(`${String(area)}/${String(id)}`);
  }
  return found;
}

/** Takes what has gathered. */
function flush(): void {
  due = false;
  flushed = performance.now();
  const events = waiting;
  const said = spoken;
  waiting = [];
  spoken = [];
  const before = useLive.getState().feed.seq;
  if (events.length > 0) {
    feed((known) => take(known, events, Date.now()));
    const keys = touched(events.filter((event) => event.seq > before));
    const read = keys.length > 0 ? known() : new Set<string>();
    // What nobody has read is not out of date anywhere.
    for (const key of keys) if (read.has(key.join("/"))) throttle.ask(key);
  }
  if (said.length > 0) {
    useLive.setState(({ words }) => {
      const next: Record<string, Words> = { ...words };
      for (const { session, part, text } of said) {
        const parts = next[session] ?? {};
        next[session] = { ...parts, [part]: ((parts[part] ?? "") + text).slice(-LONGEST) };
      }
      return { words: next };
    });
    for (const session of new Set(said.map((one) => one.session))) throttle.ask(["transcript", session, "all"]);
  }
}

function soon(): void {
  if (due) return;
  due = true;
  // A page in the background is painted never, and still has to know.
  if (document.hidden) setTimeout(flush, 200);
  else {
    // One event is shown at once; of very many, people read no more than a few pictures a second.
    const wait = BETWEEN - (performance.now() - flushed);
    if (wait > 0) setTimeout(() => requestAnimationFrame(flush), wait);
    else requestAnimationFrame(flush);
  }
}

/** Listens to a tenant, and to nothing else. */
export function listen(tenant: string | null): void {
  stream?.close();
  throttle.clear();
  waiting = [];
  spoken = [];
  useLive.setState({ feed: silent, words: {} });
  stream = new Stream(tenant, {
    after: () => {
      flush();
      return useLive.getState().feed.seq;
    },
    established: (head) => {
      flush();
      const again = useLive.getState().feed.seq > 0;
      // Another store answers at this address: an older one that was restored, or a new one.
      if (useLive.getState().feed.seq > head) feed(() => silent);
      feed((known) => ({ ...standing(known, head, null, Date.now()), connection: { state: "live" } }));
      // What was read while nothing was heard may be out of date in ways that no event tells.
      if (again) void queryClient.invalidateQueries({ queryKey: ["of"] });
    },
    event: (event) => {
      waiting.push(event);
      soon();
    },
    passing: (type, session, payload) => {
      if (type === "session.output_delta") {
        spoken.push({ session, part: String(payload.part ?? ""), text: String(payload.text ?? "") });
        soon();
      } else if (type === "session.log") throttle.ask(["logs", session]);
    },
    standing: (head, position) => {
      flush();
      feed((known) => standing(known, head, position, Date.now()));
    },
    gap: (oldest) => {
      flush();
      feed((known) => gap(known, oldest, Date.now()));
      void queryClient.invalidateQueries({ queryKey: ["of"] });
    },
    refused: (why) => feed((known) => ({ ...known, connection: { state: "off", why: `not live: ${why}` } })),
    lost: (attempt) => {
      flush();
      feed((known) => ({
        ...known,
        connection: {
          state: "reconnecting",
          attempt,
          since: known.connection.state === "reconnecting" ? known.connection.since : Date.now(),
        },
      }));
    },
  });
}

/**
 * What the stream told of one session; the same array as long as nothing came that is about it.
 * Remembers how far it has looked, so that each event is looked at once.
 */
export function eventsOf(id: string): (live: Live) => readonly StreamEvent[] {
  let seen = 0;
  let found: readonly StreamEvent[] = [];
  return ({ feed: { events } }) => {
    const newest = events.at(-1)?.seq ?? 0;
    if (newest === seen) return found;
    // Another store, or another tenant.
    if (newest < seen) [seen, found] = [0, []];
    let from = events.length;
    while (from > 0 && (events[from - 1]?.seq ?? 0) > seen) from -= 1;
    const fresh = events.slice(from).filter((event) => event.subject.id === id || event.payload.session_id === id);
    seen = newest;
    if (fresh.length > 0) found = found.concat(fresh);
    return found;
  };
}

/** Listens to the words of one session until what is given back is called. */
export function attend(session: string): () => void {
  return stream?.join(`session:${session}`) ?? (() => undefined);
}

/** Forgets what an agent was saying: it stands in the transcript now. */
export function forgetWords(session: string): void {
  useLive.setState(({ words }) => {
    if (!words[session]) return {};
    const { [session]: _, ...others } = words;
    return { words: others };
  });
}

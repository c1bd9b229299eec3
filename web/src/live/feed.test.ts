import { describe, expect, it } from "vitest";
import type { StreamEvent } from "../api/types";
import { behind, type Feed, gap, KEPT, PATIENCE, silent, standing, take, truth } from "./feed";

const event = (seq: number, type = "session.updated"): StreamEvent => ({
  seq,
  type,
  subject: { kind: "session", id: "s" },
  timestamp: "2026-11-22T12:00:00Z",
  payload: {},
});
const live = (feed: Partial<Feed> = {}): Feed => ({ ...silent, connection: { state: "live" }, ...feed });
const clock = (at: number) => `at ${at}`;

describe("events", () => {
  it("are taken once and in order, however often they come", () => {
    let feed = take(live(), [event(1), event(2), event(3)], 10);
    feed = take(feed, [event(2), event(3), event(4)], 20);
    feed = take(feed, [event(4), event(1)], 30);
    expect(feed.events.map((one) => one.seq)).toEqual([1, 2, 3, 4]);
    expect(feed).toMatchObject({ seq: 4, head: 4, heard: 30 });
  });

  it("keep their order when a replay and what is live overlap", () => {
    const seen: number[] = [];
    let feed = live();
    for (const batch of [[1, 2], [2, 3, 3], [5], [4, 5, 6]]) {
      feed = take(feed, batch.map((seq) => event(seq)), 0);
    }
    seen.push(...feed.events.map((one) => one.seq));
    expect(seen).toEqual([...seen].sort((one, other) => one - other));
    expect(new Set(seen).size).toBe(seen.length);
  });

  it("are forgotten from the oldest on when there are too many", () => {
    const many = Array.from({ length: KEPT + 50 }, (_, index) => event(index + 1));
    const feed = take(live(), many, 0);
    expect(feed.events).toHaveLength(KEPT);
    expect(feed.events[0]?.seq).toBe(51);
    expect(feed.seq).toBe(KEPT + 50);
  });

  it("that are lost are told of, and not waited for", () => {
    const feed = gap(take(live(), [event(3)], 0), 90, 5);
    expect(feed).toMatchObject({ seq: 90, lost: 90 });
    expect(take(feed, [event(50), event(91)], 6).events.map((one) => one.seq)).toEqual([3, 91]);
  });
});

describe("what is true of the connection", () => {
  it("is that of the numbers", () => {
    const feed = standing(take(live(), [event(5)], 100), 9, null, 100);
    expect(behind(feed)).toBe(4);
    expect(truth(feed, 100, clock)).toEqual({ tone: "behind", words: "catching up, 4 behind" });
    // The rest was not for us, as the server says by how far it has come.
    expect(truth(standing(feed, 9, 9, 100), 100, clock)).toEqual({ tone: "live", words: "live, 0 behind" });
  });

  it("is that nothing was heard, however open the connection looks", () => {
    const feed = live({ heard: 1000 });
    expect(truth(feed, 1000 + PATIENCE + 1, clock)).toEqual({ tone: "stale", words: "stale since at 1000" });
  });

  it("goes from reconnecting to stale", () => {
    const feed = live({ seq: 6, head: 20, heard: 900, connection: { state: "reconnecting", since: 1000, attempt: 1 } });
    expect(truth(feed, 1500, clock).words).toBe("reconnecting, 14 behind");
    expect(truth(feed, 1000 + PATIENCE, clock).words).toBe("stale since at 900");
  });

  it("says so when the caller may not listen", () => {
    expect(truth(live({ connection: { state: "off", why: "not live: no" } }), 0, clock).tone).toBe("off");
  });
});

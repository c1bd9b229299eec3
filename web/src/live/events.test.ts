import { expect, it } from "vitest";
import { silent } from "./feed";
import { eventsOf } from "./store";

const event = (seq: number, id: string, payload = {}) => ({ seq, type: "x", subject: { kind: "session", id }, timestamp: "", payload });
const live = (events: ReturnType<typeof event>[]) => ({ feed: { ...silent, events }, words: {} });

it("what a session was told of stays the same until something comes about it", () => {
  const of = eventsOf("a");
  const first = [event(1, "a"), event(2, "b"), event(3, "agent", { session_id: "a" })];
  const found = of(live(first));
  expect(found.map((one) => one.seq)).toEqual([1, 3]);
  expect(of(live([...first, event(4, "b")]))).toBe(found);
  const later = of(live([event(3, "agent", { session_id: "a" }), event(4, "b"), event(5, "a")]));
  expect(later.map((one) => one.seq)).toEqual([1, 3, 5]);
  expect(of(live([event(1, "a")])).map((one) => one.seq)).toEqual([1]);
  expect(of(live([]))).toEqual([]);
});

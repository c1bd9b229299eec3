import { expect, it } from "vitest";
import { touched } from "./touch";
import { grown, lines } from "./tail";

const event = (type: string, kind: string, id: string, payload = {}) => ({
  seq: 1,
  type,
  subject: { kind, id },
  timestamp: "",
  payload,
});

it("an event makes out of date what it is about, once", () => {
  const keys = touched([
    event("session.completed", "session", "a", { session_id: "a" }),
    event("session.updated", "session", "a", { session_id: "a" }),
    event("agent.task_completed", "agent", "b", { session_id: "a" }),
    event("session.attention_changed", "session", "c", { session_id: "c" }),
    event("tenant.admissions_held", "tenant", "t"),
    event("something.new", "other", "x"),
  ]).map((key) => key.join("/"));
  expect(keys).toEqual([
    "sessions",
    "stats",
    "session/a",
    "agents",
    "agent/b",
    "attention",
    "session/c",
    "tenant",
    "admissions",
  ]);
});

it("what grows is read on from where it was left", () => {
  const came = (from: number) => lines<{ seq: number }>(`{"seq":${from}}\n{"seq":${from + 1}}\n`);
  let known = grown({ after: 0, entries: [] as { seq: number }[] }, came(1), 3);
  known = grown(known, came(2), 3);
  known = grown(known, came(4), 3);
  expect(known.entries.map((entry) => entry.seq)).toEqual([3, 4, 5]);
  expect(known.after).toBe(5);
  expect(grown(known, [], 3)).toBe(known);
});

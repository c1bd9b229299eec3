import { describe, expect, it } from "vitest";
import { fill, search } from "../api/client";
import { may } from "../api/rights";
import type { AttentionItem, StreamEvent, TranscriptEntry } from "../api/types";
import { duration, money, running, short } from "../parts/format";
import { fits } from "../shell/palette";
import { valueOf } from "../shell/runner";
import { spentSince } from "../shell/spend";
import { ordered } from "./attention/attention";
import { changesOf } from "./audit/audit";
import { BUCKETS, history } from "./overview/series";
import { linesOf, sides } from "./session/patch";
import { partsOf } from "./session/talk";
import { folded, joined } from "./session/timeline";
import { changed, filterOf, toggled } from "./sessions/filters";
import { bodyOf } from "./sessions/new";
import { forecast } from "./usage/usage";

const at = (minutesAgo: number) => new Date(Date.parse("2026-11-22T12:00:30Z") - minutesAgo * 60_000).toISOString();
const now = Date.parse("2026-11-22T12:00:30Z");
const event = (seq: number, type: string, minutesAgo: number, payload = {}, id = "s"): StreamEvent => ({
  seq,
  type,
  subject: { kind: "session", id },
  timestamp: at(minutesAgo),
  payload,
});

describe("figures", () => {
  it("that are unknown are no zeros", () => {
    expect([money(null), short(undefined), duration(null)]).toEqual(["–", "–", "–"]);
    expect([money(0), money(0.0214), money(12.3)]).toEqual(["$0.00", "$0.0214", "$12.30"]);
    expect([short(9999), short(64_240), short(1e7)]).toEqual(["9,999", "64.2k", "10.0M"]);
    expect([duration(0.2), duration(75), duration(3600), running(61.9)]).toEqual(["200ms", "1m 15s", "1h 00m", "1m 01s"]);
  });

  it("of what was spent keep simulated money apart", () => {
    const events = [
      event(1, "usage.recorded", 90, { cost_usd: 5 }),
      event(2, "usage.recorded", 30, { cost_usd: 1 }),
      event(3, "usage.recorded", 20, { cost_usd: 2, simulated: true }),
      event(4, "usage.recorded", 10, { cost_usd: null }),
    ];
    expect(spentSince(events, now - 3_600_000)).toEqual({ real: 1, simulated: 2, unpriced: 1 });
  });

  it("of the month go on as they went", () => {
    const mid = Date.parse("2026-11-16T00:00:00Z");
    expect(forecast(10, "2026-11", "2026-12-01T00:00:00Z", mid)).toBeCloseTo(20);
    expect(forecast(10, "2026-11", "2026-12-01T00:00:00Z", Date.parse("2026-11-01T01:00:00Z"))).toBeNull();
  });
});

it("a history knows what it does not know", () => {
  const past = history(
    [
      event(1, "session.queued", 10, {}),
      event(2, "session.started", 9.5, {}),
      event(3, "session.completed", 5, {}),
      event(4, "session.failed", 5, {}, "t"),
      event(5, "usage.recorded", 2, { cost_usd: 0.5, simulated: true }),
    ],
    now,
  );
  expect(past.ended.values).toHaveLength(BUCKETS);
  expect(past.ended.values[0]).toBeNull();
  expect(past.ended.values[BUCKETS - 6]).toBe(2);
  expect(past.ended.values[BUCKETS - 1]).toBe(0);
  expect(past.waited.summary).toBe(30);
  expect(past.spent).toMatchObject({ summary: 0.5, simulated: true });
});

describe("a session", () => {
  it("is told by its events, each once", () => {
    const stored = [event(1, "session.created", 3), event(4, "usage.recorded", 2, { cost_usd: 1 })];
    const live = [event(4, "usage.recorded", 2), event(5, "usage.recorded", 1, { cost_usd: 2 }), event(6, "session.created", 1, {}, "other")];
    const all = joined(stored, live, "s");
    expect(all.map((one) => one.seq)).toEqual([1, 4, 5]);
    expect(folded(all).map(({ event: { seq }, times, cost }) => [seq, times, cost])).toEqual([
      [1, 1, 0],
      [5, 2, 3],
    ]);
  });

  it("talks in parts that are replaced by what becomes of them", () => {
    const entry = (seq: number, kind: string, body: Record<string, unknown>) =>
      ({ seq, kind, body, timestamp: at(1) }) as unknown as TranscriptEntry;
    const parts = partsOf([
      entry(1, "text", { id: "a", text: "hello" }),
      entry(2, "tool", { id: "b", tool: "bash", status: "running", output: "" }),
      entry(3, "tool", { id: "b", tool: "bash", status: "completed", output: "ok" }),
      entry(4, "odd", { answer: 42 }),
    ]);
    expect(parts.map((part) => [part.seq, part.kind, part.tool?.status ?? part.text])).toEqual([
      [1, "text", "hello"],
      [2, "tool", "completed"],
      [4, "odd", '{"answer":42}'],
    ]);
  });
});

it("a patch is read line by line, and side by side", () => {
  const lines = linesOf("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n same\n-old\n-older\n+new\n rest\n\\ No newline\n");
  expect(lines.map((line) => [line.kind, line.old, line.new, line.text])).toEqual([
    ["hunk", null, null, "@@ -1,3 +1,3 @@"],
    ["same", 1, 1, "same"],
    ["removed", 2, null, "old"],
    ["removed", 3, null, "older"],
    ["added", null, 2, "new"],
    ["same", 4, 3, "rest"],
    ["note", null, null, "No newline"],
  ]);
  expect(sides(lines).map(([one, other]) => [one?.text, other?.text])).toEqual([
    ["@@ -1,3 +1,3 @@", "@@ -1,3 +1,3 @@"],
    ["same", "same"],
    ["old", "new"],
    ["older", undefined],
    ["rest", "rest"],
    ["No newline", "No newline"],
  ]);
});

describe("what is asked for", () => {
  it("stands in the address", () => {
    const params = new URLSearchParams("status=failed&q=parser&nonsense=1&new=1");
    expect(filterOf(params)).toEqual({ status: ["failed"], q: "parser" });
    expect(toggled(params, "running").getAll("status")).toEqual(["running", "failed"]);
    expect(toggled(params, "failed").getAll("status")).toEqual([]);
    expect(changed(params, "q", [""]).has("q")).toBe(false);
  });

  it("is made of what was filled in, and of nothing else", () => {
    const values = { initial_prompt: " do it ", session_type: "debug", priority: "high", permissions: "ask", workspace: "git", path: "/srv/x", base_ref: "", minutes: "30", budget: "", tags: "a, b" };
    expect(bodyOf(values, true)).toEqual({
      initial_prompt: "do it",
      session_type: "debug",
      priority: "high",
      permission_policy: { default: "ask", rules: [] },
      start: true,
      max_duration_seconds: 1800,
      tags: ["a", "b"],
      workspace: { kind: "git", repo: "/srv/x" },
    });
  });

  it("names one thing, whatever is in its name", () => {
    expect(fill("/sessions/{id}/artifacts/{path}", { id: "a/b", path: "x y/z.txt" })).toBe("/sessions/a%2Fb/artifacts/x%20y/z.txt");
    expect(search({ status: ["a", "b"], q: "", after: 0, none: null })).toBe("?status=a&status=b&after=0");
    expect(() => fill("/sessions/{id}")).toThrow();
  });

  it("of a command is of the kind that it says", () => {
    const field = (kind: "integer" | "boolean" | "list" | "json" | "line") => ({ name: "x", kind, required: false });
    expect(valueOf(field("integer"), "7")).toBe(7);
    expect(valueOf(field("boolean"), "true")).toBe(true);
    expect(valueOf(field("list"), "a, b\nc")).toEqual(["a", "b", "c"]);
    expect(valueOf(field("json"), '{"a":1}')).toEqual({ a: 1 });
    expect(valueOf(field("line"), "  ")).toBeUndefined();
    expect(() => valueOf(field("json"), "{")).toThrow();
  });
});

it("rights are those of role, scope and system together", () => {
  const who = (role: "viewer" | "lead" | "admin", scopes: string[], is_system = false) => ({ role, scopes, is_system });
  expect(may(who("viewer", ["*"]), { role: "viewer", scope: "sessions:read" })).toBe(true);
  expect(may(who("viewer", ["*"]), { role: "member", scope: "sessions:write" })).toBe(false);
  expect(may(who("lead", ["sessions:read"]), { role: "member", scope: "sessions:write" })).toBe(false);
  expect(may(who("admin", ["*"]), { role: "admin", scope: "tenants:write", system: true })).toBe(false);
  expect(may(who("admin", ["*"], true), { role: "admin", scope: "tenants:write", system: true })).toBe(true);
});

it("what waits is in the order in which it matters", () => {
  const item = (id: string, risk: string, deadline: string) => ({ id, risk, deadline }) as AttentionItem;
  const all = [item("late", "low", "3"), item("soon", "low", "1"), item("bad", "high", "2"), item("same", "medium", "1")];
  expect(ordered(all).map((one) => one.id)).toEqual(["bad", "same", "soon", "late"]);
});

it("an audit entry tells what became different", () => {
  const entry = { before: { status: "queued", same: 1 }, after: { status: "running", same: 1, agent: "x" } };
  expect(changesOf(entry as never)).toEqual(['status: "queued" → "running"', 'agent: "x"']);
});

it("one finds by every word", () => {
  expect(fits("rev key", "Revoke a key; it stays listed DELETE /keys")).toBe(true);
  expect(fits("rev tenant", "Revoke a key")).toBe(false);
});

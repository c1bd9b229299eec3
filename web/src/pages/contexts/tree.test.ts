import { expect, it } from "vitest";
import { at, inLine, namesOf, rowsOf } from "./tree";
import { waiting } from "./waiting";

const data = { plan: { step: 2, "a.b": { c: [1, { d: 2 }] }, none: {} }, "back\\slash": true };

it("every row has the path that the API knows it by", () => {
  const rows = rowsOf(data, () => false);
  expect(rows.map((row) => [row.path, row.depth, row.inside])).toEqual([
    ["back\\\\slash", 0, null],
    ["plan", 0, 3],
    ["plan.a\\.b", 1, 1],
    ["plan.a\\.b.c", 2, null],
    ["plan.none", 1, 0],
    ["plan.step", 1, null],
  ]);
  for (const row of rows) expect(at(data, row.path)).toEqual(row.value);
  expect(namesOf("plan.a\\.b.c")).toEqual(["plan", "a.b", "c"]);
  expect([at(data, "plan.gone"), at(data, "plan.step.deeper"), at(data, "toString")]).toEqual([undefined, undefined, undefined]);
});

it("what is closed stands as one row", () => {
  expect(rowsOf(data, (path) => path === "plan").map((row) => row.path)).toEqual(["back\\\\slash", "plan"]);
  expect([inLine(undefined), inLine(null), inLine("a")]).toEqual(["–", "null", '"a"']);
});

it("a merge waits from its conflict until it is resolved or a week is over", () => {
  const now = Date.parse("2026-11-22T12:00:00Z");
  const event = (seq: number, type: string, id: string, days: number, conflicts = ["plan.step"]) => ({
    seq,
    type,
    subject: { kind: "context", id },
    timestamp: new Date(now - days * 86_400_000).toISOString(),
    payload: { source_ids: ["a", "b"], conflicts, by: "Ann" },
  });
  const found = waiting(
    [
      event(1, "context.merge_conflicted", "old", 8),
      event(2, "context.merge_conflicted", "one", 2),
      event(3, "context.merge_conflicted", "two", 1, ["x", "y"]),
      event(4, "context.merge_resolved", "one", 1),
    ],
    now,
  );
  expect(found.map(({ id, sources, paths, by }) => ({ id, sources, paths, by }))).toEqual([
    { id: "two", sources: ["a", "b"], paths: ["x", "y"], by: "Ann" },
  ]);
});

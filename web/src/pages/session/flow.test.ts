import { expect, it } from "vitest";
import { flowOf } from "./flow";
import type { Part } from "./talk";

const part = (seq: number, kind: string, tool?: string, error = ""): Part => ({
  id: String(seq),
  seq,
  at: "",
  kind,
  text: "",
  simulated: false,
  ...(tool && { tool: { name: tool, title: "", status: error ? "error" : "completed", input: null, output: "", error } }),
});

it("each step stands on the lane of who took it, and hangs on the one before", () => {
  const { lanes, steps } = flowOf([
    part(1, "notice"),
    part(2, "user"),
    part(3, "text"),
    part(4, "tool", "bash"),
    part(5, "tool", "bash", "exit 1"),
    part(6, "tool", "read"),
    part(7, "text"),
  ]);
  expect(lanes.map((lane) => [lane.name, lane.steps])).toEqual([
    ["prompt", 1],
    ["agent", 2],
    ["bash", 2],
    ["read", 1],
    ["notes", 1],
  ]);
  expect(steps.map((step) => [step.from, step.lane, step.round, step.failed])).toEqual([
    [-1, 4, 1, false],
    [4, 0, 1, false],
    [0, 1, 1, false],
    [1, 2, 1, false],
    [2, 2, 2, true],
    [2, 3, 1, false],
    [3, 1, 1, false],
  ]);
});

it("tools beyond the most used share a lane", () => {
  const parts = Array.from({ length: 20 }, (_, index) => part(index, "tool", `tool-${index % 10}`));
  const { lanes } = flowOf(parts);
  expect(lanes).toHaveLength(7);
  expect(lanes.reduce((sum, lane) => sum + lane.steps, 0)).toBe(20);
});

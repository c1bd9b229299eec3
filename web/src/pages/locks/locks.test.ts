import { expect, it } from "vitest";
import { drawn } from "./wait";

const edge = (owner: string, waits_for: string, name: string) => ({ owner, waits_for, name, request_id: "r" });

it("who waits stands before whom it waits for, each once", () => {
  const { nodes, edges, ranks, rows } = drawn(
    [edge("key:a", "key:b", "one"), edge("key:a", "key:b", "two"), edge("key:c", "key:b", "one"), edge("key:d", "key:a", "three")],
    new Map([["key:a", "Ann"]]),
  );
  const rankOf = Object.fromEntries(nodes.map((node) => [node.name, node.rank]));
  expect(rankOf).toEqual({ Ann: 1, "key:b": 0, "key:c": 1, "key:d": 2 });
  expect(edges.map(({ from, to, locks, ring }) => [from, to, locks.join(), ring])).toEqual([
    ["key:a", "key:b", "one,two", false],
    ["key:c", "key:b", "one", false],
    ["key:d", "key:a", "three", false],
  ]);
  expect([ranks, rows]).toEqual([3, 2]);
});

it("a ring is told from what only leads to it", () => {
  const { edges, nodes } = drawn([edge("a", "b", "x"), edge("b", "c", "y"), edge("c", "a", "z"), edge("d", "a", "z")], new Map());
  expect(edges.filter((one) => one.ring).map((one) => one.from)).toEqual(["a", "b", "c"]);
  expect(nodes).toHaveLength(4);
});

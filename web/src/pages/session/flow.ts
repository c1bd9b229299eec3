// A conversation as a graph: who spoke or which tool was used at each step, and how one led to the next.

import type { Part } from "./talk";

export interface Lane {
  name: string;
  kind: "user" | "text" | "reasoning" | "tool" | "note";
  /** How many steps stand on it. */
  steps: number;
}

export interface Step {
  part: Part;
  lane: number;
  /** Lane of the step before; -1 for the first. */
  from: number;
  /** How often the same tool was used in a row, this time included. */
  round: number;
  failed: boolean;
}

/** Tools that get a lane of their own; the others share one. */
const OWN = 6;
const OTHERS = "other tools";

export interface Flow {
  lanes: Lane[];
  steps: Step[];
}

const kinds: Record<string, [string, Lane["kind"]]> = {
  user: ["prompt", "user"],
  text: ["agent", "text"],
  reasoning: ["thought", "reasoning"],
};

/** The steps of a conversation and the lanes that they stand on. */
export function flowOf(parts: readonly Part[]): Flow {
  const uses = new Map<string, number>();
  for (const { tool } of parts) if (tool) uses.set(tool.name, (uses.get(tool.name) ?? 0) + 1);
  const own = new Set([...uses].sort(([, one], [, other]) => other - one).slice(0, OWN).map(([name]) => name));
  const lanes: Lane[] = [];
  const places = new Map<string, number>();
  const laneName = (part: Part): Pick<Lane, "name" | "kind"> => {
    if (part.tool) return { name: own.has(part.tool.name) ? part.tool.name : OTHERS, kind: "tool" };
    const [name, kind] = kinds[part.kind] ?? (["notes", "note"] as const);
    return { name, kind };
  };
  // People first, then the agent, then its tools by how much it used them, notes last.
  const order: Lane["kind"][] = ["user", "text", "reasoning", "tool", "note"];
  const wanted = parts.map(laneName);
  for (const kind of order) {
    const names = new Set(wanted.filter((one) => one.kind === kind).map((one) => one.name));
    const sorted = [...names].sort((one, other) => (uses.get(other) ?? 0) - (uses.get(one) ?? 0));
    for (const name of sorted) places.set(`${kind} ${name}`, lanes.push({ name, kind, steps: 0 }) - 1);
  }
  const steps: Step[] = [];
  for (const part of parts) {
    const before = steps.at(-1);
    const { name, kind } = laneName(part);
    const lane = places.get(`${kind} ${name}`) ?? 0;
    const here = lanes[lane];
    if (here) here.steps += 1;
    const again = before && before.lane === lane && part.tool !== undefined && before.part.tool?.name === part.tool.name;
    steps.push({
      part,
      lane,
      from: before ? before.lane : -1,
      round: again ? before.round + 1 : 1,
      failed: part.tool !== undefined && (part.tool.error !== "" || part.tool.status === "error"),
    });
  }
  return { lanes, steps };
}

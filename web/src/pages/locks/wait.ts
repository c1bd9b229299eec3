// Who waits for whom, as a drawing: those who wait stand left of those whom they wait for.

import type { Lock, LockEdge } from "../../api/types";

export interface Node {
  id: string;
  name: string;
  /** Columns from the right: 0 is who waits for nobody. */
  rank: number;
  /** Its place in its column. */
  row: number;
}

export interface Edge {
  from: string;
  to: string;
  locks: string[];
  /** Part of a ring, in which nobody ever gets on. */
  ring: boolean;
}

export interface Drawing {
  nodes: Node[];
  edges: Edge[];
  ranks: number;
  rows: number;
}

/** What owners are called, by `kind:id`. */
export function namesOf(locks: readonly Lock[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const { holders, queue } of locks) {
    for (const { owner } of [...holders, ...queue]) names.set(`${owner.kind}:${owner.id}`, owner.name);
  }
  return names;
}

function reaches(next: Map<string, Set<string>>, from: string, to: string): boolean {
  const seen = new Set<string>();
  const open = [from];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === to) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    open.push(...(next.get(at) ?? []));
  }
  return false;
}

/** Lays out who waits for whom; what is the same stays at the same place. */
export function drawn(told: readonly LockEdge[], names: ReadonlyMap<string, string>): Drawing {
  const next = new Map<string, Set<string>>();
  const merged = new Map<string, Edge>();
  for (const { owner, waits_for: to, name } of told) {
    next.set(owner, (next.get(owner) ?? new Set()).add(to));
    if (!next.has(to)) next.set(to, new Set());
    const key = `${owner} ${to}`;
    const edge = merged.get(key) ?? { from: owner, to, locks: [], ring: false };
    if (!edge.locks.includes(name)) edge.locks.push(name);
    merged.set(key, edge);
  }
  const edges = [...merged.values()];
  for (const edge of edges) edge.ring = reaches(next, edge.to, edge.from);
  const ranks = new Map<string, number>();
  const rankOf = (id: string, above: ReadonlySet<string>): number => {
    const known = ranks.get(id);
    if (known !== undefined) return known;
    if (above.has(id)) return 0;
    const below = new Set(above).add(id);
    const rank = Math.max(-1, ...[...(next.get(id) ?? [])].map((to) => rankOf(to, below))) + 1;
    ranks.set(id, rank);
    return rank;
  };
  const counts = new Map<number, number>();
  const nodes = [...next.keys()].sort().map((id) => {
    const rank = rankOf(id, new Set());
    const row = counts.get(rank) ?? 0;
    counts.set(rank, row + 1);
    return { id, name: names.get(id) ?? id, rank, row };
  });
  return { nodes, edges, ranks: counts.size, rows: Math.max(0, ...counts.values()) };
}

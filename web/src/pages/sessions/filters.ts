// The filters of the list, as the address bar holds them: a link shows others the same list.

import type { SessionStatus } from "../../api/types";
import { statuses } from "../../parts/status";

/** What the API takes, by the names that it has there. */
export const known = ["status", "q", "attention", "session_type", "priority", "agent", "tag", "sort"] as const;

export type Filter = Record<string, string | string[]>;

export function filterOf(params: URLSearchParams): Filter {
  const filter: Filter = {};
  for (const name of known) {
    const values = params.getAll(name).filter((value) => value !== "");
    if (values.length === 0) continue;
    filter[name] = name === "status" || name === "tag" ? values : (values[0] ?? "");
  }
  return filter;
}

/** The same parameters with one changed: no value takes it away. */
export function changed(params: URLSearchParams, name: string, values: readonly string[]): URLSearchParams {
  const next = new URLSearchParams(params);
  next.delete(name);
  for (const value of values) if (value !== "") next.append(name, value);
  return next;
}

export function toggled(params: URLSearchParams, status: SessionStatus): URLSearchParams {
  const chosen = new Set(params.getAll("status"));
  if (!chosen.delete(status)) chosen.add(status);
  return changed(
    params,
    "status",
    statuses.filter((one) => chosen.has(one)),
  );
}

export interface View {
  name: string;
  query: string;
}

const KEPT = "orchestrator.views";

/** Lists that this browser was told to remember. */
export function savedViews(): View[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(kept) ? (kept as View[]) : [];
  } catch {
    return [];
  }
}

export function saveViews(views: readonly View[]): void {
  try {
    localStorage.setItem(KEPT, JSON.stringify(views));
  } catch {
    // They last as long as the page.
  }
}

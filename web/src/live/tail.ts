// What only ever grows (a conversation, a log), read forward from where it was left.

import { queryOptions } from "@tanstack/react-query";
import { readText } from "../api/client";
import type { LogLine, TranscriptEntry } from "../api/types";

export interface Known<T> {
  after: number;
  entries: readonly T[];
}

/** One JSON object a line, as the server streams all that is behind a number. */
export function lines<T>(text: string): T[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}

/** What was known and what is behind it, each entry once; at most so many of the last ones. */
export function grown<T extends { seq: number }>(known: Known<T>, came: readonly T[], keep: number): Known<T> {
  const fresh = came.filter((entry) => entry.seq > known.after);
  const last = fresh.at(-1);
  if (!last) return known;
  return { after: last.seq, entries: known.entries.concat(fresh).slice(-keep) };
}

function growing<T extends { seq: number }>(
  name: "transcript" | "logs",
  id: string,
  keep: number,
  every: number | false,
) {
  const queryKey = ["of", name, id, keep === Number.POSITIVE_INFINITY ? "all" : keep];
  return queryOptions({
    queryKey,
    queryFn: async ({ signal, client }) => {
      const known = client.getQueryData<Known<T>>(queryKey) ?? { after: 0, entries: [] };
      const text = await readText(`/sessions/{id}/${name}`, "application/x-ndjson", {
        params: { id },
        query: { after: known.after },
        signal,
      });
      return grown(known, lines<T>(text), keep);
    },
    refetchInterval: every,
    structuralSharing: false,
  });
}

/** The whole conversation, or the last of it when only so much is wanted. */
export const transcript = (id: string, keep = Number.POSITIVE_INFINITY, every: number | false = false) =>
  growing<TranscriptEntry>("transcript", id, keep, every);

/** The log, from its first line on. */
export const logs = (id: string, every: number | false) =>
  growing<LogLine>("logs", id, Number.POSITIVE_INFINITY, every);

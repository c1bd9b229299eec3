// A conversation as it is shown: what belongs together stands once, in the order in which it began.

import type { TranscriptEntry } from "../../api/types";

export interface Part {
  id: string;
  seq: number;
  at: string;
  kind: string;
  text: string;
  simulated: boolean;
  tool?: { name: string; title: string; status: string; input: unknown; output: string; error: string };
  todo?: { content: string; status: string }[];
}

const string = (value: unknown) => (typeof value === "string" ? value : value === null || value === undefined ? "" : JSON.stringify(value, null, 2));

/** Entries of the same part replace the ones before: a tool that began, and then ended. */
export function partsOf(entries: readonly TranscriptEntry[]): Part[] {
  const parts = new Map<string, Part>();
  for (const entry of entries) {
    const body = entry.body as Record<string, unknown>;
    const id = typeof body.id === "string" ? body.id : `seq-${entry.seq}`;
    const before = parts.get(id);
    const part: Part = {
      id,
      seq: before?.seq ?? entry.seq,
      at: before?.at ?? entry.timestamp,
      kind: entry.kind,
      text: string(body.text),
      simulated: body.simulated === true,
    };
    if (entry.kind === "tool") {
      part.tool = {
        name: string(body.tool) || "tool",
        title: string(body.title),
        status: string(body.status),
        input: body.input,
        output: string(body.output),
        error: string(body.error),
      };
    } else if (entry.kind === "todo" && Array.isArray(body.items)) {
      part.todo = body.items as { content: string; status: string }[];
    } else if (part.text === "") {
      const { id: _, simulated: __, ...rest } = body;
      part.text = Object.keys(rest).length > 0 ? JSON.stringify(rest) : "";
    }
    parts.set(id, part);
  }
  return [...parts.values()];
}

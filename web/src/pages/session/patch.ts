// A patch, line by line: what git writes, as rows that can be shown.

export interface Line {
  kind: "same" | "added" | "removed" | "hunk" | "note";
  /** Number before the change; none for what was added. */
  old: number | null;
  new: number | null;
  text: string;
}

export function linesOf(patch: string): Line[] {
  const lines: Line[] = [];
  let before = 0;
  let after = 0;
  let inHunk = false;
  for (const text of patch.split("\n")) {
    const hunk = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(text);
    if (hunk) {
      before = Number(hunk[1]);
      after = Number(hunk[2]);
      inHunk = true;
      lines.push({ kind: "hunk", old: null, new: null, text });
    } else if (!inHunk) {
      // The head of a file says what stands above the patch already.
      if (/^(Binary|GIT binary|rename|new file|deleted file|old mode|new mode)/.test(text)) {
        lines.push({ kind: "note", old: null, new: null, text });
      }
    } else if (text.startsWith("+")) {
      lines.push({ kind: "added", old: null, new: after, text: text.slice(1) });
      after += 1;
    } else if (text.startsWith("-")) {
      lines.push({ kind: "removed", old: before, new: null, text: text.slice(1) });
      before += 1;
    } else if (text.startsWith("\\")) {
      lines.push({ kind: "note", old: null, new: null, text: text.slice(2) });
    } else if (text.startsWith(" ")) {
      lines.push({ kind: "same", old: before, new: after, text: text.slice(1) });
      before += 1;
      after += 1;
    }
  }
  return lines;
}

/** The same side by side: what was removed stands beside what was added in its place. */
export function sides(lines: readonly Line[]): [Line | null, Line | null][] {
  const rows: [Line | null, Line | null][] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (!line) break;
    if (line.kind !== "removed" && line.kind !== "added") {
      rows.push([line, line]);
      at += 1;
      continue;
    }
    const removed: Line[] = [];
    const added: Line[] = [];
    for (let next = lines[at]; next?.kind === "removed"; next = lines[at]) {
      removed.push(next);
      at += 1;
    }
    for (let next = lines[at]; next?.kind === "added"; next = lines[at]) {
      added.push(next);
      at += 1;
    }
    for (let index = 0; index < Math.max(removed.length, added.length); index += 1) {
      rows.push([removed[index] ?? null, added[index] ?? null]);
    }
  }
  return rows;
}

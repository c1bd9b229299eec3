import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";
import { checkpoints, diff } from "../../api/queries";
import type { Diff, FileDiff, Session } from "../../api/types";
import { Empty, Shown } from "../../parts/basics";
import { type Line, linesOf, sides } from "./patch";

const signs = { same: " ", added: "+", removed: "-", hunk: "", note: "" };

function Unified({ line }: { line: Line }) {
  return (
    <div className="diff-line" data-kind={line.kind}>
      <span>{line.old}</span>
      <span>{line.new}</span>
      <span>{signs[line.kind]}</span>
      <code>{line.text}</code>
    </div>
  );
}

function Half({ line, side }: { line: Line | null; side: "old" | "new" }) {
  return (
    <div className="diff-line" data-kind={line?.kind ?? "none"}>
      <span>{line?.[side]}</span>
      <span>{line && line.kind !== "hunk" ? signs[line.kind] : ""}</span>
      <code>{line?.text}</code>
    </div>
  );
}

function Patch({ file, beside }: { file: FileDiff; beside: boolean }) {
  const lines = useMemo(() => linesOf(file.patch), [file.patch]);
  const pairs = useMemo(() => (beside ? sides(lines) : []), [lines, beside]);
  const place = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: beside ? pairs.length : lines.length,
    getScrollElement: () => place.current,
    estimateSize: () => 20,
    overscan: 30,
  });
  if (lines.length === 0) return <p className="dim p-3">The file has no lines to show.</p>;
  return (
    <div className="patch" ref={place} tabIndex={0} role="region" aria-label={`Changes of ${file.path}`}>
      <div style={{ height: rows.getTotalSize(), position: "relative" }}>
        {rows.getVirtualItems().map((row) => {
          const line = lines[row.index];
          const pair = pairs[row.index];
          return (
            <div key={row.key} className="row-place" style={{ transform: `translateY(${row.start}px)` }}>
              {beside && pair && (
                <div className="diff-pair">
                  <Half line={pair[0]} side="old" />
                  <Half line={pair[1]} side="new" />
                </div>
              )}
              {!beside && line && <Unified line={line} />}
            </div>
          );
        })}
      </div>
    </div>
  );
}

const marks = { added: "A", modified: "M", deleted: "D", renamed: "R" };

function Files({ data, beside }: { data: Diff; beside: boolean }) {
  const [path, setPath] = useState<string | null>(null);
  const file = data.files.find((one) => one.path === path) ?? data.files[0];
  if (!file) return <Empty title="Nothing was changed." />;
  return (
    <div className="diff">
      <ul className="diff-files" aria-label="Changed files">
        {data.files.map((one) => (
          <li key={one.path}>
            <button type="button" aria-pressed={one === file} onClick={() => setPath(one.path)} title={one.path}>
              <span className={`mark-${one.change}`}>{marks[one.change]}</span>
              <bdi className="cut flex-1 text-left">{one.path}</bdi>
              <span className="dim">
                +{one.additions ?? 0} −{one.deletions ?? 0}
              </span>
            </button>
          </li>
        ))}
      </ul>
      <Patch key={`${file.path}/${beside}`} file={file} beside={beside} />
    </div>
  );
}

export function DiffTab({ session }: { session: Session }) {
  const [beside, setBeside] = useState(false);
  const [checkpoint, setCheckpoint] = useState<number | null>(null);
  const isGit = session.workspace.kind === "git" && session.workspace.base_commit !== null;
  const query = useQuery({ ...diff(session.id, checkpoint), enabled: isGit, retry: false });
  const taken = useQuery({ ...checkpoints(session.id), enabled: isGit });
  const kept = (taken.data?.items ?? []).filter((one) => one.workspace_ref !== null);
  if (!isGit) {
    return (
      <Empty title="There is nothing to compare.">
        <p className="dim">
          {session.workspace.kind === "git"
            ? "Its worktree is made when it is given to an agent."
            : "Only a session with a git worktree has a base that its work can be compared with."}
        </p>
      </Empty>
    );
  }
  return (
    <div className="tab-column">
      <div className="tab-bar">
        <select
          className="field"
          aria-label="As of"
          value={checkpoint ?? ""}
          onChange={(event) => setCheckpoint(event.target.value === "" ? null : Number(event.target.value))}
        >
          <option value="">the workspace as it is</option>
          {kept.map((one) => (
            <option key={one.sequence} value={one.sequence}>
              checkpoint {one.sequence}, {one.trigger}
            </option>
          ))}
        </select>
        <button type="button" className="chip" aria-pressed={beside} onClick={() => setBeside(!beside)}>
          side by side
        </button>
        {query.data && (
          <span className="dim">
            {query.data.files.length === 1 ? "1 file" : `${query.data.files.length} files`}, +{query.data.additions ?? 0} −{query.data.deletions ?? 0}
            {query.data.truncated && ", cut off"} · from {query.data.base.slice(0, 10)}
          </span>
        )}
      </div>
      <Shown query={query} what="the changes" rows={10}>
        {(data) => <Files data={data} beside={beside} />}
      </Shown>
    </div>
  );
}

// The versions of a context: who wrote what, what stood there before, and what differs between two of them.

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { read } from "../../api/client";
import type { Context, ContextChange, ContextDiff, Page } from "../../api/types";
import { Empty, Loading, Refusal, Shown } from "../../parts/basics";
import { stamp } from "../../parts/format";
import { inLine } from "./tree";

export function useHistory(id: string) {
  return useInfiniteQuery({
    queryKey: ["of", "context", id, "history"],
    queryFn: ({ pageParam, signal }) =>
      read<Page<ContextChange>>("/contexts/{id}/history", { params: { id }, query: { limit: 100, cursor: pageParam }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
}

function Change({ change, first, onLook }: { change: ContextChange; first: boolean; onLook(): void }) {
  return (
    <li className="change" data-first={first || undefined}>
      <button type="button" className="change-version" onClick={onLook} title={`What version ${change.version} changed`}>
        {first ? `v${change.version}` : ""}
        <span className="sr">version {change.version}</span>
      </button>
      <div className="min-w-0">
        <p className="cut">
          <span className={change.op === "delete" ? "bad" : change.old_value === undefined || change.old_value === null ? "mark-added" : ""}>
            {change.path || "all of it"}
          </span>
        </p>
        <p className="cut small">
          {change.old_value !== null && change.old_value !== undefined && (
            <>
              <del className="dim">{inLine(change.old_value)}</del> <span className="dim">→</span>{" "}
            </>
          )}
          {change.op === "delete" ? <span className="bad">gone</span> : inLine(change.new_value)}
        </p>
        {first && (
          <p className="dim small">
            {change.changed_by}
            {!change.author.trusted && <span className="tag ml-2">agent</span>} · {stamp(change.changed_at)}
          </p>
        )}
      </div>
    </li>
  );
}

/** What changed, newest first; `onLook` is asked to compare a version with the one before. */
export function History({ context, onLook }: { context: Context; onLook(version: number): void }) {
  const query = useHistory(context.id);
  const changes = query.data?.pages.flatMap((page) => page.items) ?? [];
  if (query.isPending) return <Loading what="the history" rows={8} />;
  if (query.error) return <Refusal error={query.error} again={() => void query.refetch()} />;
  if (changes.length === 0) return <Empty title="It stands as it was made." />;
  return (
    <div className="tab-scroll" tabIndex={0} role="region" aria-label="History, newest first">
      <ol>
        {changes.map((change, index) => (
          <Change
            key={`${change.version}/${change.path}`}
            change={change}
            first={change.version !== changes[index - 1]?.version}
            onLook={() => onLook(change.version)}
          />
        ))}
      </ol>
      {query.hasNextPage && (
        <button type="button" className="button m-2" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {query.isFetchingNextPage ? "Reading" : "More"}
        </button>
      )}
    </div>
  );
}

function Leaves({ told }: { told: ContextDiff }) {
  const rows: [string, string, unknown, unknown][] = [];
  for (const [path, value] of Object.entries(told.added)) rows.push([path, "added", undefined, value]);
  for (const [path, value] of Object.entries(told.deleted)) rows.push([path, "removed", value, undefined]);
  for (const [path, value] of Object.entries(told.modified)) {
    const [old, next] = Array.isArray(value) ? (value as unknown[]) : [undefined, value];
    rows.push([path, "modified", old, next]);
  }
  rows.sort(([one], [other]) => (one < other ? -1 : 1));
  if (rows.length === 0) return <Empty title="They hold the same." />;
  return (
    <div className="tab-scroll" tabIndex={0} role="region" aria-label="Differences">
      <ul>
        {rows.map(([path, kind, old, next]) => (
          <li key={path} className="difference">
            <span className="cut" title={path}>
              {path}
              {told.conflicts.includes(path) && <span className="needs ml-2">clash</span>}
            </span>
            <code className="wrap" data-kind={kind === "added" ? "none" : "removed"}>
              {old === undefined ? "" : inLine(old)}
            </code>
            <code className="wrap" data-kind={kind === "removed" ? "none" : "added"}>
              {next === undefined ? "" : inLine(next)}
            </code>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** What differs between two versions. */
export function Compared(props: { context: Context; from: number; to: number; onChange(from: number, to: number): void }) {
  const { context, from, to, onChange } = props;
  const { id, version } = context;
  const query = useQuery({
    queryKey: ["of", "context", id, "diff", from, to],
    queryFn: ({ signal }) =>
      read<ContextDiff>("/contexts/{id}/diff/{other_id}", { params: { id, other_id: id }, query: { version: from, other_version: to }, signal }),
  });
  // The newest hundred versions are kept.
  const versions = Array.from({ length: Math.min(version, 100) }, (_, index) => version - index);
  const choice = (name: string, value: number, set: (value: number) => void) => (
    <label className="flex items-center gap-2">
      <span className="dim">{name}</span>
      <select className="field" value={value} onChange={(event) => set(Number(event.target.value))}>
        {versions.map((one) => (
          <option key={one} value={one}>
            v{one}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <div className="tab-column">
      <div className="tab-bar">
        {choice("from", from, (value) => onChange(value, to))}
        {choice("to", to, (value) => onChange(from, value))}
      </div>
      <Shown query={query} what="the differences" rows={8}>
        {(told) => <Leaves told={told} />}
      </Shown>
    </div>
  );
}

// Who did what, and what was refused: a chain that shows when somebody tampers with it.

import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { Fragment, useState } from "react";
import { useSearchParams } from "wouter";
import { read } from "../../api/client";
import type { AuditEntry, AuditVerdict, SeqPage } from "../../api/types";
import { Empty, Loading, Refusal } from "../../parts/basics";
import { count, stamp, words } from "../../parts/format";
import { save } from "../../parts/save";
import { Mark } from "../../parts/status";
import { changed } from "../sessions/filters";

const filters = ["action", "actor", "subject", "outcome"] as const;

/** Fields that a change made different, and how. */
export function changesOf(entry: Pick<AuditEntry, "before" | "after">): string[] {
  const before = (entry.before ?? {}) as Record<string, unknown>;
  const after = (entry.after ?? {}) as Record<string, unknown>;
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map((name) =>
      name in before
        ? `${words(name)}: ${JSON.stringify(before[name])} → ${JSON.stringify(after[name] ?? null)}`
        : `${words(name)}: ${JSON.stringify(after[name])}`,
    );
}

function Verdict() {
  const check = useMutation({ mutationFn: () => read<AuditVerdict>("/audit/verify") });
  const told = check.data;
  return (
    <>
      {told && (
        <Mark tone={told.intact ? "good" : "bad"}>
          {told.intact
            ? `whole: ${count(told.entries)} entries${told.signed_up_to ? `, signed up to ${told.signed_up_to}` : ""}`
            : `broken at ${told.first_bad}`}
        </Mark>
      )}
      {check.error && <span className="bad">{check.error.message}</span>}
      <button type="button" className="button" disabled={check.isPending} onClick={() => check.mutate()}>
        {check.isPending ? "Verifying" : "Verify the chain"}
      </button>
    </>
  );
}

function Entry({ entry, open, onOpen }: { entry: AuditEntry; open: boolean; onOpen(): void }) {
  const changes = changesOf(entry);
  return (
    <Fragment>
      <tr>
        <td className="num dim">{entry.seq}</td>
        <td className="dim whitespace-nowrap">{stamp(entry.at)}</td>
        <td>
          <button type="button" className="underline-hover" aria-expanded={open} onClick={onOpen}>
            {words(entry.action)}
          </button>
        </td>
        <td>
          <Mark tone={entry.outcome === "ok" ? "good" : "bad"}>{entry.outcome}</Mark>
        </td>
        <td className="cut">
          {entry.actor.kind} <span className="dim">{entry.actor.key ?? entry.actor.id.slice(0, 12)}</span>
        </td>
        <td className="cut">
          {entry.subject.kind} <span className="dim">{entry.subject.id.slice(0, 8)}</span>
        </td>
        <td className="audit-facts">{entry.reason ?? changes.slice(0, 2).join(", ")}</td>
      </tr>
      {open && (
        <tr>
          <td />
          <td colSpan={6} className="py-2">
            {changes.map((change) => (
              <p key={change} className="wrap">
                {change}
              </p>
            ))}
            <p className="dim wrap">
              subject {entry.subject.id} · request {entry.request_id ?? "–"}
            </p>
            <p className="dim wrap">hash {entry.hash}</p>
            <p className="dim wrap">before {entry.prev_hash}</p>
          </td>
        </tr>
      )}
    </Fragment>
  );
}

export function Audit() {
  const [params, set] = useSearchParams();
  const [open, setOpen] = useState<number | null>(null);
  const wanted = Object.fromEntries(filters.map((name) => [name, params.get(name)]));
  const query = useInfiniteQuery({
    queryKey: ["audit", wanted],
    queryFn: ({ pageParam, signal }) =>
      read<SeqPage<AuditEntry>>("/audit", { query: { ...wanted, after: pageParam, limit: 100 }, signal }),
    initialPageParam: 0,
    getNextPageParam: (page) => (page.has_more ? page.next_after : null),
    staleTime: 0,
  });
  const entries = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <div className="list-page">
      <div className="bar">
        <h1>Audit</h1>
        {filters.map((name) => (
          <input
            key={name}
            className="field w-32"
            aria-label={`Only this ${name}`}
            placeholder={name}
            defaultValue={params.get(name) ?? ""}
            maxLength={200}
            onKeyDown={(event) => {
              if (event.key === "Enter") set(changed(params, name, [event.currentTarget.value.trim()]));
            }}
            onBlur={(event) => {
              const value = event.target.value.trim();
              if (value !== (params.get(name) ?? "")) set(changed(params, name, [value]));
            }}
          />
        ))}
        <span className="grow" />
        <Verdict />
        <button
          type="button"
          className="button"
          disabled={entries.length === 0}
          onClick={() => save("audit.json", JSON.stringify(entries, null, 2), "application/json")}
        >
          Export what is shown
        </button>
      </div>
      {query.isPending && <Loading what="the audit" rows={12} />}
      {query.error && <Refusal error={query.error} again={() => void query.refetch()} />}
      {query.isSuccess && entries.length === 0 && <Empty title="Nothing is on record that is like that." />}
      {entries.length > 0 && (
        <div className="tab-scroll" tabIndex={0} role="region" aria-label="Audit">
          <table className="grid-table">
            <thead>
              <tr>
                <th scope="col" className="num">No.</th>
                <th scope="col">When</th>
                <th scope="col">What</th>
                <th scope="col">Outcome</th>
                <th scope="col">Who</th>
                <th scope="col">To what</th>
                <th scope="col">Why, or what changed</th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <Entry key={entry.seq} entry={entry} open={open === entry.seq} onOpen={() => setOpen(open === entry.seq ? null : entry.seq)} />
              ))}
            </tbody>
          </table>
          {query.hasNextPage && (
            <button type="button" className="button m-3" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              {query.isFetchingNextPage ? "Reading" : "More"}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

import { useInfiniteQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import { read } from "../../api/client";
import type { Page, Session } from "../../api/types";
import { CommandLine, Empty, Loading, Refusal, useNow } from "../../parts/basics";
import { count } from "../../parts/format";
import { Glyph, looks, statuses } from "../../parts/status";
import { useKeys } from "../../shell/keys";
import { useHere } from "../../shell/who";
import { Bulk } from "./bulk";
import { changed, filterOf, toggled } from "./filters";
import { NewSession } from "./new";
import { Head, Row } from "./row";
import { Views } from "./views";

const HEIGHT = 28;

function useSessions(filter: ReturnType<typeof filterOf>) {
  return useInfiniteQuery({
    queryKey: ["of", "sessions", "list", filter],
    queryFn: ({ pageParam, signal }) =>
      read<Page<Session>>("/sessions", {
        query: { ...filter, limit: 100, cursor: pageParam, count: pageParam ? null : true },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
}

function Search() {
  const [params, set] = useSearchParams();
  const [typed, setTyped] = useState(params.get("q") ?? "");
  const asked = params.get("q") ?? "";
  useEffect(() => setTyped(asked), [asked]);
  return (
    <form
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          set(changed(params, "q", [typed.trim()]));
        }}
      >
        <input
          className="field w-40"
          type="search"
          aria-label="Title or code"
          placeholder="Title or code"
          value={typed}
          maxLength={200}
          onChange={(event) => {
            setTyped(event.target.value);
            if (event.target.value === "") set(changed(params, "q", []));
          }}
        />
    </form>
  );
}

function Chips() {
  const [params, set] = useSearchParams();
  const chosen = params.getAll("status");
  return (
    <>
      <div className="chips" role="group" aria-label="Status">
        {statuses.map((status) => (
          <button
            key={status}
            type="button"
            className="chip"
            aria-pressed={chosen.includes(status)}
            onClick={() => set(toggled(params, status))}
          >
            <Glyph status={status} size={10} />
            {looks[status].word}
          </button>
        ))}
      </div>
      <select
        className="field"
        aria-label="Order"
        value={params.get("sort") ?? ""}
        onChange={(event) => set(changed(params, "sort", [event.target.value]))}
      >
        <option value="">newest first</option>
        <option value="created_at">oldest first</option>
      </select>
      {["attention", "session_type", "priority", "agent", "tag"].map((name) =>
        params.getAll(name).map((value) => (
          <button
            key={`${name}/${value}`}
            type="button"
            className="chip"
            aria-pressed="true"
            onClick={() => set(changed(params, name, params.getAll(name).filter((one) => one !== value)))}
          >
            {name.replace("_", " ")} {value} ×
          </button>
        )),
      )}
    </>
  );
}

export function Sessions() {
  const [params, setParams] = useSearchParams();
  const [, go] = useLocation();
  const { can } = useHere();
  const mayDrive = can({ role: "member", scope: "sessions:write" });
  const text = params.toString();
  const filter = useMemo(() => filterOf(new URLSearchParams(text)), [text]);
  const query = useSessions(filter);
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const items = useMemo(() => data?.pages.flatMap((page) => page.items) ?? [], [data]);
  const total = data?.pages[0]?.total ?? null;
  const now = useNow();
  const [at, setAt] = useState(-1);
  const [checked, setChecked] = useState<ReadonlySet<string>>(new Set());
  const place = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => place.current,
    estimateSize: () => HEIGHT,
    overscan: 12,
    paddingStart: HEIGHT,
    scrollPaddingStart: HEIGHT,
  });
  const shown = rows.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && last >= items.length - 20) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, last, items.length, fetchNextPage]);

  const step = (by: number) => {
    const next = Math.max(0, Math.min(items.length - 1, at + by));
    setAt(next);
    rows.scrollToIndex(next);
  };
  const check = useCallback((id: string, on: boolean) => {
    setChecked((old) => {
      const next = new Set(old);
      if (on) next.add(id);
      else next.delete(id);
      return next;
    });
  }, []);
  const open = useCallback(() => setParams((old) => changed(old, "new", ["1"])), [setParams]);
  useKeys({
    j: () => step(1),
    k: () => step(-1),
    x: () => {
      const item = items[at];
      if (item && mayDrive) check(item.id, !checked.has(item.id));
    },
    n: () => mayDrive && open(),
    Enter: () => {
      const item = items[at];
      if (item) go(`/sessions/${item.code}`);
    },
  });

  const chosen = items.filter((item) => checked.has(item.id));
  const isFiltered = Object.keys(filter).length > 0;
  return (
    <div className="list-page">
      <div className="bar">
        <h1>Sessions</h1>
        <Search />
        <Views />
        <span className="grow" />
        <span className="dim">{total === null ? "" : `${count(total)} in all`}</span>
        {mayDrive && (
          <button type="button" className="button main" onClick={open}>
            New session
          </button>
        )}
      </div>
      <div className="bar thin">
        <Chips />
      </div>
      {chosen.length > 0 && <Bulk chosen={chosen} onDone={() => setChecked(new Set())} />}
      {query.isPending && <Loading what="sessions" rows={12} />}
      {query.error && <Refusal error={query.error} again={() => void query.refetch()} />}
      {query.isSuccess && items.length === 0 && (
        <Empty title={isFiltered ? "No session is like that." : "There is no session yet."}>
          {isFiltered ? (
            <button type="button" className="button" onClick={() => setParams(new URLSearchParams())}>
              Show all
            </button>
          ) : (
            mayDrive && <CommandLine>orchestrator run "Fix the failing test"</CommandLine>
          )}
        </Empty>
      )}
      {items.length > 0 && (
        <div className="rows" ref={place} tabIndex={0} role="region" aria-label="List of sessions">
          <div
            role="table"
            aria-label="Sessions"
            aria-rowcount={(total ?? items.length) + 1}
            className="sessions-table"
            style={{ height: rows.getTotalSize() }}
          >
            <Head />
            {shown.map((row) => {
              const item = items[row.index];
              if (!item) return null;
              return (
                <div key={item.id} role="presentation" className="row-place" style={{ transform: `translateY(${row.start}px)` }}>
                  <Row
                    session={item}
                    now={item.status === "running" || item.status === "degraded" ? now : 0}
                    index={row.index}
                    chosen={row.index === at}
                    checked={checked.has(item.id)}
                    canCheck={mayDrive}
                    onCheck={check}
                  />
                </div>
              );
            })}
          </div>
        </div>
      )}
      {params.get("new") !== null && mayDrive && (
        <NewSession onClose={() => setParams((old) => changed(old, "new", []))} />
      )}
    </div>
  );
}

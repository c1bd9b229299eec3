// The conversation as it goes, and the raw log: both only as much as is in sight.

import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import type { Session } from "../../api/types";
import { forgetWords, useLive } from "../../live/store";
import { logs, transcript } from "../../live/tail";
import { Empty, Loading, Refusal } from "../../parts/basics";
import { clock, short } from "../../parts/format";
import { isExecuting } from "../../parts/status";
import { type Part, partsOf } from "./talk";

/** A long list that stays at its end while it grows, unless somebody looks further up. */
function Rolling<T>(props: {
  items: readonly T[];
  name: string;
  estimate: number;
  keyOf(item: T): string | number;
  children(item: T): ReactNode;
}) {
  const { items, name, estimate, keyOf } = props;
  const place = useRef<HTMLDivElement>(null);
  const [follows, setFollows] = useState(true);
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => place.current,
    estimateSize: () => estimate,
    getItemKey: (index) => {
      const item = items[index];
      return item === undefined ? index : keyOf(item);
    },
    overscan: 10,
  });
  const size = rows.getTotalSize();
  useEffect(() => {
    if (follows && items.length > 0) rows.scrollToIndex(items.length - 1, { align: "end" });
  }, [follows, items.length, size, rows]);
  return (
    <div className="rolling">
      <div
        className="rolling-place"
        ref={place}
        tabIndex={0}
        role="log"
        aria-label={name}
        aria-live="off"
        onScroll={(event) => {
          const { scrollTop, clientHeight, scrollHeight } = event.currentTarget;
          setFollows(scrollHeight - scrollTop - clientHeight < 48);
        }}
      >
        <div style={{ height: size, position: "relative" }}>
          {rows.getVirtualItems().map((row) => {
            const item = items[row.index];
            if (item === undefined) return null;
            return (
              <div
                key={row.key}
                data-index={row.index}
                ref={rows.measureElement}
                className="row-place"
                style={{ transform: `translateY(${row.start}px)` }}
              >
                {props.children(item)}
              </div>
            );
          })}
        </div>
      </div>
      {!follows && (
        <button type="button" className="button rolling-end" onClick={() => setFollows(true)}>
          To the end
        </button>
      )}
    </div>
  );
}

/** Letters of one text that are shown unasked. */
const SHOWN = 20_000;

/** A text, however long: its end first, and all of it for whoever wants that. */
function Long({ text, className }: { text: string; className: string }) {
  const [all, setAll] = useState(false);
  if (all || text.length <= SHOWN) return <pre className={className}>{text}</pre>;
  return (
    <>
      <button type="button" className="button plain" onClick={() => setAll(true)}>
        Show the {short(text.length - SHOWN)} letters before this
      </button>
      <pre className={className}>{text.slice(-SHOWN)}</pre>
    </>
  );
}

function Tool({ tool }: { tool: NonNullable<Part["tool"]> }) {
  const input = tool.input === null || tool.input === undefined ? "" : typeof tool.input === "string" ? tool.input : JSON.stringify(tool.input, null, 2);
  const tone = tool.error || tool.status === "error" ? "bad" : tool.status === "completed" ? "dim" : "";
  return (
    <details className="tool">
      <summary>
        <span className="strong">{tool.name}</span>
        <span className="cut flex-1">{tool.title}</span>
        <span className={tone}>{tool.status}</span>
      </summary>
      {input && <pre className="tool-text">{input}</pre>}
      {tool.output && <Long className="tool-text" text={tool.output} />}
      {tool.error && <pre className="tool-text bad">{tool.error}</pre>}
    </details>
  );
}

const who: Record<string, string> = { user: "prompt", text: "agent", reasoning: "thought", notice: "notice", tool: "tool", todo: "plan" };

const Said = memo(function Said({ part }: { part: Part }) {
  return (
    <article className="said" data-kind={part.kind}>
      <header>
        <time className="dim">{clock(part.at)}</time>
        <span className="label">{who[part.kind] ?? part.kind}</span>
      </header>
      {part.tool && <Tool tool={part.tool} />}
      {part.todo && (
        <ul>
          {part.todo.map((item, index) => (
            <li key={index} className={item.status === "completed" ? "dim" : ""}>
              {{ completed: "[x]", in_progress: "[>]" }[item.status] ?? "[ ]"} {item.content}
            </li>
          ))}
        </ul>
      )}
      {!part.tool && !part.todo && (
        <div className="said-text">
          <Long className="wrap" text={part.text} />
        </div>
      )}
    </article>
  );
});

export function Transcript({ session }: { session: Session }) {
  const runs = isExecuting(session.status);
  const query = useQuery(transcript(session.id, undefined, runs ? 2000 : false));
  const spoken = useLive((live) => live.words[session.id]);
  const parts = useMemo(() => partsOf(query.data?.entries ?? []), [query.data]);
  const known = useMemo(() => new Set(parts.map((part) => part.id)), [parts]);
  const saying = Object.entries(spoken ?? {}).filter(([id]) => !known.has(id));
  const isSaid = spoken !== undefined && saying.length === 0;
  useEffect(() => {
    if (isSaid) forgetWords(session.id);
  }, [isSaid, session.id]);
  const all = useMemo(() => {
    const live = saying.map(([id, text]) => ({
      id,
      seq: Number.MAX_SAFE_INTEGER,
      at: new Date().toISOString(),
      kind: "text",
      text,
      simulated: false,
    }));
    return parts.concat(live);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- what is being said changes with what was told of it
  }, [parts, spoken]);
  if (query.isPending) return <Loading what="the conversation" rows={10} />;
  if (query.error && all.length === 0) return <Refusal error={query.error} again={() => void query.refetch()} />;
  if (all.length === 0) {
    return (
      <Empty title="Nothing was said yet.">
        <p className="dim">{runs ? "The agent has begun; its first words appear here." : "It begins once an agent has the session."}</p>
      </Empty>
    );
  }
  return (
    <Rolling items={all} name="Conversation" estimate={64} keyOf={(part) => part.id}>
      {(part) => <Said part={part} />}
    </Rolling>
  );
}

export function Log({ session }: { session: Session }) {
  const query = useQuery(logs(session.id, isExecuting(session.status) ? 3000 : false));
  const lines = query.data?.entries ?? [];
  if (query.isPending) return <Loading what="the log" rows={10} />;
  if (query.error && lines.length === 0) return <Refusal error={query.error} again={() => void query.refetch()} />;
  if (lines.length === 0) return <Empty title="The log is empty." />;
  return (
    <Rolling items={lines} name="Log" estimate={20} keyOf={(line) => line.seq}>
      {(line) => (
        <div className="log-line" data-level={line.level}>
          <span className="dim">{line.seq}</span>
          <time className="dim">{clock(line.timestamp)}</time>
          <span>{line.level}</span>
          <span className="wrap">{typeof line.message === "string" ? line.message : JSON.stringify(line.message)}</span>
        </div>
      )}
    </Rolling>
  );
}

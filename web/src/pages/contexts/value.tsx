// What a context holds, as a tree of values: only as much of it as is in sight.

import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";
import { Empty } from "../../parts/basics";
import { inLine, type Leaf, rowsOf } from "./tree";

/** Rows beyond which maps are closed until somebody opens them. */
const MANY = 400;

function Value({ leaf, mark }: { leaf: Leaf; mark: string | undefined }) {
  const { value, inside } = leaf;
  if (inside !== null) return <span className="dim">{inside === 1 ? "1 value" : `${inside} values`}</span>;
  return (
    <>
      <code className="cut flex-1" data-kind={value === null ? "null" : typeof value}>
        {inLine(value)}
      </code>
      {mark && <span className="tag">{mark}</span>}
    </>
  );
}

export function ValueTree(props: {
  data: Record<string, unknown>;
  chosen: string | null;
  onChoose(path: string): void;
  /** What is special about paths. */
  marks?: ReadonlyMap<string, string>;
}) {
  const { data, chosen, onChoose, marks } = props;
  const all = useMemo(() => rowsOf(data, () => false), [data]);
  // What somebody opened or closed; everything else is as its size asks for.
  const [turned, setTurned] = useState<ReadonlySet<string>>(new Set());
  const isClosed = (path: string) => turned.has(path) !== all.length > MANY;
  const rows = all.length > MANY || turned.size > 0 ? rowsOf(data, isClosed) : all;
  const place = useRef<HTMLDivElement>(null);
  const shown = useVirtualizer({ count: rows.length, getScrollElement: () => place.current, estimateSize: () => 24, overscan: 20 });
  if (rows.length === 0) return <Empty title="It holds nothing." />;
  const turn = (path: string) =>
    setTurned((old) => {
      const next = new Set(old);
      if (!next.delete(path)) next.add(path);
      return next;
    });
  return (
    <div className="tab-scroll" ref={place} tabIndex={0} role="region" aria-label="Values">
      <ul style={{ height: shown.getTotalSize(), position: "relative" }}>
        {shown.getVirtualItems().map((row) => {
          const leaf = rows[row.index];
          if (!leaf) return null;
          return (
            <li key={leaf.path} className="leaf row-place" data-chosen={leaf.path === chosen || undefined} style={{ transform: `translateY(${row.start}px)` }}>
              <span style={{ width: leaf.depth * 16 }} />
              {leaf.inside === null ? (
                <span className="leaf-turn" />
              ) : (
                <button type="button" className="leaf-turn" aria-expanded={!isClosed(leaf.path)} aria-label={`Open ${leaf.path}`} onClick={() => turn(leaf.path)}>
                  {isClosed(leaf.path) ? "+" : "−"}
                </button>
              )}
              <button type="button" className="leaf-name" aria-pressed={leaf.path === chosen} title={leaf.path} onClick={() => onChoose(leaf.path)}>
                {leaf.name}
              </button>
              <Value leaf={leaf} mark={marks?.get(leaf.path)} />
            </li>
          );
        })}
      </ul>
    </div>
  );
}

// How the work went: its conversation as a graph, and the sessions that it came from and led to.

import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useMemo, useRef, useState } from "react";
import { Link } from "wouter";
import { tree as treeOf } from "../../api/queries";
import type { Session, TreeNode } from "../../api/types";
import { transcript } from "../../live/tail";
import { Empty, Shown } from "../../parts/basics";
import { clock, count } from "../../parts/format";
import { isExecuting, Status } from "../../parts/status";
import { type Flow, flowOf, type Lane, type Step } from "./flow";
import { partsOf } from "./talk";

const TALL = 24;
const WIDE = 18;

const paints: Record<Lane["kind"], string> = {
  user: "var(--status-queued)",
  text: "var(--live)",
  reasoning: "var(--status-timeout)",
  tool: "var(--status-paused)",
  note: "var(--edge)",
};

const xOf = (lane: number) => lane * WIDE + 12;

const StepRow = memo(function StepRow(props: { step: Step; lanes: readonly Lane[]; chosen: boolean; onChoose(id: string): void }) {
  const { step, lanes, chosen, onChoose } = props;
  const lane = lanes[step.lane];
  if (!lane) return null;
  const { part } = step;
  const [x, y, before] = [xOf(step.lane), TALL / 2, xOf(step.from)];
  const paint = step.failed ? "var(--bad)" : paints[lane.kind];
  const todo = part.todo?.map((one) => `${one.status === "completed" ? "✓" : "·"} ${one.content}`).join("  ");
  const text = part.tool ? part.tool.title || JSON.stringify(part.tool.input ?? "") : (todo ?? part.text);
  return (
    <button type="button" className="step" aria-pressed={chosen} onClick={() => onChoose(part.id)}>
      <svg width={lanes.length * WIDE + 8} height={TALL} aria-hidden="true">
        {step.from >= 0 && (
          <path
            d={before === x ? `M${x} ${y - TALL}V${y}` : `M${before} ${y - TALL}C${before} ${y - 6} ${x} ${y - TALL + 6} ${x} ${y}`}
            fill="none"
            stroke="var(--edge)"
            strokeWidth="1.5"
          />
        )}
        {lane.kind === "tool" ? (
          <path d={`M${x} ${y - 5}l5 5-5 5-5-5z`} fill={step.failed ? paint : "var(--panel)"} stroke={paint} strokeWidth="1.5" />
        ) : (
          <path d={`M${x - 4} ${y - 4}h8v8h-8z`} fill={lane.kind === "note" ? "var(--panel)" : paint} stroke={paint} strokeWidth="1.5" />
        )}
      </svg>
      <span className="step-name cut">{part.tool?.name ?? lane.name}</span>
      <span className="cut flex-1">{text.slice(0, 240)}</span>
      {step.round > 1 && <span className="dim">×{step.round}</span>}
      {step.failed && <span className="bad">failed</span>}
      <span className="dim">{clock(part.at)}</span>
    </button>
  );
});

function Steps({ flow }: { flow: Flow }) {
  const place = useRef<HTMLDivElement>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const { lanes, steps } = flow;
  const rows = useVirtualizer({ count: steps.length, getScrollElement: () => place.current, estimateSize: () => TALL, overscan: 12 });
  const part = steps.find((step) => step.part.id === chosen)?.part;
  return (
    <>
      <ul className="lanes" aria-label="Lanes">
        {lanes.map((lane) => (
          <li key={`${lane.kind} ${lane.name}`}>
            <i style={{ background: paints[lane.kind] }} />
            {lane.name} <span className="dim">{count(lane.steps)}</span>
          </li>
        ))}
      </ul>
      <div className="tab-scroll graph-steps" ref={place} tabIndex={0} role="region" aria-label="Steps">
        <ol style={{ height: rows.getTotalSize(), position: "relative" }}>
          {rows.getVirtualItems().map((row) => {
            const step = steps[row.index];
            return (
              step && (
                <li key={step.part.id} className="row-place" style={{ transform: `translateY(${row.start}px)` }}>
                  <StepRow step={step} lanes={lanes} chosen={step.part.id === chosen} onChoose={setChosen} />
                </li>
              )
            );
          })}
        </ol>
      </div>
      {part && (
        <pre className="raw graph-chosen" tabIndex={0} role="region" aria-label="The chosen step">
          {part.tool ? [JSON.stringify(part.tool.input, null, 2), part.tool.output, part.tool.error].filter(Boolean).join("\n\n") : part.todo ? JSON.stringify(part.todo, null, 2) : part.text}
        </pre>
      )}
    </>
  );
}

function Branch({ node, here }: { node: TreeNode; here: string }) {
  return (
    <>
      <li className="fleet-row" data-chosen={node.id === here || undefined}>
        <span style={{ width: node.depth * 20 }} aria-hidden="true" />
        <Status status={node.status} />
        <span className="dim">{node.code}</span>
        {node.id === here ? (
          <span className="strong cut flex-1">{node.title}</span>
        ) : (
          <Link className="underline-hover cut flex-1" href={`/sessions/${node.code}`}>
            {node.title}
          </Link>
        )}
        <span className="dim">{node.session_type.replace(/_/g, " ")}</span>
      </li>
      {node.children.map((child) => (
        <Branch key={child.id} node={child} here={here} />
      ))}
    </>
  );
}

/** The sessions that this one came from and led to; nothing where it stands alone. */
function Kin({ session }: { session: Session }) {
  const query = useQuery(treeOf(session.parent_id ?? session.id));
  const alone = query.data && query.data.children.length === 0;
  if (!query.data || alone) return null;
  return (
    <ul className="kin" aria-label="Family" tabIndex={0}>
      <Branch node={query.data} here={session.id} />
    </ul>
  );
}

export function GraphTab({ session }: { session: Session }) {
  const query = useQuery(transcript(session.id, Number.POSITIVE_INFINITY, isExecuting(session.status) ? 10_000 : false));
  const flow = useMemo(() => flowOf(partsOf(query.data?.entries ?? [])), [query.data]);
  return (
    <div className="tab-column">
      <Kin session={session} />
      <Shown query={query} what="the conversation" rows={10}>
        {() => (flow.steps.length === 0 ? <Empty title="Nothing was said yet." /> : <Steps flow={flow} />)}
      </Shown>
    </div>
  );
}

import { useMemo } from "react";
import type { Lock, LockEdge } from "../../api/types";
import { drawn, namesOf } from "./wait";

const WIDE = 136;
const TALL = 28;
const ACROSS = 216;
const DOWN = 44;

const brief = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** Who waits for whom, as a drawing and as words. */
export function WaitGraph({ edges, locks }: { edges: readonly LockEdge[]; locks: readonly Lock[] }) {
  const drawing = useMemo(() => drawn(edges, namesOf(locks)), [edges, locks]);
  const { nodes, ranks, rows } = drawing;
  const place = new Map(nodes.map((node) => [node.id, { x: (ranks - 1 - node.rank) * ACROSS + 8, y: node.row * DOWN + 8 }]));
  const called = new Map(nodes.map((node) => [node.id, node.name]));
  const width = Math.max(1, ranks) * ACROSS - (ACROSS - WIDE) + 16;
  const height = rows * DOWN - (DOWN - TALL) + 16;
  return (
    <div className="overflow-auto" tabIndex={0} role="region" aria-label="Drawing of who waits">
      <svg width={width} height={height} aria-hidden="true" className="graph">
        <defs>
          <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
            <path d="M0 0l8 4-8 4z" fill="var(--edge)" />
          </marker>
          <marker id="tip-ring" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
            <path d="M0 0l8 4-8 4z" fill="var(--bad)" />
          </marker>
        </defs>
        {drawing.edges.map((edge) => {
          const from = place.get(edge.from);
          const to = place.get(edge.to);
          if (!from || !to) return null;
          const [x, y, ex, ey] = [from.x + WIDE, from.y + TALL / 2, to.x, to.y + TALL / 2];
          const bend = Math.max(40, Math.abs(ex - x) / 2);
          return (
            <g key={`${edge.from} ${edge.to}`}>
              <path
                d={`M${x} ${y}C${x + bend} ${y} ${ex - bend} ${ey} ${ex - 2} ${ey}`}
                fill="none"
                stroke={edge.ring ? "var(--bad)" : "var(--edge)"}
                strokeWidth="1.5"
                markerEnd={edge.ring ? "url(#tip-ring)" : "url(#tip)"}
              />
              <text x={(x + ex) / 2} y={(y + ey) / 2 - 5} textAnchor="middle" className="graph-note">
                {brief(edge.locks.join(", "), 10)}
              </text>
            </g>
          );
        })}
        {nodes.map((node) => {
          const { x, y } = place.get(node.id) ?? { x: 0, y: 0 };
          return (
            <g key={node.id} transform={`translate(${x} ${y})`}>
              <rect width={WIDE} height={TALL} fill="var(--raised)" stroke={node.rank === 0 ? "var(--live)" : "var(--status-queued)"} />
              <text x="10" y="18" className="graph-name">
                {brief(node.name, 16)}
              </text>
            </g>
          );
        })}
      </svg>
      <ul className="sr">
        {drawing.edges.map((edge) => (
          <li key={`${edge.from} ${edge.to}`}>
            {called.get(edge.from)} waits for {called.get(edge.to)} over {edge.locks.join(", ")}
            {edge.ring && ", in a ring"}
          </li>
        ))}
      </ul>
    </div>
  );
}

import { memo } from "react";
import { Link } from "wouter";
import type { Session } from "../../api/types";
import { Provenance } from "../../parts/basics";
import { money, priority, short, stamp, running } from "../../parts/format";
import { Status } from "../../parts/status";
import { attentionWords, elapsed } from "../overview/card";

export const columns = "28px 100px 116px minmax(160px, 1fr) 96px 160px 84px 72px 112px 80px 136px";

export function Head() {
  return (
    <div role="row" className="rows-head" style={{ gridTemplateColumns: columns }}>
      <span role="columnheader">
        <span className="sr">Chosen</span>
      </span>
      <span role="columnheader">Code</span>
      <span role="columnheader">Status</span>
      <span role="columnheader">Title</span>
      <span role="columnheader">Needs</span>
      <span role="columnheader">Agent</span>
      <span role="columnheader" className="num">Time</span>
      <span role="columnheader" className="num">Tokens</span>
      <span role="columnheader" className="num">Cost</span>
      <span role="columnheader">Priority</span>
      <span role="columnheader" className="num">Created</span>
    </div>
  );
}

export const Row = memo(function Row(props: {
  session: Session;
  now: number;
  index: number;
  chosen: boolean;
  checked: boolean;
  canCheck: boolean;
  onCheck(id: string, on: boolean): void;
}) {
  const { session, now, index, chosen, checked, canCheck, onCheck } = props;
  const { usage } = session.metrics;
  const seconds = elapsed(session, now);
  return (
    <div role="row" aria-rowindex={index + 2} style={{ gridTemplateColumns: columns }} data-chosen={chosen || undefined}>
      <span role="cell">
        {canCheck && (
          <input
            type="checkbox"
            aria-label={`Choose ${session.code}`}
            checked={checked}
            onChange={(event) => onCheck(session.id, event.target.checked)}
          />
        )}
      </span>
      <span role="cell">
        <Link href={`/sessions/${session.code}`}>{session.code}</Link>
      </span>
      <span role="cell">
        <Status status={session.status} />
      </span>
      <span role="cell" title={session.title}>
        <Link href={`/sessions/${session.code}`}>{session.title}</Link>
      </span>
      <span role="cell">
        {session.attention !== "none" && <span className="needs">{attentionWords[session.attention]}</span>}
      </span>
      <span role="cell" className="dim">
        {session.current_agent_name ?? session.agent ?? "–"}
      </span>
      <span role="cell" className="num">{running(seconds)}</span>
      <span role="cell" className="num">{short(usage?.tokens_total)}</span>
      <span role="cell" className="num cost-cell">
        <Provenance simulated={usage?.simulated === true} short />
        {money(usage?.cost_usd)}
      </span>
      <span role="cell" className="dim">{priority(session.priority)}</span>
      <span role="cell" className="num dim">{stamp(session.created_at)}</span>
    </div>
  );
});

// A session that is worked on, on one small card.

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link } from "wouter";
import { diff } from "../../api/queries";
import type { Session, TranscriptEntry } from "../../api/types";
import { attend, useLive } from "../../live/store";
import { transcript } from "../../live/tail";
import { Gauge, Provenance } from "../../parts/basics";
import { count, duration, money, short, running } from "../../parts/format";
import { useSimulated } from "../../parts/simulated";
import { isExecuting, Status, colour } from "../../parts/status";

function lineOf(entry: TranscriptEntry | undefined): string {
  const body = (entry?.body ?? {}) as Record<string, unknown>;
  const text = [body.text, body.title, body.tool].find((part) => typeof part === "string" && part !== "");
  const lines = String(text ?? "").trim().split("\n");
  // A prompt is known by how it begins, words of an agent by how they go on.
  const line = lines.at(entry?.kind === "user" ? 0 : -1) ?? "";
  return entry?.kind === "tool" ? `${String(body.tool ?? "tool")} ${line}` : line;
}

/** The last thing that its agent said or did. */
function LastLine({ session }: { session: Session }) {
  const { id } = session;
  useEffect(() => attend(id), [id]);
  const spoken = useLive((live) => live.words[id]);
  const { data } = useQuery(transcript(id, 1, 15_000));
  const words = spoken ? Object.values(spoken).at(-1)?.trim().split("\n").at(-1) : undefined;
  return <p className="card-line">{words || lineOf(data?.entries.at(-1)) || " "}</p>;
}

function Files({ session }: { session: Session }) {
  const isGit = session.workspace.kind === "git";
  const { data } = useQuery({ ...diff(session.id, null), enabled: isGit, staleTime: 20_000, refetchInterval: 30_000, retry: false });
  if (!isGit || !data) return null;
  return (
    <span>
      {data.files.length} <span className="dim">files</span>
    </span>
  );
}

export const attentionWords = {
  none: "",
  permission_required: "permission",
  question: "question",
  review_required: "review",
  budget_soft_limit: "budget",
} as const;

/** Seconds that a session has been worked on, as of now. */
export function elapsed(session: Session, now: number): number | null {
  const told = session.metrics.execution_duration_seconds;
  if (!session.started_at) return null;
  if (!isExecuting(session.status)) return told;
  return Math.max(told ?? 0, (now - Date.parse(session.started_at)) / 1000);
}

export function Card({ session, now, chosen }: { session: Session; now: number; chosen: boolean }) {
  const seconds = elapsed(session, now);
  const { usage } = session.metrics;
  const isSimulated = useSimulated();
  return (
    <Link href={`/sessions/${session.code}`} className="card" data-chosen={chosen || undefined} style={{ borderLeftColor: colour(session.status) }}>
      <div className="card-head">
        <span className="dim">{session.code}</span>
        <Status status={session.status} />
        {session.phase && <span className="dim">{session.phase}</span>}
        <span className="flex-1" />
        {session.attention !== "none" && <span className="needs">{attentionWords[session.attention]}</span>}
        <Provenance simulated={isSimulated(session)} />
      </div>
      <p className="card-title cut">{session.title}</p>
      <LastLine session={session} />
      <Gauge
        share={seconds === null ? null : seconds / session.max_duration_seconds}
        paint={colour(session.status)}
        label={`Time used by ${session.code}`}
      />
      <div className="card-foot">
        <span>
          {running(seconds)} <span className="dim">of {duration(session.max_duration_seconds)}</span>
        </span>
        <span>
          {usage ? short(usage.tokens_total) : "–"} <span className="dim">tok</span>
        </span>
        <span>
          {money(usage?.cost_usd)}
          {session.budget_usd !== null && <span className="dim"> of {money(session.budget_usd)}</span>}
        </span>
        <Files session={session} />
        <span className="cut dim flex-1 text-right">{session.current_agent_name ?? `attempt ${count(session.attempt)}`}</span>
      </div>
    </Link>
  );
}

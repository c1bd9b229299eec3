// How a status looks: colour, glyph and word, always together.

import type { SessionStatus } from "../api/types";

interface Look {
  word: string;
  /** Lines of a drawing in a square of 12. */
  draw: string;
  filled?: boolean;
}

/** In the order of a life. */
export const looks: Record<SessionStatus, Look> = {
  running: { word: "running", draw: "M2 1l9 5-9 5z", filled: true },
  degraded: { word: "degraded", draw: "M1 2h10L6 11z", filled: true },
  queued: { word: "queued", draw: "M1 2.5h10M1 6h10M1 9.5h10" },
  pending: { word: "pending", draw: "M1.5 1.5h9v9h-9z" },
  paused: { word: "paused", draw: "M2 1h3v10H2zM7 1h3v10H7z", filled: true },
  completed: { word: "completed", draw: "M1 6.5L4.5 10 11 2" },
  partially_completed: { word: "partial", draw: "M1 6.5L3.5 9M5 10l6-8" },
  failed: { word: "failed", draw: "M2 2l8 8M10 2l-8 8" },
  timeout: { word: "timeout", draw: "M6 1a5 5 0 1 0 .01 0M6 3v3l2 2" },
  stopped: { word: "stopped", draw: "M2 2h8v8H2z", filled: true },
  cancelled: { word: "cancelled", draw: "M1.5 1.5h9v9h-9zM2 10L10 2" },
  orphaned: { word: "orphaned", draw: "M6 1v3M6 8v3M1 6h3M8 6h3" },
};

export const statuses = Object.keys(looks) as SessionStatus[];

export const colour = (status: SessionStatus) => `var(--status-${status})`;

/** A session is worked on. */
export const isExecuting = (status: SessionStatus) => status === "running" || status === "degraded";

/** Nothing more happens to a session by itself. */
export const isOver = (status: SessionStatus) =>
  !["pending", "queued", "running", "paused", "degraded"].includes(status);

export function Glyph({ status, size = 12 }: { status: SessionStatus; size?: number }) {
  const { draw, filled } = looks[status];
  const paint = colour(status);
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 12 12"
      aria-hidden="true"
      className={status === "running" ? "pulse" : undefined}
    >
      <path d={draw} fill={filled ? paint : "none"} stroke={paint} strokeWidth={filled ? 0 : 1.6} />
    </svg>
  );
}

export function Status({ status }: { status: SessionStatus }) {
  return (
    <span className="status">
      <Glyph status={status} />
      {looks[status].word}
    </span>
  );
}

/** A mark of something else that is well, or is not. */
export function Mark({ tone, children }: { tone: "good" | "warn" | "bad" | "quiet"; children: React.ReactNode }) {
  const paint = { good: "var(--live)", warn: "var(--warn)", bad: "var(--bad)", quiet: "var(--edge)" }[tone];
  const draw = { good: "M1 6.5L4.5 10 11 2", warn: "M6 1v7M6 9.5v2", bad: "M2 2l8 8M10 2l-8 8", quiet: "M2 6h8" }[tone];
  return (
    <span className="status">
      <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
        <path d={draw} fill="none" stroke={paint} strokeWidth="1.8" />
      </svg>
      {children}
    </span>
  );
}

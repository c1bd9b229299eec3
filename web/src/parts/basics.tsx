import { type ReactNode, useEffect, useState } from "react";
import { ApiProblem } from "../api/client";

export function Panel(props: {
  title: string;
  rest?: ReactNode;
  children: ReactNode;
  className?: string;
  as?: "section" | "aside";
}) {
  const Tag = props.as ?? "section";
  return (
    <Tag className={`panel ${props.className ?? ""}`} aria-label={props.title}>
      <header>
        <h2>{props.title}</h2>
        {props.rest && <div className="rest">{props.rest}</div>}
      </header>
      {props.children}
    </Tag>
  );
}

/** A share of something, as a bar; more than all is all. */
export function Gauge({ share, paint, label }: { share: number | null; paint?: string; label: string }) {
  const filled = Math.max(0, Math.min(1, share ?? 0));
  const tone = filled > 0.9 ? "var(--bad)" : filled > 0.7 ? "var(--warn)" : "var(--live)";
  return (
    <div
      className="gauge"
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(filled * 100)}
    >
      <i style={{ width: `${filled * 100}%`, background: paint ?? tone }} />
    </div>
  );
}

/** The time, every so often. */
export function useNow(every = 1000): number {
  const [now, set] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/** A line to run in a shell, with what copies it. */
export function CommandLine({ children }: { children: string }) {
  const [copied, set] = useState(false);
  return (
    <div className="command-line">
      <code tabIndex={0}>{children}</code>
      <button
        type="button"
        className="button plain"
        onClick={() => {
          void navigator.clipboard?.writeText(children).then(() => set(true));
        }}
      >
        {copied ? "Copied" : "Copy"}
      </button>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="strong">{title}</p>
      {children}
    </div>
  );
}

export function Loading({ rows = 4, what }: { rows?: number; what: string }) {
  return (
    <div className="p-3" role="status">
      <span className="sr">Reading {what}</span>
      <div className="skeleton" style={{ height: rows * 28 }} />
    </div>
  );
}

/** What was refused and what helps. */
export function Refusal({ error, again }: { error: Error; again?: () => void }) {
  const problem = error instanceof ApiProblem ? error : null;
  return (
    <div className="notice bad m-3" role="alert">
      <p className="strong wrap">{error.message}</p>
      {problem?.remedy && <p>{problem.remedy}</p>}
      {problem && problem.fields.length > 0 && (
        <ul>
          {problem.fields.map((field) => (
            <li key={field.pointer}>
              {field.pointer} {field.message}
            </li>
          ))}
        </ul>
      )}
      {problem && problem.files.length > 0 && <p className="wrap">{problem.files.join("\n")}</p>}
      {again && (
        <button type="button" className="button mt-2" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

interface Query<T> {
  data: T | undefined;
  error: Error | null;
  isPending: boolean;
  refetch: () => unknown;
}

/** What was read, or honestly what there is instead. What was read before stays while it fails. */
export function Shown<T>(props: {
  query: Query<T>;
  what: string;
  rows?: number;
  children: (data: T) => ReactNode;
}) {
  const { data, error, refetch } = props.query;
  if (data !== undefined) {
    return (
      <>
        {error && (
          <p className="notice bad" role="alert">
            Could not read {props.what} again: {error.message} What is shown is older.
          </p>
        )}
        {props.children(data)}
      </>
    );
  }
  if (error) return <Refusal error={error} again={() => void refetch()} />;
  return <Loading what={props.what} rows={props.rows ?? 4} />;
}

/** What was not done by a model, or was not measured. */
export function Provenance(props: { simulated?: boolean; estimated?: boolean; short?: boolean }) {
  if (!props.simulated && !props.estimated) return null;
  const word = props.simulated ? "simulated" : "estimated";
  if (!props.short) return <span className="provenance">{word}</span>;
  return (
    <span className="provenance" title={word}>
      {word.slice(0, 3)}
      <span className="sr">{word.slice(3)}</span>
    </span>
  );
}

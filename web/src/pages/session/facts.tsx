// Cost, explanation, files and the plain record of a session.

import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { fill, read } from "../../api/client";
import { attempts, explanation } from "../../api/queries";
import type { Attempt, Session } from "../../api/types";
import { CommandLine, Empty, Gauge, Provenance, Shown } from "../../parts/basics";
import { bytes, count, duration, money, percent, stamp, words } from "../../parts/format";

function seconds(attempt: Attempt): number | null {
  if (!attempt.ended_at) return null;
  return (Date.parse(attempt.ended_at) - Date.parse(attempt.started_at)) / 1000;
}

export function Cost({ session }: { session: Session }) {
  const query = useQuery(attempts(session.id));
  const { usage, estimated_cost_usd: estimated } = session.metrics;
  const cost = usage?.cost_usd ?? null;
  return (
    <div className="tab-scroll" tabIndex={0} role="region" aria-label="Cost">
      <div className="figures">
        {[
          ["cost", money(cost)],
          ["estimated", money(estimated)],
          ["budget", money(session.budget_usd)],
          ["tokens", count(usage?.tokens_total)],
          ["in", count(usage?.tokens_input)],
          ["out", count(usage?.tokens_output)],
          ["cache read", count(usage?.tokens_cache_read)],
          ["reasoning", count(usage?.tokens_reasoning)],
        ].map(([name, value]) => (
          <div className="figure" key={name}>
            <span className="label">{name}</span>
            <b>{value}</b>
          </div>
        ))}
      </div>
      {usage?.simulated && (
        <p className="p-3">
          <Provenance simulated /> <span className="dim">No model was asked; the figures are those of the script.</span>
        </p>
      )}
      {session.budget_usd !== null && cost !== null && (
        <div className="p-3">
          <Gauge share={cost / session.budget_usd} label="Share of the budget that is spent" />
        </div>
      )}
      <Shown query={query} what="attempts">
        {(page) => (
          <table className="grid-table">
            <thead>
              <tr>
                <th scope="col">Attempt</th>
                <th scope="col">Agent</th>
                <th scope="col">Began</th>
                <th scope="col" className="num">Took</th>
                <th scope="col">Outcome</th>
                <th scope="col" className="num">Tokens</th>
                <th scope="col" className="num">Cost</th>
              </tr>
            </thead>
            <tbody>
              {page.items.map((attempt) => (
                <tr key={attempt.number}>
                  <td>{attempt.number}</td>
                  <td>{attempt.leases.at(-1)?.agent_name ?? "–"}</td>
                  <td className="dim">{stamp(attempt.started_at)}</td>
                  <td className="num">{duration(seconds(attempt))}</td>
                  <td title={attempt.error?.message}>{attempt.outcome ?? "open"}</td>
                  <td className="num">{count(attempt.usage?.tokens_total)}</td>
                  <td className="num">{money(attempt.usage?.cost_usd)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Shown>
    </div>
  );
}

interface Routing {
  selected?: string;
  score?: number;
  reason?: string;
}

export function Explain({ session }: { session: Session }) {
  const query = useQuery({ ...explanation(session.id), refetchInterval: 10_000 });
  return (
    <div className="tab-scroll" tabIndex={0} role="region" aria-label="Explanation">
      <Shown query={query} what="the explanation">
        {(told) => (
          <div className="flex flex-col gap-3 p-3">
            <p className="strong wrap">{told.summary}</p>
            {told.blockers.map((blocker) => (
              <section className="notice" key={`${blocker.code}/${blocker.object}`}>
                <h3 className="label">{words(blocker.code)}</h3>
                <p className="wrap">{blocker.text}</p>
                <p className="dim wrap">{blocker.remedy}</p>
                {blocker.command && <CommandLine>{blocker.command}</CommandLine>}
              </section>
            ))}
            <dl className="facts border-t border-line">
              <dt>since</dt>
              <dd>{stamp(told.since)}</dd>
              <dt>agent</dt>
              <dd>{told.agent ?? "–"}</dd>
              <dt>place in the queue</dt>
              <dd>{told.queue_position ?? "–"}</dd>
              <dt>expected</dt>
              <dd>
                {stamp(told.eta)} {told.estimated && <Provenance estimated />}
              </dd>
              <dt>next deadline</dt>
              <dd>{stamp(told.next_deadline)}</dd>
            </dl>
            {told.routing && <RoutingFacts routing={told.routing as Routing} />}
          </div>
        )}
      </Shown>
    </div>
  );
}

function RoutingFacts({ routing }: { routing: Routing }) {
  return (
    <section>
      <h3 className="label pb-1">Why this agent</h3>
      <pre className="raw">{JSON.stringify(routing, null, 2)}</pre>
    </section>
  );
}

interface Artifacts {
  items: { path: string; size: number; mime_type: string; attempt: number; created_at: string; sha256: string }[];
}

export function Files({ session }: { session: Session }) {
  const query = useQuery({
    queryKey: ["of", "session", session.id, "artifacts"],
    queryFn: ({ signal }) => read<Artifacts>("/sessions/{id}/artifacts", { params: { id: session.id }, signal }),
  });
  return (
    <div className="tab-scroll" tabIndex={0} role="region" aria-label="Files">
      <Shown query={query} what="the files">
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No agent brought a file back.">
              <p className="dim">What it changed in a worktree stands in the diff.</p>
            </Empty>
          ) : (
            <table className="grid-table">
              <thead>
                <tr>
                  <th scope="col">Path</th>
                  <th scope="col">Kind</th>
                  <th scope="col" className="num">Size</th>
                  <th scope="col" className="num">Attempt</th>
                  <th scope="col">SHA-256</th>
                </tr>
              </thead>
              <tbody>
                {items.map((file) => (
                  <tr key={file.path}>
                    <td>
                      <a
                        className="underline"
                        href={`/api/v1${fill("/sessions/{id}/artifacts/{path}", { id: session.id, path: file.path })}`}
                        download
                      >
                        {file.path}
                      </a>
                    </td>
                    <td className="dim">{file.mime_type}</td>
                    <td className="num">{bytes(file.size)}</td>
                    <td className="num">{file.attempt}</td>
                    <td className="dim">{file.sha256.slice(0, 16)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Shown>
    </div>
  );
}

export function Raw({ session }: { session: Session }) {
  return (
    <pre className="raw tab-scroll" tabIndex={0} role="region" aria-label="Record">
      {JSON.stringify(session, null, 2)}
    </pre>
  );
}

export function Verdict({ session }: { session: Session }) {
  const { verification, gates } = session;
  if (gates.length === 0) return null;
  return (
    <ul>
      {gates.map((gate) => {
        const report = verification?.gates.find((one) => one.name === gate.name);
        return (
          <li key={gate.name} className="fleet-row">
            <span className="cut flex-1" title={gate.command.join(" ")}>
              {gate.name}
            </span>
            <span className={report && !report.passed ? "bad" : "dim"}>
              {report ? (report.passed ? "passed" : report.timed_out ? "timed out" : `failed ${report.exit_code ?? ""}`) : "not run"}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

export function Family({ session }: { session: Session }) {
  const { parent_id: parent, forked_from: forked } = session;
  if (!parent && !forked) return null;
  return (
    <>
      {parent && (
        <>
          <dt>parent</dt>
          <dd>
            <Link className="underline" href={`/sessions/${parent}`}>
              {parent.slice(0, 8)}
            </Link>
          </dd>
        </>
      )}
      {forked && (
        <>
          <dt>forked from</dt>
          <dd>
            <Link className="underline" href={`/sessions/${forked.session_id}`}>
              {forked.session_id.slice(0, 8)}
            </Link>
          </dd>
        </>
      )}
    </>
  );
}

export const health = (session: Session) => percent(session.health_score);

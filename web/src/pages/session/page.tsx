// One session, as through glass: what happened, what happens, what can be done.

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useSearchParams } from "wouter";
import { attention, checkpoints, session as sessionOf } from "../../api/queries";
import type { MergeReport, Session } from "../../api/types";
import { attend } from "../../live/store";
import { Gauge, Panel, Provenance, Refusal, Shown, useNow } from "../../parts/basics";
import { useConfirm } from "../../parts/confirm";
import { duration, money, percent, priority, short, stamp, words, running } from "../../parts/format";
import { useSimulated } from "../../parts/simulated";
import { colour, isExecuting, Status } from "../../parts/status";
import { useKeys } from "../../shell/keys";
import { useHere } from "../../shell/who";
import { Item } from "../attention/item";
import { elapsed } from "../overview/card";
import { DiffTab } from "./diff";
import { Cost, Explain, Family, Files, health, Raw, Verdict } from "./facts";
import { GraphTab } from "./graph";
import { Log, Transcript } from "./live";
import { ContextTab } from "./memory";
import { Timeline } from "./timeline";
import { askFor, run, verbs } from "./verbs";

const tabs = [
  ["live", Transcript],
  ["log", Log],
  ["diff", DiffTab],
  ["graph", GraphTab],
  ["context", ContextTab],
  ["cost", Cost],
  ["explain", Explain],
  ["files", Files],
  ["raw", Raw],
] as const;

function Commands({ session }: { session: Session }) {
  const { ask, dialog } = useConfirm();
  const [told, setTold] = useState<{ error: Error } | { text: string } | null>(null);
  const shown = Object.keys(verbs).filter((verb) => session.allowed_actions.includes(verb));
  const begin = (name: string) => {
    setTold(null);
    const verb = verbs[name];
    if (verb?.plain) {
      run(name, session.id).then(
        () => setTold({ text: `${verb.name}: done.` }),
        (error: Error) => setTold({ error }),
      );
      return;
    }
    ask(
      askFor(name, session, (answer) => {
        const report = answer as MergeReport | null;
        if (name === "merge" && report) {
          setTold({
            text: report.patch ?? `${report.files} files merged into ${report.target ?? "the branch"} as ${report.commit?.slice(0, 10) ?? "–"}.`,
          });
        }
      }),
    );
  };
  useKeys({
    c: () => {
      const name = shown[0];
      if (name) begin(name);
    },
  });
  if (shown.length === 0) return null;
  return (
    <Panel title="Commands">
      <div className="flex flex-wrap gap-1 p-2" role="toolbar" aria-label="Commands">
        {shown.map((name) => {
          const verb = verbs[name];
          return (
            <button
              key={name}
              type="button"
              className={`button ${verb?.danger ? "danger" : name === "start" || name === "resume" || name === "merge" ? "main" : ""}`}
              onClick={() => begin(name)}
            >
              {verb?.name}
            </button>
          );
        })}
      </div>
      {told && "error" in told && <Refusal error={told.error} />}
      {told && "text" in told && (
        <p className="notice wrap m-2" role="status">
          {told.text}
        </p>
      )}
      {dialog}
    </Panel>
  );
}

function Standing({ session }: { session: Session }) {
  const now = useNow();
  const seconds = elapsed(session, now);
  const { usage, error } = session.metrics;
  return (
    <Panel title="Standing" rest={<Status status={session.status} />}>
      {error && (
        <div className="notice bad" role="alert">
          <p className="strong">{words(error.type)}</p>
          <p className="wrap">{error.message}</p>
        </div>
      )}
      <dl className="facts">
        <dt>agent</dt>
        <dd>{session.current_agent_name ?? session.agent ?? "–"}</dd>
        <dt>phase</dt>
        <dd>{session.phase ?? "–"}</dd>
        <dt>attempt</dt>
        <dd>
          {session.attempt || "–"} <span className="dim">of {session.retry_policy.max_retries + 1}</span>
        </dd>
        <dt>time</dt>
        <dd>
          {running(seconds)} <span className="dim">of {duration(session.max_duration_seconds)}</span>
          <Gauge share={seconds === null ? null : seconds / session.max_duration_seconds} paint={colour(session.status)} label="Time used" />
        </dd>
        <dt>cost</dt>
        <dd>
          {money(usage?.cost_usd)} <span className="dim">of {money(session.budget_usd)}</span>
        </dd>
        <dt>tokens</dt>
        <dd>{short(usage?.tokens_total)}</dd>
        <dt>success</dt>
        <dd>
          {percent(session.metrics.success_rate)} <span className="dim">{session.metrics.success_rate_source}</span>
        </dd>
        <dt>health</dt>
        <dd>{health(session)}</dd>
        {session.status_reason && (
          <>
            <dt>because</dt>
            <dd>{words(session.status_reason)}</dd>
          </>
        )}
        {session.degraded_reasons.length > 0 && (
          <>
            <dt>degraded</dt>
            <dd>{session.degraded_reasons.map(words).join(", ")}</dd>
          </>
        )}
        <dt>created</dt>
        <dd>
          {stamp(session.created_at)} <span className="dim">by {session.created_by}</span>
        </dd>
        <dt>priority</dt>
        <dd>{priority(session.priority)}</dd>
        <dt>workspace</dt>
        <dd>
          {session.workspace.kind}
          {session.workspace.branch && <div className="dim">{session.workspace.branch}</div>}
          {session.workspace.repo && <div className="dim">{session.workspace.repo}</div>}
        </dd>
        <Family session={session} />
      </dl>
    </Panel>
  );
}

function Checkpoints({ session }: { session: Session }) {
  const query = useQuery(checkpoints(session.id));
  const { ask, dialog } = useConfirm();
  const mayRestore = session.allowed_actions.includes("restore");
  return (
    <Panel title="Checkpoints" rest={<span className="dim">{session.checkpoint_count}</span>}>
      <Shown query={query} what="checkpoints" rows={2}>
        {(page) =>
          page.items.length === 0 ? (
            <p className="dim p-3">None was taken.</p>
          ) : (
            <ul className="max-h-40 overflow-auto" tabIndex={0} aria-label="Checkpoints">
              {page.items.toReversed().map((one) => (
                <li key={one.id} className="fleet-row">
                  <span>#{one.sequence}</span>
                  <span className="dim flex-1">{one.trigger}</span>
                  <span className="dim">{stamp(one.created_at)}</span>
                  {mayRestore && (
                    <button
                      type="button"
                      className="button plain"
                      onClick={() =>
                        ask({
                          title: `Restore checkpoint ${one.sequence}`,
                          verb: "Restore",
                          danger: true,
                          consequence: (
                            <p>
                              Workspace and conversation of {session.code} stand again as they did at {stamp(one.created_at)}. What was not saved is kept
                              under a reference of its own.
                            </p>
                          ),
                          run: () => run(`checkpoints/${one.sequence}/restore`, session.id),
                        })
                      }
                    >
                      Restore
                    </button>
                  )}
                </li>
              ))}
            </ul>
          )
        }
      </Shown>
      {dialog}
    </Panel>
  );
}

function Needs({ session }: { session: Session }) {
  const query = useQuery(attention);
  const items = (query.data ?? []).filter((item) => item.session_id === session.id);
  if (items.length === 0) return null;
  return (
    <section aria-label="Needs you" className="flex flex-col gap-2">
      {items.map((item) => (
        <Item key={item.id} item={item} chosen={false} armed={null} alike={1} />
      ))}
    </section>
  );
}

function Glass({ session }: { session: Session }) {
  const [params, setParams] = useSearchParams();
  const { can } = useHere();
  const shown = tabs.filter(([tab]) => tab !== "context" || can({ role: "viewer", scope: "contexts:read" }));
  const name = shown.find(([tab]) => tab === params.get("tab"))?.[0] ?? "live";
  const Tab = tabs.find(([tab]) => tab === name)?.[1] ?? Transcript;
  const open = (tab: string) =>
    setParams((old) => {
      const next = new URLSearchParams(old);
      if (tab === "live") next.delete("tab");
      else next.set("tab", tab);
      return next;
    });
  useKeys(Object.fromEntries(shown.map(([tab], index) => [String(index + 1), () => open(tab)])));
  useEffect(() => attend(session.id), [session.id]);
  const isSimulated = useSimulated();
  return (
    <div className="glass">
      <header className="glass-head">
        <span className="dim">{session.code}</span>
        <h1 className="cut">{session.title}</h1>
        <Status status={session.status} />
        {session.attention !== "none" && <span className="needs">{words(session.attention)}</span>}
        <Provenance simulated={isSimulated(session)} />
        <span className="flex-1" />
        {session.tags.map((tag) => (
          <span className="tag" key={tag}>
            {tag}
          </span>
        ))}
      </header>
      <Panel title="Timeline" className="glass-time">
        {can({ role: "viewer", scope: "sessions:read" }) && <Timeline id={session.id} />}
      </Panel>
      <section className="panel glass-centre" aria-label="Work">
        <div role="tablist" aria-label="Views" className="tabs">
          {shown.map(([tab]) => (
            <button
              key={tab}
              type="button"
              role="tab"
              id={`tab-${tab}`}
              aria-selected={tab === name}
              aria-controls="tab-panel"
              onClick={() => open(tab)}
            >
              {tab}
            </button>
          ))}
          {isExecuting(session.status) && name === "live" && (
            <span className="tabs-live">
              <i className="pulse" /> as it goes
            </span>
          )}
        </div>
        <div role="tabpanel" id="tab-panel" aria-labelledby={`tab-${name}`} className="tab-panel">
          <Tab key={name} session={session} />
        </div>
      </section>
      <div className="glass-side">
        <Needs session={session} />
        <Commands session={session} />
        <Standing session={session} />
        {session.gates.length > 0 && (
          <Panel title="Gates">
            <Verdict session={session} />
          </Panel>
        )}
        <Checkpoints session={session} />
      </div>
    </div>
  );
}

export function SessionPage({ id }: { id: string }) {
  // By its code at first; what is live names it by its id.
  const query = useQuery({
    queryKey: ["of", "sessions", "by", id],
    queryFn: async ({ client }) => {
      const found = await client.fetchQuery({ ...sessionOf(id), staleTime: 0 });
      client.setQueryData(sessionOf(found.id).queryKey, found);
      return found.id;
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
  const full = useQuery({ ...sessionOf(query.data ?? ""), enabled: query.data !== undefined });
  if (query.error) return <Refusal error={query.error} again={() => void query.refetch()} />;
  return (
    <Shown query={full} what="the session" rows={16}>
      {(session) => <Glass session={session} />}
    </Shown>
  );
}

// What sessions, agents and the tenant remember: all of it, what was merged, and what waits to be decided.

import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { tell } from "../../api/client";
import { agents, contexts, sessionsWhere } from "../../api/queries";
import type { Context, ContextMerge, ContextScope } from "../../api/types";
import { CommandLine, Empty, Panel, Shown, useNow } from "../../parts/basics";
import { Field, useConfirm } from "../../parts/confirm";
import { bytes, count, since, until } from "../../parts/format";
import { Mark } from "../../parts/status";
import { useKeys } from "../../shell/keys";
import { useHere } from "../../shell/who";
import { changed } from "../sessions/filters";
import { Clashes } from "./clash";
import { isMap } from "./tree";
import { merges, type Waiting, waiting } from "./waiting";

export const scopes: readonly ContextScope[] = ["global", "session", "agent", "task", "temporary"];

const strategies = [
  ["manual", "somebody decides what clashes"],
  ["deep_merge", "lists are joined, else the later write holds"],
  ["last_write_wins", "the later write of each first name holds"],
  ["prefer_target", "the target holds"],
  ["prefer_source", "the source holds"],
] as const;

/** Whose a context is, in words. */
export function useOwner(): (context: Context) => string {
  const { can } = useHere();
  const fleet = useQuery({ ...agents, enabled: can({ role: "viewer", scope: "agents:read" }) });
  const lately = useQuery({ ...sessionsWhere({ limit: "200" }), enabled: can({ role: "viewer", scope: "sessions:read" }) });
  return useMemo(() => {
    const names = new Map<string, string>();
    for (const agent of fleet.data ?? []) names.set(agent.id, agent.name);
    for (const session of lately.data?.items ?? []) names.set(session.id, `${session.code} ${session.title}`);
    return ({ session_id: session, agent_id: agent, task_id: task }: Context) => {
      const id = session ?? agent ?? task;
      return id ? (names.get(id) ?? id.slice(0, 8)) : "the tenant";
    };
  }, [fleet.data, lately.data]);
}

/** How many values lie in an object, those within others included. */
export function sizeOf(data: unknown): number {
  return isMap(data) ? Object.values(data).reduce((sum: number, value) => sum + 1 + sizeOf(value), 0) : 0;
}

function Row(props: { context: Context; owner: string; now: number; at: boolean; order: number; onChoose: (() => void) | null }) {
  const { context, owner, now, order, onChoose } = props;
  const text = useMemo(() => JSON.stringify(context.data), [context.data]);
  return (
    <tr data-chosen={props.at || undefined}>
      {onChoose && (
        <td>
          <button type="button" className="key" aria-pressed={order > 0} aria-label={`Merge ${owner}`} onClick={onChoose}>
            {order > 0 ? (order === 1 ? "T" : order - 1) : "·"}
          </button>
        </td>
      )}
      <td>
        <span className="tag">{context.scope}</span>
      </td>
      <td className="cut max-w-80">
        <Link className="underline-hover strong" href={`/contexts/${context.id}`}>
          {owner}
        </Link>
      </td>
      <td className="cut fills dim">{text.slice(0, 300)}</td>
      <td className="num">{count(sizeOf(context.data))}</td>
      <td className="num dim">{bytes(text.length)}</td>
      <td className="num">v{context.version}</td>
      <td>{context.trusted ? <Mark tone="good">people</Mark> : <Mark tone="warn">agents too</Mark>}</td>
      <td className="num">{since(context.updated_at, now)}</td>
      <td className="num dim">{context.expires_at ? until(context.expires_at, now) : context.scope === "session" ? "its end" : "never"}</td>
    </tr>
  );
}

function Decide({ merge, now, onOpen, may }: { merge: Waiting; now: number; onOpen(): void; may: boolean }) {
  return (
    <li className="wait decide">
      <span className="needs">{merge.paths.length} clash</span>
      <span className="cut flex-1">{merge.paths.join(", ")}</span>
      <span className="dim">
        by {merge.by}, waits {until(new Date(merge.until).toISOString(), now)} more
      </span>
      {may && (
        <button type="button" className="button main" onClick={onOpen}>
          Decide
        </button>
      )}
    </li>
  );
}

/** A merge that has just begun, as one that waits. */
const begun = (told: ContextMerge, ids: string[]): Waiting => ({
  id: told.context_id,
  sources: ids,
  paths: told.conflicts.map((one) => one.path),
  by: "",
  until: Date.parse(told.expires_at ?? ""),
});

export function Contexts() {
  const [params, setParams] = useSearchParams();
  const [, go] = useLocation();
  const { can } = useHere();
  const { ask, dialog } = useConfirm();
  const now = useNow(10_000);
  const scope = scopes.find((one) => one === params.get("scope")) ?? null;
  const query = useQuery(contexts(scope));
  const past = useQuery({ ...merges, enabled: can({ role: "viewer", scope: "events:read" }) });
  const [chosen, setChosen] = useState<string[]>([]);
  const [decided, setDecided] = useState<Waiting | null>(null);
  const [at, setAt] = useState(-1);
  const owner = useOwner();
  const items = useMemo(() => (query.data ?? []).toReversed(), [query.data]);
  const open = useMemo(() => waiting(past.data ?? [], now), [past.data, now]);
  const mayWrite = can({ role: "member", scope: "contexts:write" });
  const choose = (id: string) => setChosen((old) => (old.includes(id) ? old.filter((one) => one !== id) : [...old, id]));
  const step = (by: number) => setAt((old) => Math.max(0, Math.min(items.length - 1, old + by)));
  const chosenAt = () => items[at]?.id;
  useKeys({
    j: () => step(1),
    k: () => step(-1),
    Enter: () => {
      const id = chosenAt();
      if (id) go(`/contexts/${id}`);
    },
    x: () => {
      const id = chosenAt();
      if (id && mayWrite) choose(id);
    },
  });
  const merge = () =>
    ask({
      title: `Merge ${chosen.length} contexts`,
      verb: "Merge",
      consequence: <p>A new context holds what they hold together, and belongs to whom the first one (T) belongs. They stay as they are.</p>,
      fields: (
        <Field label="Where both sides wrote">
          <select className="field" name="strategy" defaultValue="manual">
            {strategies.map(([name, about]) => (
              <option key={name} value={name}>
                {name}: {about}
              </option>
            ))}
          </select>
        </Field>
      ),
      run: (_, form) => tell("POST", "/contexts/merge", { body: { context_ids: chosen, strategy: form.get("strategy") } }),
      done: (answer) => {
        const told = answer as ContextMerge;
        setChosen([]);
        if (told.status === "conflicted") setDecided(begun(told, chosen));
        else go(`/contexts/${told.context_id}`);
      },
    });
  const make = () =>
    ask({
      title: "New context",
      verb: "Make",
      consequence: <p>A global one is kept for the whole tenant until it is deleted; a temporary one goes an hour after its last write.</p>,
      fields: (
        <>
          <Field label="For">
            <select className="field" name="scope" defaultValue="global">
              {["global", "session", "agent", "temporary"].map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </Field>
          <Field label="Whose" hint="code of the session, or name of the agent">
            <input className="field" name="owner" autoComplete="off" maxLength={200} />
          </Field>
          <Field label="What it remembers" hint="JSON">
            <textarea className="field" name="data" rows={6} defaultValue="{}" spellCheck={false} />
          </Field>
        </>
      ),
      run: async (_, form) => {
        const value = String(form.get("scope"));
        const named = String(form.get("owner") ?? "").trim();
        return tell("POST", "/contexts", {
          body: {
            scope: value,
            initial_data: JSON.parse(String(form.get("data"))) as unknown,
            ...(value === "session" && { session_id: named }),
            ...(value === "agent" && { agent_id: named }),
          },
        });
      },
      done: (answer) => go(`/contexts/${(answer as Context).id}`),
    });
  return (
    <div className="list-page">
      <div className="bar">
        <h1>Contexts</h1>
        <div className="chips" role="group" aria-label="Scope">
          {scopes.map((one) => (
            <button
              key={one}
              type="button"
              className="chip"
              aria-pressed={scope === one}
              onClick={() => setParams((old) => changed(old, "scope", scope === one ? [] : [one]))}
            >
              {one}
            </button>
          ))}
        </div>
        <span className="grow" />
        {chosen.length > 0 && (
          <>
            <span className="dim">{chosen.length} chosen</span>
            <button type="button" className="button" disabled={chosen.length < 2} onClick={merge}>
              Merge
            </button>
          </>
        )}
        {mayWrite && (
          <button type="button" className="button main" onClick={make}>
            New context
          </button>
        )}
      </div>
      {open.length > 0 && (
        <Panel title="To be decided" className="border-0 border-b">
          <ul>
            {open.map((one) => (
              <Decide key={one.id} merge={one} now={now} may={mayWrite} onOpen={() => setDecided(one)} />
            ))}
          </ul>
        </Panel>
      )}
      <div className="tab-scroll" tabIndex={0} role="region" aria-label="Contexts, newest first">
        <Shown query={query} what="contexts" rows={10}>
          {() =>
            items.length === 0 ? (
              <Empty title="Nothing is remembered.">
                <p className="dim">Agents remember by their tools, and programs and people with</p>
                <CommandLine>{'orchestrator context create --session IND-000001 --data \'{"plan": {"step": 1}}\''}</CommandLine>
              </Empty>
            ) : (
              <table className="grid-table">
                <thead>
                  <tr>
                    {mayWrite && (
                      <th scope="col">
                        <span className="sr">Merge</span>
                      </th>
                    )}
                    <th scope="col">Scope</th>
                    <th scope="col">Whose</th>
                    <th scope="col">Holds</th>
                    <th scope="col" className="num">Values</th>
                    <th scope="col" className="num">Size</th>
                    <th scope="col" className="num">Version</th>
                    <th scope="col">Written by</th>
                    <th scope="col" className="num">Written</th>
                    <th scope="col" className="num">Goes</th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((context, index) => (
                    <Row
                      key={context.id}
                      context={context}
                      owner={owner(context)}
                      now={now}
                      at={index === at}
                      order={chosen.indexOf(context.id) + 1}
                      onChoose={mayWrite ? () => choose(context.id) : null}
                    />
                  ))}
                </tbody>
              </table>
            )
          }
        </Shown>
      </div>
      {dialog}
      {decided && (
        <Clashes
          merge={decided}
          onClose={() => setDecided(null)}
          onDone={(made) => {
            setDecided(null);
            go(`/contexts/${made.id}`);
          }}
        />
      )}
    </div>
  );
}

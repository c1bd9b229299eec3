// One context: what it holds, who wrote that, how it came to be, and what can be done with it.

import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link, useLocation } from "wouter";
import { read, tell } from "../../api/client";
import { context as contextOf } from "../../api/queries";
import type { Context, ContextKey } from "../../api/types";
import { Panel, Shown, useNow } from "../../parts/basics";
import { Field, useConfirm } from "../../parts/confirm";
import { bytes, count, since, stamp, until } from "../../parts/format";
import { Mark } from "../../parts/status";
import { useHere } from "../../shell/who";
import { sizeOf, useOwner } from "./contexts";
import { Compared, History } from "./past";
import { at, inLine } from "./tree";
import { ValueTree } from "./value";

type Ask = ReturnType<typeof useConfirm>["ask"];

/** Asks what is to stand at a path, from now on. */
function askValue(ask: Ask, context: Context, path: string | null): void {
  const value = path === null ? undefined : at(context.data, path);
  ask({
    title: path === null ? "New value" : `Change ${path}`,
    verb: "Write",
    wide: true,
    consequence: (
      <p>
        It is written as version {context.version + 1}, on record as yours. When somebody wrote the same since version {context.version}, nothing is
        written.
      </p>
    ),
    fields: (
      <>
        {path === null && (
          <Field label="Path" hint="names joined by dots, as in plan.step">
            <input className="field" name="path" required maxLength={512} autoComplete="off" />
          </Field>
        )}
        <Field label="Value" hint="JSON">
          <textarea className="field" name="value" required rows={6} defaultValue={value === undefined ? "" : JSON.stringify(value, null, 2)} spellCheck={false} />
        </Field>
      </>
    ),
    run: async (_, form) => {
      const updates = { [path ?? String(form.get("path")).trim()]: JSON.parse(String(form.get("value"))) as unknown };
      return tell("PATCH", "/contexts/{id}", { params: { id: context.id }, body: { updates, expected_version: context.version } });
    },
  });
}

function Chosen({ context, path, ask }: { context: Context; path: string; ask: Ask }) {
  const { can } = useHere();
  const now = useNow(5000);
  const query = useQuery({
    queryKey: ["of", "context", context.id, "key", path, context.version],
    queryFn: ({ signal }) => read<ContextKey>("/contexts/{id}/keys/{path}", { params: { id: context.id, path }, signal }),
  });
  const remove = () =>
    ask({
      title: `Delete ${path}`,
      verb: "Delete",
      danger: true,
      consequence: <p>The value and all that lies in it is gone from version {context.version + 1} on; older versions still have it.</p>,
      run: () =>
        tell("PATCH", "/contexts/{id}", { params: { id: context.id }, body: { updates: { [path]: null }, expected_version: context.version } }),
    });
  return (
    <Panel
      title={path}
      className="chosen-value"
      rest={
        can({ role: "member", scope: "contexts:write" }) && (
          <>
            <button type="button" className="button plain" onClick={() => askValue(ask, context, path)}>
              Change
            </button>
            <button type="button" className="button plain" onClick={remove}>
              Delete
            </button>
          </>
        )
      }
    >
      <Shown query={query} what="the value" rows={3}>
        {(told) => (
          <>
            <p className="px-3 py-1">
              {told.trusted ? <Mark tone="good">no agent wrote it</Mark> : <Mark tone="warn">written by an agent: text from outside</Mark>}
              {told.updated_by && (
                <span className="dim pl-3">
                  {told.updated_by.name}, {since(told.updated_at, now)} ago
                </span>
              )}
            </p>
            <pre className="raw" tabIndex={0} aria-label="Value">
              {typeof told.value === "string" ? told.value : JSON.stringify(told.value, null, 2)}
            </pre>
          </>
        )}
      </Shown>
    </Panel>
  );
}

function Commands({ context, owner, ask }: { context: Context; owner: string; ask: Ask }) {
  const { can } = useHere();
  const [, go] = useLocation();
  const { id } = context;
  const mayWrite = can({ role: "member", scope: "contexts:write" });
  const mayLead = can({ role: "lead", scope: "contexts:write" });
  if (!mayWrite) return null;
  const share = () =>
    ask({
      title: `Share with a session`,
      verb: "Share",
      consequence: <p>The session gets a copy of its own. Shared again, what is new here comes into that copy.</p>,
      fields: (
        <Field label="Session" hint="code or id">
          <input className="field" name="session" required maxLength={100} autoComplete="off" />
        </Field>
      ),
      run: (_, form) => tell("POST", "/contexts/{id}/share", { params: { id }, body: { target_session_id: form.get("session") } }),
      done: (answer) => go(`/contexts/${(answer as Context).id}`),
    });
  const promote = () =>
    ask({
      title: "Make it known to all",
      verb: "Promote",
      consequence: <p>A copy of what it holds is kept for the whole tenant, until somebody deletes it. {owner} keeps its own.</p>,
      run: () => tell("POST", "/contexts/{id}/promote-to-global", { params: { id } }),
      done: (answer) => go(`/contexts/${(answer as Context).id}`),
    });
  const remove = () =>
    ask({
      title: "Delete the context",
      verb: "Delete",
      danger: true,
      consequence: <p>What {owner} remembers here is gone with all {count(context.version)} versions. Copies that others have stay.</p>,
      run: async () => {
        await tell("DELETE", "/contexts/{id}", { params: { id } });
        // Before anything is read again: what is gone is asked for no more.
        go("/contexts");
      },
    });
  return (
    <div className="flex flex-wrap gap-1" role="toolbar" aria-label="Commands">
      <button type="button" className="button" onClick={() => askValue(ask, context, null)}>
        New value
      </button>
      <button type="button" className="button" onClick={share}>
        Share
      </button>
      {mayLead && context.scope !== "global" && (
        <button type="button" className="button" onClick={promote}>
          Promote
        </button>
      )}
      {(mayLead || context.scope !== "global") && (
        <button type="button" className="button danger" onClick={remove}>
          Delete
        </button>
      )}
    </div>
  );
}

function Facts({ context, owner }: { context: Context; owner: string }) {
  const now = useNow(5000);
  const size = useMemo(() => JSON.stringify(context.data).length, [context.data]);
  return (
    <dl className="facts">
      <dt>whose</dt>
      <dd>
        {context.session_id ? (
          <Link className="underline" href={`/sessions/${context.session_id}`}>
            {owner}
          </Link>
        ) : context.agent_id ? (
          <Link className="underline" href={`/agents/${context.agent_id}`}>
            {owner}
          </Link>
        ) : (
          owner
        )}
      </dd>
      <dt>holds</dt>
      <dd>
        {count(sizeOf(context.data))} values <span className="dim">in {bytes(size)} of 1 MiB</span>
      </dd>
      <dt>written</dt>
      <dd>{since(context.updated_at, now)} ago</dd>
      <dt>made</dt>
      <dd>
        {stamp(context.created_at)} <span className="dim">by {context.created_by}</span>
      </dd>
      <dt>goes</dt>
      <dd>
        {context.expires_at
          ? `in ${until(context.expires_at, now)}, unless it is written`
          : context.scope === "session"
            ? "a day after its session has ended"
            : "when it is deleted"}
      </dd>
      <dt>writers</dt>
      <dd>
        {context.authors.map((author) => (
          <div key={author.id} className="flex gap-2">
            <span className="cut flex-1">{author.name}</span>
            <span className="dim">{author.kind}</span>
          </div>
        ))}
      </dd>
      {Object.keys(context.metadata).length > 0 && (
        <>
          <dt>besides</dt>
          <dd>{inLine(context.metadata)}</dd>
        </>
      )}
    </dl>
  );
}

/** The value of a context and what is chosen in it: its own page, and a part of that of a session. */
export function Holds({ context, ask }: { context: Context; ask: Ask }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const path = chosen !== null && at(context.data, chosen) !== undefined ? chosen : null;
  return (
    <>
      <ValueTree data={context.data} chosen={path} onChoose={setChosen} />
      {path !== null && <Chosen context={context} path={path} ask={ask} />}
    </>
  );
}

function Whole({ context }: { context: Context }) {
  const { ask, dialog } = useConfirm();
  const [compared, setCompared] = useState<[number, number] | null>(null);
  const owner = useOwner()(context);
  const look = (version: number) => setCompared([Math.max(1, version - 1), version]);
  return (
    <div className="context">
      <header className="glass-head">
        <span className="tag">{context.scope}</span>
        <h1 className="cut">{owner}</h1>
        <span className="dim">v{context.version}</span>
        {context.trusted ? <Mark tone="good">written by people</Mark> : <Mark tone="warn">agents wrote in it</Mark>}
        <span className="flex-1" />
        <Commands context={context} owner={owner} ask={ask} />
      </header>
      <section className="panel context-main" aria-label="Content">
        <div role="tablist" aria-label="Views" className="tabs">
          <button type="button" role="tab" id="tab-value" aria-selected={!compared} aria-controls="tab-panel" onClick={() => setCompared(null)}>
            value
          </button>
          <button
            type="button"
            role="tab"
            id="tab-compare"
            aria-selected={compared !== null}
            aria-controls="tab-panel"
            onClick={() => look(context.version)}
          >
            compare versions
          </button>
        </div>
        <div role="tabpanel" id="tab-panel" aria-labelledby={compared ? "tab-compare" : "tab-value"} className="tab-panel">
          {compared ? (
            <Compared context={context} from={compared[0]} to={compared[1]} onChange={(from, to) => setCompared([from, to])} />
          ) : (
            <Holds context={context} ask={ask} />
          )}
        </div>
      </section>
      <Panel title="Facts" className="context-facts">
        <Facts context={context} owner={owner} />
      </Panel>
      <Panel title="History" className="context-past" rest={<span className="dim">the newest 100 versions</span>}>
        <History context={context} onLook={look} />
      </Panel>
      {dialog}
    </div>
  );
}

export function ContextPage({ id }: { id: string }) {
  const query = useQuery(contextOf(id));
  return (
    <Shown query={query} what="the context" rows={14}>
      {(context) => <Whole context={context} />}
    </Shown>
  );
}

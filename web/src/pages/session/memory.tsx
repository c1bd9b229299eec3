// What a session remembers: its contexts, and what changed in them lately.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { context as contextOf, contextsOf } from "../../api/queries";
import type { Session } from "../../api/types";
import { CommandLine, Empty, Shown, useNow } from "../../parts/basics";
import { useConfirm } from "../../parts/confirm";
import { count, since } from "../../parts/format";
import { Holds } from "../contexts/context";

function One({ id }: { id: string }) {
  const query = useQuery(contextOf(id));
  const { ask, dialog } = useConfirm();
  return (
    <>
      <Shown query={query} what="the context" rows={8}>
        {(context) => <Holds context={context} ask={ask} />}
      </Shown>
      {dialog}
    </>
  );
}

export function ContextTab({ session }: { session: Session }) {
  const query = useQuery(contextsOf(session.id));
  const now = useNow(10_000);
  const [wanted, setWanted] = useState<string | null>(null);
  return (
    <Shown query={query} what="its contexts" rows={8}>
      {(told) => {
        const chosen = told.contexts.find((one) => one.id === wanted) ?? told.contexts[0];
        if (!chosen) {
          return (
            <Empty title="It remembers nothing yet.">
              <p className="dim">Its agent remembers by its tools; a person does it with</p>
              <CommandLine>{`orchestrator context create --session ${session.code} --data '{"plan": {"step": 1}}'`}</CommandLine>
            </Empty>
          );
        }
        return (
          <div className="tab-column">
            <div className="tab-bar">
              {told.contexts.map((one, index) => (
                <button key={one.id} type="button" className="chip" aria-pressed={one === chosen} onClick={() => setWanted(one.id)}>
                  {one.scope} {index + 1} · v{one.version} · {count(one.key_count)}
                </button>
              ))}
              <span className="dim cut">
                {told.recent_changes[0] && `${told.recent_changes[0].changed_by} wrote ${told.recent_changes[0].key} ${since(told.recent_changes[0].changed_at, now)} ago`}
              </span>
              <span className="flex-1" />
              <Link className="button" href={`/contexts/${chosen.id}`}>
                History
              </Link>
            </div>
            <One key={chosen.id} id={chosen.id} />
          </div>
        );
      }}
    </Shown>
  );
}

// One inbox for all sessions, in the order in which it matters.

import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useSearchParams } from "wouter";
import { attention, queryClient, sessionsWhere } from "../../api/queries";
import { tell } from "../../api/client";
import type { AttentionItem, Decision } from "../../api/types";
import { Empty, Refusal, Shown } from "../../parts/basics";
import { useKeys } from "../../shell/keys";
import { useHere } from "../../shell/who";
import { decisionKeys, decisionWords, Item } from "./item";

const risks = { high: 0, medium: 1, low: 2 };

/** By risk where it is high, then by deadline. */
export function ordered(items: readonly AttentionItem[]): AttentionItem[] {
  const urgent = (item: AttentionItem) => (item.risk === "high" ? 0 : 1);
  return [...items].sort(
    (one, other) =>
      urgent(one) - urgent(other) || one.deadline.localeCompare(other.deadline) || risks[one.risk] - risks[other.risk],
  );
}

function Inbox({ items }: { items: AttentionItem[] }) {
  const [params] = useSearchParams();
  const { can } = useHere();
  const list = useMemo(() => ordered(items), [items]);
  const wanted = list.findIndex((item) => item.id === params.get("item"));
  const [at, setAt] = useState(wanted >= 0 ? wanted : 0);
  const [armed, setArmed] = useState<Decision | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const index = Math.max(0, Math.min(at, list.length - 1));
  const chosen = list[index];
  const sessions = useQuery(sessionsWhere({ status: ["running", "degraded", "paused"], limit: "200" }));
  const codes = useMemo(() => new Map(sessions.data?.items.map((one) => [one.id as string, one.code])), [sessions.data]);
  const alike = (item: AttentionItem) => list.filter((one) => one.fingerprint === item.fingerprint).length;

  const step = (by: number) => {
    setAt(Math.max(0, Math.min(list.length - 1, index + by)));
    setArmed(null);
  };
  const arm = (decision: Decision) => () => {
    if (!chosen?.decisions.includes(decision)) return;
    if (decision !== "answer") return setArmed(decision);
    const field = document.querySelector<HTMLInputElement>('.ask[data-chosen] input[name="answer"]');
    field?.focus();
  };
  const decide = () => {
    if (!armed || !chosen) return;
    setArmed(null);
    setError(null);
    tell("POST", "/attention/{id}/resolve", {
      params: { id: chosen.id },
      body: { decision: armed, fingerprint: chosen.fingerprint },
    })
      .catch((refused: Error) => setError(refused))
      .finally(() => void queryClient.invalidateQueries({ queryKey: ["of"] }));
  };
  const decisions = Object.entries(decisionKeys) as [Decision, string][];
  useKeys(
    {
      j: () => step(1),
      k: () => step(-1),
      Escape: () => setArmed(null),
      Enter: decide,
      ...Object.fromEntries(decisions.map(([decision, key]) => [key, arm(decision)])),
    },
    can({ role: "member", scope: "sessions:write" }),
  );
  if (list.length === 0) {
    return (
      <Empty title="Nobody waits for you.">
        <p className="dim">When an agent asks for a tool that its session does not allow, or asks a question, it stands here until its deadline.</p>
      </Empty>
    );
  }
  return (
    <>
      {error && <Refusal error={error} />}
      <p className="sr" role="status">
        {armed ? `${decisionWords[armed]}: press Enter to confirm` : ""}
      </p>
      <div className="asks">
        {list.map((item, place) => (
          <Item
            key={item.id}
            item={item}
            code={codes.get(item.session_id) ?? item.session_id}
            chosen={place === index}
            armed={place === index ? armed : null}
            alike={alike(item)}
          />
        ))}
      </div>
    </>
  );
}

export function Attention() {
  const query = useQuery(attention);
  return (
    <div className="list-page">
      <div className="bar">
        <h1>Attention</h1>
        <span className="dim">{query.data ? `${query.data.length} open` : ""}</span>
        <span className="grow" />
        <span className="dim keys-hint">
          <kbd className="key">j</kbd> <kbd className="key">k</kbd> choose, a letter and <kbd className="key">enter</kbd> decide
        </span>
      </div>
      <div className="tab-scroll">
        <Shown query={query} what="what waits" rows={8}>
          {(items) => <Inbox items={items} />}
        </Shown>
      </div>
    </div>
  );
}

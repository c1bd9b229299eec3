// Something that waits for a person: what is asked, how bad it could be, until when, and the answer.

import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef } from "react";
import { Link } from "wouter";
import { tell } from "../../api/client";
import { queryClient } from "../../api/queries";
import type { AttentionItem, Decision } from "../../api/types";
import { Refusal, useNow } from "../../parts/basics";
import { stamp, until } from "../../parts/format";
import { useHere } from "../../shell/who";

export const decisionWords: Record<Decision, string> = {
  allow_once: "Allow once",
  allow_always: "Allow always",
  deny: "Deny",
  answer: "Answer",
  acknowledge: "Acknowledge",
};

/** Which key stands for which decision; `r` opens what is written. */
export const decisionKeys: Record<Decision, string> = {
  allow_once: "o",
  allow_always: "w",
  deny: "d",
  answer: "r",
  acknowledge: "x",
};

export interface Answer {
  decision: Decision;
  answer?: string;
  /** Everything that asks the same. */
  many?: boolean;
}

export function useResolve(item: AttentionItem) {
  return useMutation({
    mutationFn: ({ decision, answer, many }: Answer) =>
      many
        ? tell("POST", "/attention/resolve", { body: { fingerprint: item.fingerprint, decision, answer: answer ?? null } })
        : tell("POST", "/attention/{id}/resolve", {
            params: { id: item.id },
            body: { decision, answer: answer ?? null, fingerprint: item.fingerprint },
          }),
    onSettled: () => void queryClient.invalidateQueries({ queryKey: ["of"] }),
  });
}

/** What the agent asked for, in its own words and nobody else's. */
function Asked({ item }: { item: AttentionItem }) {
  const payload = item.payload as { tool?: string; request?: Record<string, unknown> };
  const { simulated: _, question, ...request } = payload.request ?? {};
  const facts = Object.keys(request).length > 0 ? JSON.stringify(request, null, 2) : "";
  return (
    <>
      <p className="wrap strong">{item.title}</p>
      {typeof question === "string" && question !== item.title && <p className="wrap">{question}</p>}
      {facts && (
        <details className="tool">
          <summary>
            <span className="cut flex-1">{payload.tool ? `${payload.tool}: the request` : "the request"}</span>
          </summary>
          <pre className="tool-text">{facts}</pre>
        </details>
      )}
    </>
  );
}

export function Item(props: {
  item: AttentionItem;
  code?: string;
  chosen: boolean;
  /** A decision whose key was pressed and that waits for `Enter`. */
  armed: Decision | null;
  alike: number;
}) {
  const { item, code, chosen, armed, alike } = props;
  const { can } = useHere();
  const now = useNow();
  const resolve = useResolve(item);
  const place = useRef<HTMLElement>(null);
  const mayResolve = can({ role: "member", scope: "sessions:write" });
  useEffect(() => {
    if (chosen) place.current?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const write = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const answer = String(new FormData(event.currentTarget).get("answer") ?? "").trim();
    if (answer) resolve.mutate({ decision: "answer", answer });
  };
  const plain = item.decisions.filter((decision) => decision !== "answer");
  return (
    <article className="ask" data-chosen={chosen || undefined} data-risk={item.risk} aria-label={item.title} ref={place}>
      <header>
        <span className="needs">{item.kind}</span>
        <span className={item.risk === "high" ? "bad" : "dim"}>{item.risk} risk</span>
        {code && (
          <Link className="dim underline" href={`/sessions/${code}`}>
            {code}
          </Link>
        )}
        {!item.blocks && <span className="dim">does not block</span>}
        <span className="flex-1" />
        <span className={Date.parse(item.deadline) - now < 120_000 ? "bad" : "dim"} title={stamp(item.deadline)}>
          {decisionWords[item.default_decision].toLowerCase()} in {until(item.deadline, now)}
        </span>
      </header>
      <Asked item={item} />
      {resolve.error && <Refusal error={resolve.error} />}
      {mayResolve && (
        <div className="flex flex-wrap gap-1">
          {plain.map((decision) => (
            <button
              key={decision}
              type="button"
              className={`button ${decision === "deny" ? "danger" : decision === "allow_once" || decision === "acknowledge" ? "main" : ""}`}
              disabled={resolve.isPending}
              onClick={() => resolve.mutate({ decision })}
            >
              {decisionWords[decision]}
              {chosen && <kbd className="key-on">{armed === decision ? "enter" : decisionKeys[decision]}</kbd>}
            </button>
          ))}
          {alike > 1 &&
            plain
              .filter((decision) => decision !== "allow_always")
              .map((decision) => (
                <button
                  key={`${decision}-many`}
                  type="button"
                  className="button"
                  disabled={resolve.isPending}
                  onClick={() => resolve.mutate({ decision, many: true })}
                >
                  {decisionWords[decision]}, all {alike} alike
                </button>
              ))}
        </div>
      )}
      {mayResolve && item.decisions.includes("answer") && (
        <form className="flex gap-1" onSubmit={write}>
          <input
            className="field flex-1"
            name="answer"
            aria-label={`Answer to: ${item.title}`}
            placeholder={chosen ? "r to write, enter to send" : "Your answer"}
            maxLength={10_000}
            required
            autoComplete="off"
          />
          <button type="submit" className="button main" disabled={resolve.isPending}>
            Answer
          </button>
        </form>
      )}
    </article>
  );
}

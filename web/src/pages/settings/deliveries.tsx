// What a webhook was sent: each message, every attempt, what came back, and sending it once more.

import { useInfiniteQuery } from "@tanstack/react-query";
import { Fragment, useState } from "react";
import { read, tell } from "../../api/client";
import type { Delivery, DeliveryState, Page, Webhook } from "../../api/types";
import { Empty, Loading, Panel, Refusal } from "../../parts/basics";
import { useConfirm } from "../../parts/confirm";
import { NONE, stamp } from "../../parts/format";
import { Mark } from "../../parts/status";
import { useHere } from "../../shell/who";

const tones = { pending: "warn", delivered: "good", failed: "bad" } as const;

function Attempts({ delivery }: { delivery: Delivery }) {
  return (
    <>
      {delivery.attempts.map((attempt, index) => (
        <div key={attempt.at} className="attempt">
          <span className="dim">{index + 1}.</span>
          <span className="dim">{stamp(attempt.at)}</span>
          <span className="num">{attempt.duration_ms}ms</span>
          <span>{attempt.status_code ?? NONE}</span>
          <span className="wrap min-w-0">
            {attempt.error && <span className="bad">{attempt.error} </span>}
            <span className="dim">{attempt.response}</span>
          </span>
        </div>
      ))}
      <p className="dim wrap">
        message {delivery.message_id}
        {delivery.seq !== null && ` · event ${delivery.seq}`}
        {delivery.redelivery_of && ` · sent once more for ${delivery.redelivery_of.slice(0, 8)}`}
      </p>
    </>
  );
}

export function Deliveries({ hook, onClose }: { hook: Webhook; onClose(): void }) {
  const { can } = useHere();
  const { ask, dialog } = useConfirm();
  const [state, setState] = useState<DeliveryState | null>(null);
  const [open, setOpen] = useState<string | null>(null);
  const query = useInfiniteQuery({
    queryKey: ["of", "webhooks", hook.id, "deliveries", state],
    queryFn: ({ pageParam, signal }) =>
      read<Page<Delivery>>("/webhooks/{id}/deliveries", { params: { id: hook.id }, query: { state, limit: 50, cursor: pageParam }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    refetchInterval: 10_000,
  });
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  const again = (delivery: Delivery) =>
    ask({
      title: "Send it once more",
      verb: "Send",
      consequence: <p className="wrap">{hook.url} gets the message under its old name, {delivery.message_id}: whoever keeps names knows that it is no new one.</p>,
      run: () =>
        tell("POST", "/webhooks/{id}/deliveries/{delivery_id}/redeliver", { params: { id: hook.id, delivery_id: delivery.id } }),
    });
  return (
    <Panel
      title="What was sent"
      rest={
        <>
          <span className="dim cut">{hook.url}</span>
          <div className="chips" role="group" aria-label="State">
            {(Object.keys(tones) as DeliveryState[]).map((one) => (
              <button key={one} type="button" className="chip" aria-pressed={state === one} onClick={() => setState(state === one ? null : one)}>
                {one}
              </button>
            ))}
          </div>
          <button type="button" className="button plain" onClick={onClose}>
            Close
          </button>
        </>
      }
    >
      {query.isPending && <Loading what="the log" rows={6} />}
      {query.error && <Refusal error={query.error} again={() => void query.refetch()} />}
      {query.isSuccess && items.length === 0 && <Empty title={state ? `Nothing is ${state}.` : "Nothing was sent yet."} />}
      {items.length > 0 && (
        <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Messages, newest first">
          <table className="grid-table">
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Message</th>
                <th scope="col">State</th>
                <th scope="col" className="num">Attempts</th>
                <th scope="col">Last answer</th>
                <th scope="col">Next</th>
                <th scope="col">
                  <span className="sr">Commands</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {items.map((delivery) => {
                const last = delivery.attempts.at(-1);
                return (
                  <Fragment key={delivery.id}>
                    <tr>
                      <td className="dim whitespace-nowrap">{stamp(delivery.created_at)}</td>
                      <td>
                        <button
                          type="button"
                          className="underline-hover"
                          aria-expanded={open === delivery.id}
                          onClick={() => setOpen(open === delivery.id ? null : delivery.id)}
                        >
                          {delivery.type} {delivery.seq !== null && <span className="dim">#{delivery.seq}</span>}
                        </button>
                      </td>
                      <td>
                        <Mark tone={tones[delivery.state]}>{delivery.state}</Mark>
                      </td>
                      <td className="num">{delivery.attempts.length}</td>
                      <td className="cut max-w-72">{last ? (last.error ?? `${last.status_code ?? NONE} in ${last.duration_ms}ms`) : NONE}</td>
                      <td className="dim">{stamp(delivery.next_attempt_at)}</td>
                      <td className="num">
                        {can({ role: "admin", scope: "events:write" }) && (
                          <button type="button" className="button plain" onClick={() => again(delivery)}>
                            Send again
                          </button>
                        )}
                      </td>
                    </tr>
                    {open === delivery.id && (
                      <tr>
                        <td colSpan={7} className="py-2">
                          <Attempts delivery={delivery} />
                        </td>
                      </tr>
                    )}
                  </Fragment>
                );
              })}
            </tbody>
          </table>
          {query.hasNextPage && (
            <button type="button" className="button m-3" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              {query.isFetchingNextPage ? "Reading" : "More"}
            </button>
          )}
        </div>
      )}
      {dialog}
    </Panel>
  );
}

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { read, tell } from "../../api/client";
import type { Page, Webhook } from "../../api/types";
import { Field, useConfirm } from "../../parts/confirm";
import { stamp } from "../../parts/format";
import { Mark } from "../../parts/status";
import { useHere } from "../../shell/who";
import { Deliveries } from "./deliveries";
import { List, Once } from "./list";

export function Webhooks() {
  const hooks = useQuery({
    queryKey: ["of", "webhooks"],
    queryFn: async ({ signal }) => (await read<Page<Webhook>>("/webhooks", { signal })).items,
  });
  const { can } = useHere();
  const { ask, dialog } = useConfirm();
  const [secret, setSecret] = useState<string | null>(null);
  const [logged, setLogged] = useState<string | null>(null);
  const log = hooks.data?.find((hook) => hook.id === logged);
  const mayManage = can({ role: "admin", scope: "events:write" });
  const make = () =>
    ask({
      title: "New webhook",
      verb: "Make",
      consequence: <p>Each event is sent there, signed, at least once and in order. The secret to check that with is shown once.</p>,
      fields: (
        <>
          <Field label="Address">
            <input className="field" name="url" type="url" required maxLength={2000} />
          </Field>
          <Field label="Events" hint="as in session.completed, separated by commas; all when empty">
            <input className="field" name="types" autoComplete="off" />
          </Field>
        </>
      ),
      run: (_, form) => {
        const types = String(form.get("types") ?? "").split(/[,\s]+/).filter(Boolean);
        return tell("POST", "/webhooks", { body: { url: form.get("url"), ...(types.length > 0 && { event_types: types }) } });
      },
      done: (answer) => setSecret((answer as Webhook).secret ?? null),
    });
  return (
    <div className="page">
      {secret && <Once name="The secret" secret={secret} onClose={() => setSecret(null)} />}
      <List
        title="Webhooks"
        query={hooks}
        empty="Nobody is told of events."
        rest={
          mayManage && (
            <button type="button" className="button main" onClick={make}>
              New webhook
            </button>
          )
        }
        columns={[
          { name: "Address", cell: (hook) => hook.url },
          { name: "Events", cell: (hook) => (hook.event_types.length > 0 ? hook.event_types.join(" ") : "all") },
          { name: "State", cell: (hook) => <Mark tone={hook.is_active && !hook.failing_since ? "good" : "bad"}>{hook.state}</Mark> },
          { name: "Last", cell: (hook) => hook.last_error ?? stamp(hook.last_success_at) },
          {
            name: "",
            num: true,
            cell: (hook) => (
              <>
                <button type="button" className="button plain" aria-pressed={hook.id === logged} onClick={() => setLogged(hook.id === logged ? null : hook.id)}>
                  Log
                </button>
              {mayManage && (
                <>
                  <button
                    type="button"
                    className="button plain"
                    onClick={() =>
                      ask({
                        title: "Send a test message",
                        verb: "Send",
                        consequence: <p className="wrap">{hook.url} is sent a message that says nothing but that it works.</p>,
                        run: () => tell("POST", "/webhooks/{id}/test", { params: { id: hook.id } }),
                      })
                    }
                  >
                    Test
                  </button>
                  <button
                    type="button"
                    className="button plain"
                    onClick={() =>
                      ask({
                        title: "Delete the webhook",
                        verb: "Delete",
                        danger: true,
                        consequence: <p className="wrap">{hook.url} is told nothing any more, and the log of what was sent is gone.</p>,
                        run: () => tell("DELETE", "/webhooks/{id}", { params: { id: hook.id } }),
                      })
                    }
                  >
                    Delete
                  </button>
                </>
              )}
              </>
            ),
          },
        ]}
      />
      {log && <Deliveries key={log.id} hook={log} onClose={() => setLogged(null)} />}
      {dialog}
    </div>
  );
}

// How long a tenant keeps what is over: never longer than the server does.

import { useQuery } from "@tanstack/react-query";
import { read, tell } from "../../api/client";
import type { Tenant, TenantRetention } from "../../api/types";
import { Panel, Shown } from "../../parts/basics";
import { Field, useConfirm } from "../../parts/confirm";
import { useHere } from "../../shell/who";

const names = [
  ["sessions_days", "Sessions", "from their end until they are deleted"],
  ["deleted_sessions_days", "Deleted sessions", "from the deletion until they are gone for good"],
  ["events_days", "Events", "until they are gone; live pages and webhooks cannot go back further"],
] as const;

const days = (value: number | null) => (value === null ? "as the server has it" : value === 1 ? "1 day" : `${value} days`);

export function Retention() {
  const { tenant, can } = useHere();
  const { ask, dialog } = useConfirm();
  const query = useQuery({
    queryKey: ["of", "tenant", "itself"],
    queryFn: ({ signal }) => read<Tenant>("/tenants/{id}", { params: { id: tenant.id }, signal }),
  });
  const set = (told: TenantRetention) =>
    ask({
      title: `Retention of ${tenant.name}`,
      verb: "Set",
      danger: true,
      consequence: <p>What is older than that goes with the next sweep, and does not come back. What is empty is kept as long as the server keeps it.</p>,
      fields: names.map(([name, label, about]) => (
        <Field key={name} label={label} hint={`days ${about}`}>
          <input className="field" name={name} type="number" min={1} step={1} defaultValue={told[name] ?? ""} />
        </Field>
      )),
      run: (_, form) => {
        const retention = names.map(([name]) => [name, String(form.get(name) ?? "") === "" ? null : Number(form.get(name))]);
        return tell("PATCH", "/tenants/{id}", { params: { id: tenant.id }, body: { settings: { retention: Object.fromEntries(retention) } } });
      },
    });
  return (
    <div className="page">
      <Panel
        title={`What ${tenant.name} keeps`}
        rest={
          query.data &&
          can({ role: "admin", scope: "tenants:write" }) && (
            <button type="button" className="button" onClick={() => set(query.data.settings.retention)}>
              Set
            </button>
          )
        }
      >
        <Shown query={query} what="the retention" rows={3}>
          {({ settings }) => (
            <ul>
              {names.map(([name, label, about]) => (
                <li key={name} className="fleet-row">
                  <span className="w-40">{label}</span>
                  <span className="strong">{days(settings.retention[name] ?? null)}</span>
                  <span className="dim cut flex-1">{about}</span>
                </li>
              ))}
            </ul>
          )}
        </Shown>
      </Panel>
      {dialog}
    </div>
  );
}

import { useQuery } from "@tanstack/react-query";
import { read, tell } from "../../api/client";
import type { Quotas as QuotasOf } from "../../api/types";
import { Gauge, Panel, Shown } from "../../parts/basics";
import { Field, useConfirm } from "../../parts/confirm";
import { count, NONE, words } from "../../parts/format";
import { useHere } from "../../shell/who";

const names = [
  "max_concurrent_sessions",
  "max_queue_depth",
  "max_agents",
  "max_storage_mb",
  "max_tokens_per_month",
  "monthly_budget_usd",
  "requests_per_minute",
] as const;

export function Quotas() {
  const { tenant, can } = useHere();
  const { ask, dialog } = useConfirm();
  const query = useQuery({
    queryKey: ["of", "tenant", "quotas"],
    queryFn: ({ signal }) => read<QuotasOf>("/tenants/{id}/quotas", { params: { id: tenant.id }, signal }),
  });
  const set = (told: QuotasOf) =>
    ask({
      title: `Quotas of ${tenant.name}`,
      verb: "Set",
      consequence: <p>What is empty has no limit.</p>,
      fields: names.map((name) => (
        <Field key={name} label={words(name)}>
          <input className="field" name={name} type="number" min={0} step="any" defaultValue={told[name] ?? ""} />
        </Field>
      )),
      run: (_, form) => {
        const body = names.map((name) => [name, String(form.get(name)) === "" ? null : Number(form.get(name))]);
        return tell("PUT", "/tenants/{id}/quotas", { params: { id: tenant.id }, body: Object.fromEntries(body) });
      },
    });
  return (
    <div className="page">
      <Panel
        title={`Quotas of ${tenant.name}`}
        rest={
          query.data &&
          can({ role: "admin", scope: "tenants:write", system: true }) && (
            <button type="button" className="button" onClick={() => set(query.data)}>
              Set
            </button>
          )
        }
      >
        <Shown query={query} what="the quotas" rows={7}>
          {(told) => (
            <ul>
              {names.map((name) => {
                const limit = told[name];
                const used = name === "requests_per_minute" ? null : told.used[name];
                return (
                  <li key={name} className="fleet-row">
                    <span className="flex-1">{words(name)}</span>
                    <span className="w-40">
                      {used !== null && limit !== null && limit > 0 && <Gauge share={used / limit} label={`Used of ${words(name)}`} />}
                    </span>
                    <span className="num w-48">
                      {used === null ? NONE : count(used)} <span className="dim">of {limit === null ? "no limit" : count(limit)}</span>
                    </span>
                  </li>
                );
              })}
            </ul>
          )}
        </Shown>
      </Panel>
      {dialog}
    </div>
  );
}

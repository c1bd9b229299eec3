// What was used and what it cost, by day, model, agent or session; and how much of it may be.

import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "wouter";
import { readText, tell } from "../../api/client";
import { budgets, usageBy } from "../../api/queries";
import type { Budgets, UsageReport } from "../../api/types";
import { Empty, Gauge, Panel, Provenance, Shown } from "../../parts/basics";
import { Field, useConfirm } from "../../parts/confirm";
import { count, duration, money, short } from "../../parts/format";
import { save } from "../../parts/save";
import { useHere } from "../../shell/who";
import { changed } from "../sessions/filters";

const groups = ["day", "model", "agent", "session"] as const;
type Row = UsageReport["items"][number];

const nameOf = (row: Row) => row.day ?? row.model_identifier ?? row.agent_name ?? row.session_id ?? row.agent_id ?? "–";

/** What the month will have cost, when it goes on as it went so far. */
export function forecast(used: number, period: string, ends: string, now: number): number | null {
  const begin = Date.parse(`${period}-01T00:00:00Z`);
  const end = Date.parse(ends);
  const share = (now - begin) / (end - begin);
  return share > 0.02 && share <= 1 ? used / share : null;
}

function Money({ told }: { told: Budgets }) {
  const { can } = useHere();
  const { ask, dialog } = useConfirm();
  const { monthly_budget_usd: cost, max_tokens_per_month: tokens } = told;
  const now = Date.now();
  const rows = [
    { name: "Cost", used: money(cost.used), limit: cost.limit === null ? "no limit" : `of ${money(cost.limit)}`, share: cost.percent, will: money(forecast(cost.used, told.period, told.period_ends_at, now)) },
    { name: "Tokens", used: short(tokens.used), limit: tokens.limit === null ? "no limit" : `of ${short(tokens.limit)}`, share: tokens.percent, will: short(forecast(tokens.used, told.period, told.period_ends_at, now)) },
  ];
  const set = () =>
    ask({
      title: "Set the budgets of a month",
      verb: "Set",
      consequence: <p>What is empty has no limit. At 80 % people are told; at 100 % sessions pause and nothing new begins.</p>,
      fields: (
        <>
          <Field label="US dollars">
            <input className="field" name="cost" type="number" min={0} step="any" defaultValue={cost.limit ?? ""} />
          </Field>
          <Field label="Tokens">
            <input className="field" name="tokens" type="number" min={0} step={1} defaultValue={tokens.limit ?? ""} />
          </Field>
        </>
      ),
      run: (_, form) => {
        const number = (name: string) => (String(form.get(name)) === "" ? null : Number(form.get(name)));
        return tell("PUT", "/budgets", { body: { monthly_budget_usd: number("cost"), max_tokens_per_month: number("tokens") } });
      },
    });
  return (
    <>
      <div className="figures">
        {rows.map((row) => (
          <div className="figure" key={row.name}>
            <span className="label">{row.name}</span>
            <b>{row.used}</b>
            <p className="dim">
              {row.limit} · {row.will} <Provenance estimated /> by the end
            </p>
            <Gauge share={(row.share ?? 0) / 100} label={`${row.name} of the month`} />
          </div>
        ))}
      </div>
      {can({ role: "admin", scope: "usage:write" }) && (
        <p className="p-2">
          <button type="button" className="button" onClick={set}>
            Set budgets
          </button>
        </p>
      )}
      {dialog}
    </>
  );
}

function Table({ report }: { report: UsageReport }) {
  const most = Math.max(...report.items.map((row) => row.cost_usd ?? 0), 1e-9);
  if (report.items.length === 0) {
    return (
      <Empty title="Nothing was used in this time.">
        <p className="dim">What agents report of tokens and cost is added up here as they work.</p>
      </Empty>
    );
  }
  return (
    <div className="tab-scroll" tabIndex={0} role="region" aria-label="Usage">
      <table className="grid-table">
        <thead>
          <tr>
            <th scope="col">{report.group_by}</th>
            <th scope="col" className="w-40">
              <span className="sr">Share</span>
            </th>
            <th scope="col" className="num">Cost</th>
            <th scope="col" className="num">Tokens</th>
            <th scope="col" className="num">In</th>
            <th scope="col" className="num">Out</th>
            <th scope="col" className="num">Cache read</th>
            <th scope="col" className="num">Work</th>
            <th scope="col" className="num">Sessions</th>
          </tr>
        </thead>
        <tbody>
          {report.items.map((row) => (
            <tr key={`${nameOf(row)}/${row.simulated}`}>
              <td className="cut">
                {nameOf(row)} <Provenance simulated={row.simulated} />
              </td>
              <td>
                <Gauge share={(row.cost_usd ?? 0) / most} paint="var(--status-paused)" label={`Share of ${nameOf(row)}`} />
              </td>
              <td className="num">
                {money(row.cost_usd)}
                {row.unpriced_records > 0 && <span className="tag ml-2">{row.unpriced_records} unpriced</span>}
              </td>
              <td className="num">{count(row.tokens_total)}</td>
              <td className="num dim">{count(row.tokens_input)}</td>
              <td className="num dim">{count(row.tokens_output)}</td>
              <td className="num dim">{count(row.tokens_cache_read)}</td>
              <td className="num">{duration(row.wall_seconds)}</td>
              <td className="num">{count(row.sessions)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <td className="strong" colSpan={2}>
              Really used
            </td>
            <td className="num strong">{money(report.totals.cost_usd)}</td>
            <td className="num strong">{count(report.totals.tokens_total)}</td>
            <td className="num dim">{count(report.totals.tokens_input)}</td>
            <td className="num dim">{count(report.totals.tokens_output)}</td>
            <td className="num dim">{count(report.totals.tokens_cache_read)}</td>
            <td className="num">{duration(report.totals.wall_seconds)}</td>
            <td />
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

export function Usage() {
  const [params, set] = useSearchParams();
  const { can } = useHere();
  const group = groups.find((one) => one === params.get("by")) ?? "day";
  const [from, to] = [params.get("from"), params.get("to")];
  const query = useQuery(usageBy(group, from, to));
  const money = useQuery({ ...budgets, enabled: can({ role: "admin", scope: "usage:read" }) });
  const take = async () => {
    const text = await readText("/usage", "text/csv", { query: { group_by: group, from, to } });
    save(`usage-by-${group}.csv`, text, "text/csv");
  };
  return (
    <div className="list-page">
      <div className="bar">
        <h1>Usage</h1>
        <div className="chips" role="group" aria-label="By">
          {groups.map((one) => (
            <button key={one} type="button" className="chip" aria-pressed={group === one} onClick={() => set(changed(params, "by", one === "day" ? [] : [one]))}>
              by {one}
            </button>
          ))}
        </div>
        <label className="flex items-center gap-2">
          <span className="dim">from</span>
          <input className="field" type="date" value={from ?? ""} onChange={(event) => set(changed(params, "from", [event.target.value]))} />
        </label>
        <label className="flex items-center gap-2">
          <span className="dim">to</span>
          <input className="field" type="date" value={to ?? ""} onChange={(event) => set(changed(params, "to", [event.target.value]))} />
        </label>
        <span className="grow" />
        <button type="button" className="button" onClick={() => void take()}>
          Export CSV
        </button>
      </div>
      {can({ role: "admin", scope: "usage:read" }) && (
        <Panel title="This month" className="border-0 border-b">
          <Shown query={money} what="the budgets" rows={2}>
            {(told) => <Money told={told} />}
          </Shown>
        </Panel>
      )}
      <Shown query={query} what="usage" rows={10}>
        {(report) => <Table report={report} />}
      </Shown>
    </div>
  );
}

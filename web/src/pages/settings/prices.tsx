// What models cost, in US dollars for a million tokens: used where an agent tells tokens and no money.

import { useQuery } from "@tanstack/react-query";
import { read, tell } from "../../api/client";
import type { Price, Prices } from "../../api/types";
import { Empty, Panel, Shown } from "../../parts/basics";
import { Field, useConfirm } from "../../parts/confirm";
import { NONE } from "../../parts/format";
import { useHere } from "../../shell/who";

const kinds = ["input", "output", "cache_read", "cache_write", "reasoning"] as const;
const names = { input: "In", output: "Out", cache_read: "Cache read", cache_write: "Cache write", reasoning: "Reasoning" };

/** The table with one price set, in the order of names. */
export function withPrice(prices: readonly Price[], price: Price, instead: string | null): Price[] {
  const others = prices.filter((one) => one.model !== price.model && one.model !== instead);
  return [...others, price].sort((one, other) => (one.model < other.model ? -1 : 1));
}

export function PriceTable() {
  const { can } = useHere();
  const { ask, dialog } = useConfirm();
  const query = useQuery({ queryKey: ["of", "usage", "prices"], queryFn: ({ signal }) => read<Prices>("/prices", { signal }) });
  const maySet = can({ role: "admin", scope: "usage:write" });
  const all = query.data?.prices ?? [];
  const put = (prices: Price[]) => tell("PUT", "/prices", { body: { prices } });
  const set = (price: Price | null) =>
    ask({
      title: price ? `Price of ${price.model}` : "New price",
      verb: "Set",
      consequence: <p>What is used from now on costs that. What was used before keeps its cost. What is empty costs as much as what is read or written plainly.</p>,
      fields: (
        <>
          <Field label="Model" hint="its name, or how names begin and a *">
            <input className="field" name="model" required maxLength={200} autoComplete="off" defaultValue={price?.model ?? ""} />
          </Field>
          <div className="new-grid">
            {kinds.map((kind) => (
              <Field key={kind} label={`${names[kind]}, $ a million`}>
                <input
                  className="field"
                  name={kind}
                  type="number"
                  min={0}
                  step="any"
                  required={kind === "input" || kind === "output"}
                  defaultValue={price?.[kind] ?? ""}
                />
              </Field>
            ))}
          </div>
        </>
      ),
      run: (_, form) => {
        const number = (name: string) => (String(form.get(name) ?? "") === "" ? null : Number(form.get(name)));
        const model = String(form.get("model")).trim();
        const [input, output] = [number("input") ?? 0, number("output") ?? 0];
        const next = { model, input, output, cache_read: number("cache_read"), cache_write: number("cache_write"), reasoning: number("reasoning") };
        return put(withPrice(all, next, price?.model ?? null));
      },
    });
  const remove = (price: Price) =>
    ask({
      title: `Remove the price of ${price.model}`,
      verb: "Remove",
      danger: true,
      consequence: <p>What it uses from now on has no cost here, unless its agent tells one, and is counted as unpriced.</p>,
      run: () => put(all.filter((one) => one !== price)),
    });
  return (
    <div className="page">
      <Panel
        title="Prices of models"
        rest={
          <>
            <span className="dim cut">US dollars for a million tokens</span>
            {maySet && (
              <button type="button" className="button main" onClick={() => set(null)}>
                New price
              </button>
            )}
          </>
        }
      >
        <Shown query={query} what="the prices" rows={6}>
          {({ prices }) =>
            prices.length === 0 ? (
              <Empty title="No price is set.">
                <p className="dim">Cost is what agents tell of it; tokens without a price are counted as unpriced.</p>
              </Empty>
            ) : (
              <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Prices, one by one">
                <table className="grid-table">
                  <thead>
                    <tr>
                      <th scope="col">Model</th>
                      {kinds.map((kind) => (
                        <th key={kind} scope="col" className="num">
                          {names[kind]}
                        </th>
                      ))}
                      <th scope="col">
                        <span className="sr">Commands</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {prices.map((price) => (
                      <tr key={price.model}>
                        <td>{price.model}</td>
                        {kinds.map((kind) => (
                          <td key={kind} className="num">
                            {price[kind] ?? NONE}
                          </td>
                        ))}
                        <td className="num">
                          {maySet && (
                            <>
                              <button type="button" className="button plain" onClick={() => set(price)}>
                                Change
                              </button>
                              <button type="button" className="button plain" onClick={() => remove(price)}>
                                Remove
                              </button>
                            </>
                          )}
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )
          }
        </Shown>
      </Panel>
      {dialog}
    </div>
  );
}

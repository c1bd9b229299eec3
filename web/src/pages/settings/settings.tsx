// What is set up once: people, keys, quotas, webhooks, tenants, the backup, and what this server is.

import { Link, Redirect, useLocation } from "wouter";
import type { Need } from "../../api/rights";
import { Empty } from "../../parts/basics";
import { useHere } from "../../shell/who";
import { About } from "./about";
import { Keys } from "./keys";
import { People } from "./people";
import { PriceTable } from "./prices";
import { Quotas } from "./quotas";
import { Retention } from "./retention";
import { Store } from "./store";
import { Tenants } from "./tenants";
import { Webhooks } from "./webhooks";


const sections: { path: string; name: string; need: Need; part: React.ComponentType }[] = [
  { path: "about", name: "About", need: { role: "viewer", scope: "system:read" }, part: About },
  { path: "people", name: "People", need: { role: "admin", scope: "users:read" }, part: People },
  { path: "keys", name: "Keys", need: { role: "admin", scope: "keys:read" }, part: Keys },
  { path: "quotas", name: "Quotas", need: { role: "viewer", scope: "tenants:read" }, part: Quotas },
  { path: "prices", name: "Prices", need: { role: "admin", scope: "usage:read" }, part: PriceTable },
  { path: "retention", name: "Retention", need: { role: "admin", scope: "tenants:read" }, part: Retention },
  { path: "webhooks", name: "Webhooks", need: { role: "admin", scope: "events:read" }, part: Webhooks },
  { path: "tenants", name: "Tenants", need: { role: "admin", scope: "tenants:read", system: true }, part: Tenants },
  { path: "store", name: "Store and backup", need: { role: "admin", scope: "system:read", system: true }, part: Store },
];

export function Settings() {
  const [path] = useLocation();
  const { can } = useHere();
  const shown = sections.filter((section) => can(section.need));
  const name = path.split("/")[2] ?? "";
  const section = shown.find((one) => one.path === name);
  const first = shown[0];
  if (!name && first) return <Redirect to={`/settings/${first.path}`} replace />;
  const Part = section?.part;
  return (
    <div className="settings">
      <nav aria-label="Settings" className="settings-nav">
        {shown.map((one) => (
          <Link key={one.path} href={`/settings/${one.path}`} className="rail-item" aria-current={one.path === name ? "page" : undefined}>
            {one.name}
          </Link>
        ))}
      </nav>
      <div className="settings-part">
        <h1 className="sr">Settings: {section?.name}</h1>
        {Part ? <Part /> : <Empty title="There is no such setting, or it is not yours to see." />}
      </div>
    </div>
  );
}

// Every page in both themes: nothing that keeps anybody out, nothing cut off on a small screen, a picture.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { furnish } from "../furnish.mjs";
import { go, live } from "../room.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What keeps people out, and where. */
async function barriers(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.flatMap(({ id, impact, nodes }) => nodes.map((node) => `${impact} ${id}: ${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`));
}

export async function journey({ given, room, server: make }) {
  const server = await make().start("demo");
  await server.hurry();
  const { items } = await server.get("/agents");
  await server.ask("POST", "/tenants", { slug: "acme", name: "Acme" });
  const { plan } = await furnish(server, "IND-000001");
  const pages = {
    overview: "/",
    sessions: "/sessions",
    "sessions-filtered": "/sessions?status=failed&q=provider",
    "session-live": "/sessions/IND-000001",
    "session-log": "/sessions/IND-000005?tab=log",
    "session-diff": "/sessions/IND-000001?tab=diff",
    "session-graph": "/sessions/IND-000001?tab=graph",
    "session-context": "/sessions/IND-000001?tab=context",
    "session-cost": "/sessions/IND-000001?tab=cost",
    "session-explain": "/sessions/IND-000003?tab=explain",
    "session-files": "/sessions/IND-000001?tab=files",
    "session-raw": "/sessions/IND-000001?tab=raw",
    attention: "/attention",
    agents: "/agents",
    agent: `/agents/${items[0].id}`,
    "agents-market": "/agents?view=market",
    "agents-routing": "/agents?view=routing",
    contexts: "/contexts",
    context: `/contexts/${plan.id}`,
    locks: "/locks",
    hosts: "/hosts",
    usage: "/usage",
    audit: "/audit",
    "settings-about": "/settings/about",
    "settings-people": "/settings/people",
    "settings-keys": "/settings/keys",
    "settings-quotas": "/settings/quotas",
    "settings-prices": "/settings/prices",
    "settings-retention": "/settings/retention",
    "settings-webhooks": "/settings/webhooks",
    "settings-tenants": "/settings/tenants",
    "settings-store": "/settings/store",
    "new-session": "/sessions?new=1",
    "new-agent": "/agents?new=1",
    nothing: "/nothing",
  };
  const found = given.theme === "narrow" ? await narrow(room, server, pages) : await wide(room, server, pages, given.theme);
  assert.deepEqual([...new Set(found)], []);
}

/** What keeps people out of pages in a theme, with a picture of each. */
async function wide(room, server, pages, theme) {
  const found = [];
  const { page } = await room.person(server, { theme, quiet: ["404 (Not Found)", "/agents/route", "503 (Service Unavailable)"] });
  for (const [name, path] of Object.entries(pages)) {
    await go(page, server, path);
    await live(page);
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), theme);
    found.push(...(await barriers(page)).map((barrier) => `${name}: ${barrier}`));
    await room.shot(page, `${name}-${theme}`);
  }
  // What is opened on pages keeps nobody out either.
  const opened = async (name, path, open, there) => {
    await go(page, server, path);
    await page.getByRole("button", open).first().click();
    await page.locator(there).first().waitFor();
    found.push(...(await barriers(page)).map((barrier) => `${name}: ${barrier}`));
    await room.shot(page, `${name}-${theme}`);
  };
  await opened("clash", "/contexts", { name: "Decide" }, "dialog .clash code");
  await opened("compare", pages.context, { name: "version 3" }, ".difference");
  await opened("value", pages.context, { name: "step", exact: true }, ".chosen-value pre");
  await opened("routing", "/agents?view=routing", { name: "Who would get it?" }, ".candidate, .candidate-refused");
  await opened("step", "/sessions/IND-000001?tab=graph", { name: /agent/ }, ".graph-chosen");
  await opened("force", "/locks", { name: "Force release" }, "dialog form");
  await go(page, server, "/");
  await page.keyboard.press("Control+k");
  await page.getByRole("option", { name: "Overview" }).waitFor();
  found.push(...(await barriers(page)).map((barrier) => `palette: ${barrier}`));
  await room.shot(page, `palette-${theme}`);
  return found;
}

/** What is cut off on a small screen. */
async function narrow(room, server, pages) {
  const found = [];
  const { page } = await room.person(server, { width: 360, height: 720, quiet: ["404 (Not Found)"] });
  for (const [name, path] of Object.entries(pages)) {
    await go(page, server, path);
    await live(page);
    const widths = await page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.querySelector("#main").scrollWidth,
    ]);
    const [state, top] = await page.evaluate(() =>
      [".connection [role=status]", ".top"].map((part) => document.querySelector(part).getBoundingClientRect().bottom),
    );
    if (state > top) found.push(`${name} hides the state of the connection`);
    if (widths.some((width) => width > 360)) found.push(`${name} is ${widths} wide on a screen of 360`);
    await room.shot(page, `${name}-narrow`);
  }
  return found;
}

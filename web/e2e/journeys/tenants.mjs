// Whoever goes to another tenant sees nothing of the first one, and the other way round.

import assert from "node:assert/strict";
import { live, settled, text } from "../room.mjs";

export async function journey({ room, server: make }) {
  const server = await make().start();
  await server.ask("POST", "/tenants", { slug: "acme", name: "Acme" });
  await server.hurry();
  await server.hurry("acme");
  const waits = [{ ask: { tool: "bash", title: "first secret" } }];
  await server.play("Canary of the first", waits);
  await server.play("Canary of the other", [{ ask: { tool: "bash", title: "other secret" } }], { tenant: "acme" });
  const { page } = await room.person(server);
  await page.locator(".card", { hasText: "Canary of the first" }).waitFor();
  await page.locator(".wait", { hasText: "first secret" }).waitFor();

  await page.getByLabel("Tenant", { exact: true }).selectOption({ label: "Acme" });
  await page.locator(".card", { hasText: "Canary of the other" }).waitFor();
  await live(page);
  const clean = async (mine, others) => {
    for (const path of ["/", "/sessions", "/attention", "/agents", "/contexts", "/locks", "/usage", "/audit"]) {
      await page.goto(`${server.url}${path}`);
      await live(page);
      await settled(page);
      const all = await text(page);
      assert.ok(!all.includes(others), `${path} shows ${others}`);
      if (path === "/sessions") assert.ok(all.includes(mine), `${path} shows ${mine}`);
    }
    await page.keyboard.press("/");
    await page.getByRole("combobox", { name: "Search" }).fill("Canary");
    await page.getByRole("option", { name: mine }).waitFor();
    assert.equal(await page.getByRole("option", { name: others }).count(), 0, "the search finds it");
    await page.keyboard.press("Escape");
  };
  await clean("Canary of the other", "Canary of the first");
  assert.ok(!(await text(page)).includes("first secret"));
  await page.goto(`${server.url}/`);
  await page.waitForSelector(".feed li");
  const seq = Number(await page.getAttribute(".connection", "data-seq"));
  const own = await server.events("acme");
  assert.ok(seq <= own.at(-1).seq, "the events are counted as those of this tenant");

  await page.getByLabel("Tenant", { exact: true }).selectOption({ label: "Default" });
  await page.locator(".card", { hasText: "Canary of the first" }).waitFor();
  await clean("Canary of the first", "Canary of the other");
}

// What is set up and kept up: prices, retention, a webhook's log, a backup; who would be given work, and why.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { createServer } from "node:http";
import { go, text } from "../room.mjs";
import { until } from "../server.mjs";

export async function journey({ room, home, server: make }) {
  const server = await make().start();
  await server.hurry();
  // That nobody could do a piece of work is an answer, too.
  const { page } = await room.person(server, { quiet: ["/agents/route", "503 (Service Unavailable)"] });
  const dialog = page.getByRole("dialog");
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  const answer = (name) => dialog.getByRole("button", { name, exact: true }).click();

  await go(page, server, "/settings/prices");
  await press("New price");
  await dialog.getByLabel("Model").fill("tests/big-*");
  await dialog.getByLabel("In, $ a million").fill("3");
  await dialog.getByLabel("Out, $ a million").fill("15");
  await answer("Set");
  const row = page.locator("tr", { hasText: "tests/big-*" });
  await row.waitFor();
  const { prices } = await server.get("/prices");
  assert.deepEqual(
    prices.filter((one) => one.model === "tests/big-*").map((one) => [one.input, one.output, one.cache_read]),
    [[3, 15, null]],
  );
  await row.getByRole("button", { name: "Remove" }).click();
  await answer("Remove");
  await row.waitFor({ state: "detached" });

  await go(page, server, "/settings/retention");
  await press("Set");
  await dialog.getByLabel("Sessions", { exact: true }).fill("30");
  await answer("Set");
  await page.getByText("30 days").waitFor();
  const { items: tenants } = await server.get("/tenants");
  assert.equal(tenants.find((one) => one.slug === "default").settings.retention.sessions_days, 30);

  // Somebody who is told of events, answers badly once, and is told again.
  let status = 500;
  const told = [];
  const site = createServer((request, response) => {
    told.push(request.headers["webhook-id"]);
    request.resume().on("end", () => response.writeHead(status).end("so be it"));
  });
  await new Promise((done) => site.listen(0, "127.0.0.1", done));
  try {
    const url = `http://127.0.0.1:${site.address().port}/hook`;
    const hook = await server.ask("POST", "/webhooks", { url, event_types: ["session.completed"] });
    await server.ask("POST", `/webhooks/${hook.id}/test`, {});
    await until("the first message", () => told.length > 0);
    status = 204;
    await go(page, server, "/settings/webhooks");
    await press("Log");
    const message = page.getByRole("region", { name: "What was sent" }).locator("tbody tr").first();
    await message.getByText("test").click();
    await page.locator(".attempt", { hasText: "500" }).first().waitFor();
    const before = told.length;
    await message.getByRole("button", { name: "Send again" }).click();
    await answer("Send");
    await until("the message once more", () => told.length > before);
    assert.equal(new Set(told).size, 1, "it keeps its name");
    await page.getByRole("region", { name: "What was sent" }).getByText("delivered").nth(1).waitFor();
  } finally {
    site.close();
  }

  await go(page, server, "/settings/store");
  const [file] = await Promise.all([page.waitForEvent("download"), press("Back up now").then(() => answer("Back up"))]);
  const place = `${home}/${file.suggestedFilename()}`;
  await file.saveAs(place);
  assert.match(place, /orchestrator-\d{8}-\d{4}\.ioz$/);
  assert.ok(statSync(place).size > 1000);
  await page.getByText("are saved").waitFor();
  const { items } = await server.get("/audit?limit=200");
  assert.ok(items.some((one) => one.action === "backup"), "a backup is on record");

  // Who would be given work, what it is made of, and who cannot do it.
  await go(page, server, "/agents?view=routing");
  await page.getByLabel("Needs").fill("testing");
  await press("Who would get it?");
  await page.locator(".candidate[data-chosen] .score-parts li").first().waitFor();
  const score = Number(await text(page, ".candidate[data-chosen] .num"));
  const parts = await page.locator(".candidate[data-chosen] .score-parts .dim").allInnerTexts();
  assert.ok(Math.abs(parts.reduce((sum, one) => sum + Number(one), 0) - score) < 0.01, `${parts} make ${score}`);
  await page.getByLabel("Needs").fill("no_such_thing_at_all");
  await press("Who would get it?");
  await page.locator('#main [role="alert"], .candidate .bad, .candidate .status').first().waitFor();
  await press("Side by side");
  await page.getByRole("button", { name: /Cost a task/ }).click();
  assert.equal(await page.locator('th[aria-sort="ascending"]').innerText(), "COST A TASK ▾");
}

// What is shared: a context is read, changed and compared; a clash is decided by hand; a lock is taken away.

import assert from "node:assert/strict";
import { furnish } from "../furnish.mjs";
import { go, live, settled, text } from "../room.mjs";

export async function journey({ room, server: make }) {
  const server = await make().start();
  await server.hurry();
  await server.play("Remembers", [{ say: "one" }, { tool: { tool: "bash", title: "pytest" } }, { say: "two" }]);
  const { plan, other, held } = await furnish(server, "IND-000001");
  const { page } = await room.person(server);

  // A clash, decided with a value by hand: what nobody decided is not sent.
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.getByRole("button", { name: "Decide" }).click();
  const dialog = page.getByRole("dialog");
  const send = dialog.getByRole("button", { name: "Make it so" });
  const paths = await dialog.locator(".clash h3").allInnerTexts();
  assert.ok(paths.includes("plan.step"), `it clashes at ${paths}`);
  assert.ok(await send.isDisabled());
  const clash = dialog.locator(".clash", { hasText: "plan.step" });
  assert.deepEqual(await clash.locator("code").allInnerTexts(), ["3", "7"]);
  await dialog.getByRole("button", { name: "All from the target" }).click();
  await clash.getByLabel("or by hand, as JSON").fill('{"now": 4}');
  await send.click();
  await page.waitForURL("**/contexts/*");
  await page.locator(".leaf", { hasText: "now" }).waitFor();
  const made = (await server.get("/contexts")).items.at(-1);
  assert.deepEqual([made.data.plan.step, made.data.plan.of], [{ now: 4 }, 5]);
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.locator(".grid-table").waitFor();
  await page.getByText("To be decided").waitFor({ state: "detached" });

  // A value is changed; the history has it before anybody asks again.
  await go(page, server, `/contexts/${plan.id}`);
  await live(page);
  await page.getByRole("button", { name: "step", exact: true }).click();
  await page.getByRole("button", { name: "Change", exact: true }).click();
  await dialog.getByLabel("Value").fill("5");
  await dialog.getByRole("button", { name: "Write" }).click();
  await page.locator(".change", { hasText: "v4" }).waitFor();
  await server.ask("PATCH", `/contexts/${plan.id}`, { updates: { "plan.step": 6 } });
  await page.locator(".change", { hasText: "v5" }).waitFor();
  await page.getByRole("button", { name: "version 5" }).click();
  await page.locator(".difference", { hasText: "plan.step" }).waitFor();
  assert.deepEqual(await page.locator(".difference code").allInnerTexts(), ["5", "6"]);
  const entry = (await server.get(`/audit?limit=200`)).items.find((one) => one.subject.id === plan.id && one.action.includes("write"));
  assert.ok(entry ?? (await server.get(`/contexts/${plan.id}/history`)).items.some((one) => one.changed_by), "who wrote is on record");

  // The session shows the same, and its conversation as a graph.
  await go(page, server, "/sessions/IND-000001?tab=context");
  await page.locator(".leaf", { hasText: "findings" }).waitFor();
  await page.click("#tab-graph");
  await page.getByRole("button", { name: /^bash pytest/ }).waitFor();
  assert.match(await text(page, ".lanes"), /agent\s+2/);

  // Who waits for whom, and a lock that is taken away with a reason.
  await page.keyboard.press("g");
  await page.keyboard.press("k");
  const lock = page.getByRole("region", { name: "deploy/staging", exact: true });
  await lock.getByText("deployer").waitFor();
  assert.match(await text(page, ".graph + .sr"), /night build waits for migrations over schema/);
  await lock.getByRole("button", { name: "Force release" }).click();
  const take = dialog.getByRole("button", { name: "Force release" });
  await take.click();
  assert.equal(await dialog.count(), 1, "without a reason nothing is done");
  await dialog.getByLabel("Reason").fill("the deployer hangs");
  await take.click();
  await lock.locator("tr", { hasText: "holds" }).getByText("migrations").waitFor();
  await page.getByText("taken away").waitFor();
  const { items } = await server.get("/audit?limit=200");
  assert.ok(items.some((one) => one.reason === "the deployer hangs"), "why is on record");
  const now = await server.get(`/locks/${encodeURIComponent("deploy/staging")}`);
  assert.ok(now.holders[0].fencing_token > held.fencing_token);

  // A context is deleted, after being asked, and everybody sees that.
  await go(page, server, `/contexts/${other.id}`);
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.waitForURL("**/contexts");
  await settled(page);
  assert.ok(!(await server.get("/contexts")).items.some((one) => one.id === other.id));
}

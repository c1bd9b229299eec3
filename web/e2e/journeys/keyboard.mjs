// A whole round without a mouse: from page to page, a session made, looked at and stopped, two answered.

import assert from "node:assert/strict";
import { settled } from "../room.mjs";
import { prompt, until } from "../server.mjs";

export async function journey({ room, server: make }) {
  const server = await make().start();
  await server.play("First", [{ ask: { tool: "bash", title: "make one" } }]);
  await server.play("Second", [{ ask: { tool: "bash", title: "make two" } }]);
  const { page } = await room.person(server);
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");

  await press("?");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  await press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });

  // Down, up, open.
  await press("g", "s");
  await page.locator('[aria-label="List of sessions"]').getByText("Second").waitFor();
  await press("j", "j", "k", "Enter");
  await page.waitForURL("**/sessions/IND-000002");
  await page.waitForSelector(".said");
  await press("4");
  await page.locator(".step").first().waitFor();
  await press("9");
  await page.locator("pre.raw").getByText('"code": "IND-000002"').waitFor();
  await press("1");

  // A context, found, opened and changed.
  await server.ask("POST", "/contexts", { scope: "global", initial_data: { width: 80 } });
  await press("g", "c");
  await page.locator(".grid-table").getByText("the tenant").waitFor();
  await press("j", "Enter");
  await page.locator(".leaf").waitFor();
  for (let step = 0; step < 40 && (await focused()) !== "width"; step += 1) await press("Tab");
  await press("Enter");
  await page.locator(".chosen-value pre").waitFor();
  for (let step = 0; step < 40 && (await focused()) !== "Change"; step += 1) await press("Tab");
  await press("Enter");
  await page.getByRole("dialog").waitFor();
  await press("Control+a");
  await page.keyboard.insertText("100");
  for (let step = 0; step < 5 && (await focused()) !== "Write"; step += 1) await press("Tab");
  await press("Enter");
  await until("the value", async () => (await server.get("/contexts")).items[0].data.width === 100);
  await page.locator(".change", { hasText: "100" }).waitFor();
  await press("g", "k");
  await page.getByText("Nothing is locked.").waitFor();

  // Two keystrokes each, by their deadline.
  await press("g", "a");
  await page.locator(".ask[data-chosen]", { hasText: "make one" }).waitFor();
  await press("o", "Enter");
  await page.locator(".ask", { hasText: "make one" }).waitFor({ state: "detached" });
  await page.locator(".ask[data-chosen]", { hasText: "make two" }).waitFor();
  await press("d");
  assert.equal((await server.get("/attention?state=open")).items.length, 1, "one key alone decides nothing");
  await press("Enter");
  await page.getByText("Nobody waits for you.").waitFor();
  const decided = async (title) => (await server.get("/attention")).items.find((item) => item.title === title)?.decision;
  assert.deepEqual([await decided("make one"), await decided("make two")], ["allow_once", "deny"]);

  // A new session, with Tab to the button.
  await press("g", "s", "n");
  await page.getByRole("dialog", { name: "New session" }).waitFor();
  await page.keyboard.insertText(prompt([{ wait_ms: 600_000 }]));
  for (let step = 0; step < 20 && (await focused()) !== "Create and start"; step += 1) await press("Tab");
  assert.equal(await focused(), "Create and start", "the button is reached");
  await press("Enter");
  await page.waitForURL("**/sessions/IND-000003");
  await page.locator(".glass-head").getByText("running").waitFor();

  // Any command by its name.
  await press("Control+k");
  await page.keyboard.insertText("stop a running or paused session");
  await page.getByRole("option", { name: /Stop a running/ }).waitFor();
  await press("Enter");
  await page.getByRole("dialog").getByLabel("id").waitFor();
  await page.keyboard.insertText("IND-000003");
  await press("Enter");
  await page.getByRole("dialog").getByText("Done.").waitFor();
  await press("Escape");
  await until("it is stopped", async () => (await server.get("/sessions/IND-000003")).status === "stopped");

  // Light and dark, and the search.
  await press("t");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
  await press("t", "/");
  await page.keyboard.insertText("first");
  await page.getByRole("option", { name: "IND-000001 First" }).waitFor();
  await press("Enter");
  await page.waitForURL("**/sessions/IND-000001");
  await settled(page);
}

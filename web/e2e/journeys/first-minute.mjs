// Somebody who has nothing starts the demonstration, and sees everything alive and labelled.

import assert from "node:assert/strict";
import { go, text } from "../room.mjs";

export async function journey({ room, server: make }) {
  const server = await make().start("demo");
  const { page } = await room.person(server);
  await page.waitForSelector(".card");
  assert.ok((await page.locator(".card").count()) >= 3, "several sessions are at work");
  const cards = await page.locator(".card").count();
  assert.equal(await page.locator(".card .provenance").count(), cards, "each is labelled simulated");
  const strip = await text(page, ".strip");
  assert.match(strip, /[1-9]\d*\s+needs you/, "somebody waits");
  await page.waitForFunction(() => document.querySelectorAll(".feed li").length > 10);
  // What an agent says next is seen without anybody asking.
  const seq = () => page.getAttribute(".connection", "data-seq").then(Number);
  const before = await seq();
  await page.waitForFunction((old) => Number(document.querySelector(".connection").dataset.seq) > old, before, { timeout: 60_000 });
  await room.shot(page, "demo");

  // From a card to the session, its words, and the reason that it stands there.
  await page.locator(".card", { hasText: "Rewrite the parser" }).click();
  await page.waitForSelector(".said");
  assert.match(await text(page, ".rolling"), /Step 1: going on with the parser/);
  assert.match(await text(page, ".glass-head"), /SIMULATED/i);
  await page.click("#tab-explain");
  await page.getByText("is running").first().waitFor();

  // The two that wait are answered where they wait.
  await go(page, server, "/attention");
  await page.locator(".ask", { hasText: "git push origin main" }).getByRole("button", { name: "Deny" }).click();
  await page.locator(".ask", { hasText: "Which database" }).getByLabel("Answer to").fill("The store.");
  await page.locator(".ask", { hasText: "Which database" }).getByRole("button", { name: "Answer" }).click();
  await page.getByText("Nobody waits for you.").waitFor();
}

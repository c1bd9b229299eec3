// A piece of work from the form to the merge: created, started, watched, allowed, compared, merged.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "../room.mjs";
import { prompt, until } from "../server.mjs";

export async function journey({ room, home, server: make }) {
  const repo = join(home, "calculator");
  const git = (...words) =>
    execFileSync("git", ["-C", repo, "-c", "user.name=Ann", "-c", "user.email=ann@example.org", ...words], {
      encoding: "utf8",
      env: { PATH: process.env.PATH, HOME: home },
    });
  mkdirSync(repo);
  git("init", "-q", "-b", "main");
  writeFileSync(join(repo, "calc.py"), "def add(a, b):\n    return a - b\n");
  git("add", ".");
  git("commit", "-qm", "A calculator");

  const server = await make().start();
  const { page } = await room.person(server);
  await page.getByText("Nothing is at work.").waitFor();
  await page.getByRole("link", { name: "New session" }).click();
  const steps = [
    { say: "It subtracts. I mend that." },
    { tool: { tool: "write", title: "calc.py", write: { path: "calc.py", content: "def add(a, b):\n    return a + b\n" } } },
    { ask: { tool: "bash", patterns: ["pytest"], title: "pytest" } },
    { say: "The test passes." },
    { usage: { input: 1200, output: 80, cost_usd: 0.01 } },
  ];
  const form = page.getByRole("dialog", { name: "New session" });
  await form.locator('[name="initial_prompt"]').fill(prompt(steps));
  await form.locator('[name="title"]').fill("Mend the calculator");
  await form.locator('[name="workspace"]').selectOption("git");
  await form.locator('[name="path"]').fill(repo);
  await form.locator('[name="capability"]').selectOption("testing");
  await form.getByText("would get it").waitFor();
  await form.getByRole("button", { name: "Create and start" }).click();

  // Watched: its words come by themselves, and so does what it asks for.
  await page.waitForURL("**/sessions/IND-000001");
  await page.locator('.said[data-kind="text"]', { hasText: "It subtracts. I mend that." }).waitFor();
  const ask = page.locator(".ask", { hasText: "pytest" });
  await ask.waitFor();
  await room.shot(page, "work-asks");
  await ask.getByRole("button", { name: "Allow once" }).click();
  await ask.waitFor({ state: "detached" });
  await page.locator('.said[data-kind="text"]', { hasText: "The test passes." }).waitFor();
  await page.locator(".glass-head").getByText("completed").waitFor();

  // Compared.
  await page.click("#tab-diff");
  await page.locator('.diff-line[data-kind="added"]', { hasText: "return a + b" }).waitFor();
  assert.match(await text(page, ".patch"), /return a - b/);
  await page.getByRole("button", { name: "side by side" }).click();
  await page.waitForSelector(".diff-pair");
  await room.shot(page, "work-diff");

  // Merged, after being asked.
  await page.getByRole("button", { name: "Merge", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("On a conflict nothing changes").waitFor();
  await dialog.getByRole("button", { name: "Merge" }).click();
  await page.getByText(/files merged into/).waitFor();
  assert.match(git("show", "main:calc.py"), /return a \+ b/);
  assert.match(await text(page, ".timeline"), /merged/);

  // And on record, with who it was.
  const entries = await until("the merge on record", async () => {
    const { items } = await server.get("/audit?limit=200");
    return items.some((entry) => entry.action === "merge") && items;
  });
  assert.ok(entries.some((entry) => entry.action.includes("attention") || entry.action.includes("resolve")));
}

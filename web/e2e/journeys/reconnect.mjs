// The server is killed and comes back: the page says so, and shows every event once.

import assert from "node:assert/strict";
import { live } from "../room.mjs";

export async function journey({ room, server: make }) {
  const server = await make().start();
  const refused = ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "WebSocket connection"];
  const { page } = await room.person(server, { quiet: refused });
  await server.play("Before", [{ say: "one" }]);
  await page.locator(".lately", { hasText: "Before" }).waitFor();

  // A session that goes on for longer than its server lives, looked at all the while.
  const steps = [{ say: "before" }, { wait_ms: 600_000 }];
  const long = await server.play("Goes on", steps);
  const { page: glass } = await room.person(server, { quiet: refused });
  await glass.goto(`${server.url}/sessions/${long.code}`);
  await glass.locator(".said", { hasText: "before" }).first().waitFor();
  await glass.evaluate(() => {
    window.words = [];
    window.doubles = 0;
    const look = () => {
      const seqs = [...document.querySelectorAll(".moment")].map((one) => Number(one.dataset.seq));
      if (new Set(seqs).size !== seqs.length || seqs.some((seq, index) => index > 0 && seq >= seqs[index - 1])) window.doubles += 1;
      const state = document.querySelector(".connection")?.innerText.trim();
      if (state && window.words.at(-1) !== state) window.words.push(state);
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  });

  // Everything that the page ever shows of the stream, as it shows it.
  await page.evaluate(() => {
    window.words = [];
    window.doubles = 0;
    const look = () => {
      const seqs = [...document.querySelectorAll(".feed li")].map((line) => Number(line.dataset.seq));
      if (new Set(seqs).size !== seqs.length) window.doubles += 1;
      if (seqs.some((seq, index) => index > 0 && seq >= seqs[index - 1])) window.doubles += 1;
      const state = document.querySelector(".connection")?.innerText.trim();
      if (state && window.words.at(-1) !== state) window.words.push(state);
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  for (const round of [1, 2]) {
    await server.kill();
    await page.waitForSelector('.connection[data-tone="behind"], .connection[data-tone="stale"]');
    await server.start();
    // Told to nobody: the page is not back yet, or just so.
    await server.play(`After ${round}`, [{ say: "two" }, { say: "three" }]);
    await live(page);
    await page.locator(".lately", { hasText: `After ${round}` }).waitFor();
  }

  // The page of the session was told of everything that happened to it, each once, without being asked to.
  await live(glass);
  const steered = await server.ask("POST", `/sessions/${long.code}/stop`, { reason: "seen enough" });
  assert.equal(steered.status, "stopped");
  await glass.locator(".glass-head").getByText("stopped").waitFor();
  const own = [];
  for (let more = true; more; ) {
    const told = await server.get(`/sessions/${long.code}/events?limit=200&after=${own.at(-1)?.seq ?? 0}`);
    own.push(...told.items);
    more = told.has_more;
  }
  // Events that say of the session what others say already have no place of their own there.
  const said = own.filter(({ type }) => !["session.status_changed", "agent.performance_updated", "agent.task_assigned", "agent.task_acknowledged"].includes(type));
  await glass.locator(`.moment[data-seq="${said.at(-1).seq}"]`).waitFor();
  const moments = await glass.evaluate(() => [...document.querySelectorAll(".moment")].map((one) => Number(one.dataset.seq)));
  assert.deepEqual(moments.reverse(), said.map((one) => one.seq), "the timeline has each event of the session once");
  const seen = await glass.evaluate(() => ({ words: window.words, doubles: window.doubles }));
  assert.equal(seen.doubles, 0);
  assert.equal(seen.words.filter((word) => /^reconnecting, \d+ behind$/.test(word)).length > 1, true, `it said so: ${seen.words}`);
  await page.waitForFunction(() => document.querySelectorAll(".feed li").length === 40);
  const settledAt = await page.evaluate(() => Number(document.querySelector(".feed li").dataset.seq));
  const stored = (await server.events()).map((event) => event.seq).filter((seq) => seq <= settledAt);
  const shown = await page.evaluate(() => [...document.querySelectorAll(".feed li")].map((line) => Number(line.dataset.seq)));
  assert.deepEqual(shown, stored.slice(-40).reverse(), "what is shown is what is stored, each once, in order");
  const { words, doubles } = await page.evaluate(() => ({ words: window.words, doubles: window.doubles }));
  assert.equal(doubles, 0, "no event was ever shown twice or out of order");
  assert.ok(words.some((word) => /^reconnecting, \d+ behind$/.test(word)), `it said so: ${words}`);
  assert.equal(words.at(-1), "live, 0 behind");
}

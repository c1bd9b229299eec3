// How the control room answers people while very much happens: a real Chromium, the real executable, real input.
//
// One page of one session is open: first its log of 100,000 lines, then its graph of 2,000 steps. Meanwhile
// 1,000 events a second are stored and sent to it. From each key and click to the next painted picture is
// measured by the browser itself (Event Timing); what it does not report took less than 16 ms.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { go, live, Room } from "./room.mjs";
import { prompt, Server, until } from "./server.mjs";

const LINES = 100_000;
const STEPS = 2000;
const RATE = Number(process.env.RATE ?? 1000);
const SECONDS = Number(process.env.SECONDS ?? 30);
/** Milliseconds from input to paint, of 95 in 100. */
const BOUND = 100;
/** How much the heap may grow from the tenth second on, as a share. */
const FLAT = 1.25;

const binary = resolve(process.argv[2]);
const home = mkdtempSync(join(tmpdir(), "measure-"));
const chromium = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
const room = await new Room({ chromium, screenshots: home }).open();
const settings = { ORCHESTRATOR_SERVER__REQUESTS_PER_SECOND: "0", ORCHESTRATOR_AGENTS__SIMULATED__LATENCY_MS: "1" };
const server = await new Server({ binary, home, name: "store", settings }).start();

/** A session whose agent, which is a program of its own, says so many lines and goes on. */
async function say(lines) {
  const agent = await server.ask("POST", "/agents/external/register", {
    name: "AGENT-LOUD",
    agent_type: "implementer",
    capabilities: ["loud"],
    protocol_version: "1.0",
    version: "1.0.0",
    endpoint_url: null,
    metadata: {},
  });
  const id = agent.agent_id ?? agent.id;
  const session = await server.ask("POST", "/sessions", {
    title: "Very many lines",
    initial_prompt: "Say what you do, in very many lines.",
    required_capabilities: ["loud"],
    start: true,
  });
  const ask = async (method, path, body) => {
    const answer = await fetch(`${server.url}/api/v1/agents/external/${id}${path}`, {
      method,
      headers: { "X-Agent-Token": agent.auth_token, "Content-Type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? null : answer.json();
  };
  const work = await until("its work", () => ask("GET", "/tasks/next?wait=5"));
  for (let from = 0; from < lines; from += 500) {
    const events = Array.from({ length: 500 }, (_, index) => ({
      type: "log",
      level: index % 50 === 0 ? "warn" : "info",
      message: `line ${from + index + 1} of a build that says very much of what it does`,
    }));
    await ask("POST", `/tasks/${work.task_id}/events`, { fencing_token: work.fencing_token, events });
  }
  return session;
}

/** The session that is looked at: a program that wrote very much, and a conversation of very many steps. */
async function prepare() {
  await server.ask("PUT", "/tenants/default/quotas", { requests_per_minute: null, max_concurrent_sessions: null });
  const loud = await say(LINES);
  const steps = (from) =>
    Array.from({ length: 990 }, (_, index) => {
      const number = from + index;
      if (number % 3 === 0) return { say: `Step ${number} is looked at.` };
      return { tool: { tool: ["bash", "read", "edit", "grep"][number % 4], title: `src/part-${number}.rs`, output: "ok" } };
    });
  // A script has at most a thousand steps: the others are told while it waits.
  const long = await server.play("Very many steps", [...steps(0), { wait_ms: 10_000 }]);
  for (const from of [990, 1980]) {
    await until("the session takes a prompt", () =>
      server.ask("POST", `/sessions/${long.id}/prompt`, { text: prompt(steps(from)), mode: "queue" }).catch(() => null),
    );
  }
  const told = (id, name, after) => async () => (await server.get(`/sessions/${id}/${name}?after=${after}&limit=1`)).items.length > 0;
  await until("all steps", told(long.id, "transcript", STEPS), 60_000);
  await until("all lines", told(loud.id, "logs", LINES - 1), 60_000);
  const changed = [];
  for (let number = 0; number < 200; number += 1) {
    changed.push((await server.ask("POST", "/sessions", { title: `Changed ${number}`, initial_prompt: "Wait." })).id);
  }
  return { loud, long, changed };
}

/** Notes what the browser says of input and of pictures. */
function watch() {
  window.slow = [];
  window.pictures = 0;
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (["keydown", "pointerdown", "pointerup", "click"].includes(entry.name)) window.slow.push([entry.interactionId, entry.duration]);
    }
  }).observe({ type: "event", durationThreshold: 16 });
  let last = performance.now();
  const paint = (now) => {
    window.pictures += 1;
    window.longest = Math.max(window.longest, now - last);
    last = now;
    requestAnimationFrame(paint);
  };
  requestAnimationFrame(paint);
}

const share = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];

/** One page under load: what people do there, and what that took. */
async function measure(name, path, ready, inputs, changed) {
  const { context, page } = await room.person(server, { width: 1440, height: 900 });
  await go(page, server, path);
  await live(page);
  await page.waitForFunction(ready.is, ready.given, { timeout: 60_000 });
  await page.evaluate(watch);
  const tool = await context.newCDPSession(page);
  await tool.send("HeapProfiler.enable");
  const heap = async () => {
    await tool.send("HeapProfiler.collectGarbage");
    return (await tool.send("Runtime.getHeapUsage")).usedSize / 1024 ** 2;
  };
  const load = spawn(process.execPath, [new URL("load.mjs", import.meta.url).pathname], { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  load.stdout.on("data", (part) => {
    said += part;
  });
  const over = new Promise((done) => load.once("exit", done));
  load.stdin.end(JSON.stringify({ url: server.url, key: server.key, sessions: changed, rate: RATE, seconds: SECONDS }));
  const began = Date.now();
  const before = await page.evaluate(() => window.pictures);
  const first = Number(await page.getAttribute(".connection", "data-seq"));
  const heaps = [];
  let done = 0;
  let next = 0;
  while (load.exitCode === null && Date.now() - began < SECONDS * 1000) {
    await inputs[done % inputs.length](page);
    done += 1;
    if (Date.now() - began > next) {
      heaps.push([(Date.now() - began) / 1000, await heap()]);
      next += 5000;
    }
    await page.waitForTimeout(150);
  }
  const seconds = (Date.now() - began) / 1000;
  const pictures = ((await page.evaluate(() => window.pictures)) - before) / seconds;
  await over;
  await live(page);
  const behind = await page.innerText(".connection");
  const taken = Number(await page.getAttribute(".connection", "data-seq")) - first;
  const { slow, longest } = await page.evaluate(() => ({ slow: window.slow, longest: window.longest }));
  // An interaction is as long as the longest of its events; what was not reported took less than 16 ms.
  const each = new Map();
  for (const [id, took] of slow) each.set(id, Math.max(each.get(id) ?? 0, took));
  const times = [...each.values()];
  while (times.length < done) times.push(16);
  times.sort((one, other) => one - other);
  await context.close();
  const told = JSON.parse(said);
  const warm = heaps.filter(([at]) => at >= 10).map(([, size]) => size);
  return {
    name,
    done,
    p50: share(times, 0.5),
    p95: share(times, 0.95),
    worst: times.at(-1),
    pictures,
    longest,
    rate: told.done / told.seconds,
    refused: told.refused,
    taken,
    behind,
    from: warm[0] ?? heaps[0][1],
    to: warm.at(-1) ?? heaps.at(-1)[1],
  };
}

const press = (key) => (page) => page.keyboard.press(key);
const scroll = (by) => async (page) => {
  await page.mouse.move(700, 450);
  await page.mouse.wheel(0, by);
  await page.keyboard.press("Shift");
};
let failed = false;
try {
  const { loud, long, changed } = await prepare();
  const results = [
    await measure(
      "log of 100,000 lines",
      `/sessions/${loud.code}?tab=log`,
      { is: (most) => [...document.querySelectorAll(".log-line > :first-child")].some((one) => Number(one.textContent) >= most), given: LINES },
      [scroll(-4000), press("1"), press("2"), scroll(-20_000), (page) => page.getByRole("button", { name: "To the end" }).click(), press("t"), press("t")],
      changed,
    ),
    await measure(
      "graph of 2,000 steps",
      `/sessions/${long.code}?tab=graph`,
      { is: () => document.querySelectorAll(".step").length > 5, given: null },
      [scroll(3000), (page) => page.locator(".step").nth(8).click(), press("1"), press("4"), scroll(9000), press("t"), press("t")],
      changed,
    ),
  ];
  console.log(`\nChromium on ${cpus()[0].model}, ${cpus().length} cores; ${RATE} events a second for ${SECONDS} s\n`);
  console.log("| open | events per s | inputs | input to paint ms, p50 / p95 / worst | pictures per s, longest gap ms | heap MiB, 10 s / end | at the end |");
  console.log("|---|---:|---:|---:|---:|---:|---|");
  for (const one of results) {
    console.log(
      `| ${one.name} | ${one.rate.toFixed(0)} | ${one.done} | ${one.p50} / ${one.p95} / ${one.worst} | ${one.pictures.toFixed(0)}, ${one.longest.toFixed(0)} | ${one.from.toFixed(1)} / ${one.to.toFixed(1)} | ${one.behind.trim()}, ${one.taken} events taken |`,
    );
    const bounds = [
      [one.p95 < BOUND, `p95 of ${one.p95} ms is not below ${BOUND}`],
      [one.to < one.from * FLAT, `the heap grew from ${one.from} to ${one.to} MiB`],
      [one.refused === 0, `${one.refused} changes were refused`],
      [one.rate > RATE * 0.95, `only ${one.rate} events a second were made`],
      [one.behind.trim() === "live, 0 behind", `the page says ${one.behind}`],
    ];
    for (const [holds, text] of bounds) {
      if (holds) continue;
      failed = true;
      console.error(`does not hold (${one.name}): ${text}`);
    }
  }
  if (room.wrong.length > 0) {
    failed = true;
    console.error(room.wrong.join("\n"));
  }
} finally {
  await room.close();
  await server.stop();
  rmSync(home, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

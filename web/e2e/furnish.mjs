// Things for the pages about what is shared: contexts with a past and a clash, locks with a queue.

import { until } from "./server.mjs";

/** What a server remembers and what is locked on it; `session` is whose. */
export async function furnish(server, session) {
  const context = (body) => server.ask("POST", "/contexts", body);
  const write = (id, updates) => server.ask("PATCH", `/contexts/${id}`, { updates });
  const plan = await context({
    scope: "session",
    session_id: session,
    initial_data: { plan: { step: 1, of: 5, files: ["calc.py", "test_calc.py"], owner: null }, "api.v1": { stable: true } },
  });
  await write(plan.id, { "plan.step": 2, "plan.owner": "Ann" });
  await write(plan.id, { "plan.step": 3, "findings.flaky": "test_retry waits for a clock" });
  const other = await context({ scope: "global", initial_data: { plan: { step: 7, of: 5 }, style: { width: 100, quotes: "double" } } });
  const waits = await server.ask("POST", "/contexts/merge", { context_ids: [plan.id, other.id], strategy: "manual" });
  const keys = {};
  for (const name of ["deployer", "migrations", "night build"]) {
    keys[name] = (await server.ask("POST", "/keys", { name, role: "member" })).secret;
  }
  const acquire = (key, name, body) => server.ask("POST", `/locks/${encodeURIComponent(name)}/acquire`, { ttl_seconds: 600, ...body }, { key: keys[key] });
  const held = await acquire("deployer", "deploy/staging", {});
  await acquire("migrations", "schema", {});
  await acquire("night build", "cache", { mode: "shared" });
  // They wait as long as the page is looked at; that the server goes away then is no matter of theirs.
  const waiting = [
    acquire("migrations", "deploy/staging", { wait_seconds: 300 }),
    acquire("night build", "schema", { wait_seconds: 300, priority: 5 }),
  ].map((one) => one.catch(() => null));
  await until("two that wait", async () => (await server.get("/locks")).statistics.waiting_requests === 2);
  return { plan, other, waits, held, waiting };
}

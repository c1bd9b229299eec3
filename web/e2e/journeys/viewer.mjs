// Whoever may only look is shown no command anywhere; whoever has one tenant is offered no other.

import assert from "node:assert/strict";
import { go, live, text } from "../room.mjs";

/** What changes something, by what its button says. */
const commands =
  /^(New session|Start|Pause|Resume|Stop|Cancel|Prompt|Fork|Retry|Merge|Delete|Checkpoint|Force|Rate|Register|Probe|Drain|Remove|Maintenance|Reset|Allow|Deny|Answer|Acknowledge|Set|Andon|Held|Invite|New key|Restore|Approve|Decide|New context|Merge|Change|Share|Promote|Force release|Recycle|Back up)\b/i;

export async function journey({ room, server: make }) {
  const server = await make().start();
  await server.play("To be looked at", [{ say: "hello" }, { ask: { tool: "bash", title: "make" } }]);
  const { items } = await server.get("/agents");
  const key = async (role) => (await server.ask("POST", "/keys", { name: `a ${role}`, role })).secret;
  const { page } = await room.person(server, { key: await key("viewer") });
  for (const path of ["/", "/sessions", "/sessions/IND-000001", "/attention", "/agents", `/agents/${items[0].id}`, "/contexts", "/locks", "/usage", "/settings/about", "/settings/quotas"]) {
    await go(page, server, path);
    await live(page);
    await page.waitForFunction(() => !document.querySelector(".skeleton"));
    const buttons = await page.getByRole("button").allInnerTexts();
    const found = buttons.filter((name) => commands.test(name.trim()));
    assert.deepEqual(found, [], `${path} offers commands`);
    assert.equal(await page.locator('input[type="checkbox"], textarea').count(), 0, `${path} asks for something`);
  }
  assert.equal(await page.locator(".rail-item", { hasText: "Audit" }).count(), 0);
  assert.equal(await page.locator("select.tenant").count(), 0, "one tenant is no choice");
  await go(page, server, "/audit");
  assert.match(await text(page, "#main"), /not yours to see/);
  await go(page, server, "/sessions?new=1");
  assert.equal(await page.locator("dialog").count(), 0);
  await page.keyboard.press("Control+k");
  await page.getByRole("option", { name: "Overview" }).waitFor();
  const options = await page.getByRole("option").allInnerTexts();
  const offered = options.filter((option) => option.startsWith("COMMANDS"));
  // To ask who would be given work changes nothing.
  assert.deepEqual(offered.filter((option) => !option.includes("POST /agents/route")), []);

  // Whoever may work with sessions is shown that, and not what leads and administrators may.
  const member = await room.person(server, { key: await key("member") });
  await go(member.page, server, "/sessions/IND-000001");
  await member.page.getByRole("button", { name: "Stop" }).waitFor();
  assert.equal(await member.page.getByRole("button", { name: "Force complete" }).count(), 0);
  assert.equal(await member.page.getByRole("button", { name: "Andon" }).count(), 0);
}

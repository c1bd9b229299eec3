// Walks one journey through the control room in a real browser, against the real executable.
//
// Reads one JSON object from standard input (which journey, where the executable and the browser are) and
// writes what came of it to standard output.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Room } from "./room.mjs";
import { Server } from "./server.mjs";

const given = JSON.parse(readFileSync(0, "utf8"));
const { journey } = await import(`./journeys/${given.journey}.mjs`);
const home = mkdtempSync(join(tmpdir(), "room-"));
const servers = [];
const room = await new Room(given).open();
const world = {
  given,
  home,
  room,
  /** A server of its own, stopped when the journey is over. */
  server(name = "store") {
    const server = new Server({ binary: given.binary, home, name });
    servers.push(server);
    return server;
  },
};

let failed = null;
try {
  await journey(world);
} catch (error) {
  failed = error.stack ?? String(error);
  if (Array.isArray(error.actual)) failed += `\n${error.actual.join("\n")}`;
  for (const [index, page] of room.browser.contexts().flatMap((context) => context.pages()).entries()) {
    await page.screenshot({ path: `${given.screenshots}/failed-${given.journey}-${index}.png` }).catch(() => null);
  }
} finally {
  await room.close();
  for (const server of servers) await server.stop();
  rmSync(home, { recursive: true, force: true });
}
process.stdout.write(JSON.stringify({ failed, wrong: room.wrong }));

// Takes the picture of the control room that the README shows, of a real demonstration.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Room } from "./room.mjs";
import { Server, until } from "./server.mjs";

const [binary, folder] = process.argv.slice(2).map((path) => resolve(path));
const home = mkdtempSync(join(tmpdir(), "pictures-"));
const chromium = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
const room = await new Room({ chromium, screenshots: folder }).open();
const server = await new Server({ binary, home, name: "demo" }).start("demo");
try {
  const { page } = await room.person(server, { width: 1440, height: 860 });
  await until("something to see", async () => (await page.locator(".feed li").count()) > 30);
  await page.waitForFunction(() => document.querySelectorAll(".card").length >= 4);
  await page.waitForFunction(() => !document.querySelector(".spend").innerText.includes("$0.00"));
  await page.screenshot({ path: join(folder, "dashboard.png") });
} finally {
  await room.close();
  await server.stop();
  rmSync(home, { recursive: true, force: true });
}

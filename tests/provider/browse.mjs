// Somebody signs in through the provider, in a real browser, and tells what the page says then.
//
// Reads one JSON object (address of the server, browser, name) and writes one.

import { readFileSync } from "node:fs";
import { chromium } from "../browser/node_modules/playwright-core/index.mjs";

const given = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({
  executablePath: given.chromium,
  chromiumSandbox: process.getuid() !== 0,
  args: ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking"],
});
const context = await browser.newContext();
context.setDefaultTimeout(30_000);
const page = await context.newPage();
const wrong = [];
page.on("console", (message) => {
  // A page that asks who is signed in is told that nobody is.
  if (message.type() === "error" && message.location().url.startsWith(given.app)) {
    if (!message.text().includes("401")) wrong.push(message.text());
  }
});
await page.goto(`${given.app}/login`);
await page.click("text=Sign in with the test provider");
await page.fill("input[name=login]", given.name);
await page.fill("input[name=password]", "any");
await page.click("button[type=submit]");
// The provider asks whether this server may know who it is.
await page.click("button:has-text('Continue')");
const told = {};
if (given.refused) {
  await page.waitForSelector("text=Nobody knows you here yet");
  told.page = await page.evaluate(() => document.body.innerText);
} else {
  // On to the control room, and back to see as whom.
  await page.waitForSelector(".shell");
  await page.goto(`${given.app}/login`);
  await page.waitForSelector("#inside:not([hidden])");
  told.name = await page.evaluate(() => document.getElementById("name").textContent);
  await page.reload();
  await page.waitForSelector("#inside:not([hidden])");
}
told.address = page.url();
told.cookies = (await context.cookies(given.app)).map(({ name, sameSite, httpOnly }) => ({ name, sameSite, httpOnly }));
told.wrong = wrong;
console.log(JSON.stringify(told));
await browser.close();

// Plays attacks of hostile pages in a real browser against a real server, and tells what came of them.
//
// Reads one JSON object (addresses, tokens, which cases) from standard input and writes one to standard
// output. It judges nothing: the test that started it does, with what the server saw.

import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { cases } from "./cases.mjs";
import { variants } from "./variants.mjs";

const given = JSON.parse(readFileSync(0, "utf8"));
const tokens = [...given.tokens];
const foreign = [];

// Names lead to this machine or nowhere.
const rules = [
  "MAP evil.example 127.0.0.1",
  "MAP *.evil.example 127.0.0.1",
  "MAP * ~NOTFOUND",
  "EXCLUDE 127.0.0.1",
  "EXCLUDE localhost",
  "EXCLUDE *.localhost",
];
const browser = await chromium.launch({
  executablePath: given.chromium,
  chromiumSandbox: process.getuid() !== 0,
  args: [`--host-resolver-rules=${rules.join(", ")}`, "--disable-background-networking"],
});

/** A browser of somebody else, without cookies. */
async function stranger() {
  const context = await browser.newContext({ viewport: { width: 960, height: 720 } });
  context.setDefaultTimeout(15_000);
  context.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    const here = /^(127\.0\.0\.1|localhost|(.*\.)?evil\.(example|localhost))$/.test(hostname);
    if (/^(http|ws)s?:$/.test(protocol) && !here) foreign.push(request.url());
  });
  return context;
}

/** Waits until somebody who signed in has gone on to the control room, and goes back to see as whom. */
async function inside(page) {
  await page.waitForSelector(".shell");
  await page.goto(`${given.app}/login`);
  await page.waitForSelector("#inside:not([hidden])");
}

/** The same, signed in with a link. */
async function signedIn(token = tokens.pop()) {
  const context = await stranger();
  const page = await context.newPage();
  await page.goto(`${given.app}/login#token=${token}`);
  await page.waitForSelector("#asked:not([hidden])");
  await page.click("#agree");
  await inside(page);
  return { context, page };
}

const world = {
  given,
  stranger,
  signedIn,
  inside,
  token: () => tokens.pop(),
  mark: (name) => fetch(`${given.hostile}/mark/${name}`),
  /** Waits until a request of the attack has arrived at the server. */
  async arrived() {
    const end = Date.now() + 10_000;
    while (Date.now() < end) {
      const count = Number(await (await fetch(`${given.hostile}/arrived`)).text());
      if (count > 0) return true;
      await new Promise((done) => setTimeout(done, 20));
    }
    return false;
  },
};

/** What people do on the page that signs in, with the keyboard alone. */
async function people() {
  const context = await stranger();
  const page = await context.newPage();
  const shot = (name) => page.screenshot({ path: `${given.screenshots}/${name}.png` });
  const told = () => page.evaluate(() => document.body.innerText);
  const seen = {};
  await page.goto(`${given.app}/`);
  await page.waitForSelector("#form:not([hidden])");
  seen.focus = await page.evaluate(() => document.activeElement.id);
  await shot("form");
  await page.keyboard.type("iok_wrong");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#wrong:not([hidden])");
  seen.wrong = await told();
  await page.keyboard.type(given.key);
  await page.keyboard.press("Enter");
  await inside(page);
  seen.inside = await told();
  await shot("inside");
  await page.click("#leave");
  await page.waitForSelector("#form:not([hidden])");
  seen.left = await told();
  seen.cookies = (await context.cookies()).length;
  await page.setViewportSize({ width: 360, height: 640 });
  await page.goto(`${given.app}/login#token=iol_none`);
  await page.waitForSelector("#wrong:not([hidden])");
  seen.spent = await told();
  seen.wide = await page.evaluate(() => document.documentElement.scrollWidth);
  await shot("refused-narrow");
  // What another part of the server answers to whoever was invited.
  await page.route("**/api/v1/invites/accept", (route) => {
    seen.invite = route.request().postDataJSON();
    return route.fulfill({ json: { key: { secret: given.key } } });
  });
  await page.goto(`${given.app}/login#invite=iok_invitation`);
  await page.waitForSelector("#invited:not([hidden])");
  seen.url = page.url();
  await shot("invited");
  await page.keyboard.type("Ann Other");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#inside:not([hidden])");
  seen.key = await page.inputValue("#own-key");
  await shot("joined");
  await context.close();
  return seen;
}

let seen = {};
const results = [];
async function play(name, attack, control) {
  const result = { name };
  for (const [step, what] of [["attack", attack], ["control", control]]) {
    await world.mark(`${step}:${name}`);
    try {
      result[step] = what ? await what() : null;
    } catch (error) {
      result.failed = `${step}: ${error.message}`;
    }
  }
  await world.mark("between");
  results.push(result);
}

try {
  seen = await people();
  const victim = await signedIn();
  for (const { name, attack, control } of cases) {
    await play(name, () => attack(world, victim), () => control(world, victim));
  }
  if (given.deep) {
    for (const variant of variants) {
      await play(variant.name, () => variants.play(variant, world, victim), null);
    }
  }
} finally {
  await browser.close();
}
process.stdout.write(JSON.stringify({ results, foreign, people: seen }));

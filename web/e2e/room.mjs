// A browser in the control room, and everything that must not happen in it.

import { chromium } from "playwright-core";

export class Room {
  constructor(given) {
    this.given = given;
    /** What went wrong on any page: errors, refused content, requests that left the server. */
    this.wrong = [];
  }

  async open() {
    this.browser = await chromium.launch({
      executablePath: this.given.chromium,
      chromiumSandbox: process.getuid() !== 0,
      args: ["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
    });
    return this;
  }

  async close() {
    await this.browser.close();
  }

  /** Somebody's browser, signed in with a key. `quiet` names what it may complain of. */
  async person(server, { key = server.key, width = 1440, height = 900, theme, quiet = [] } = {}) {
    const context = await this.browser.newContext({ viewport: { width, height } });
    context.setDefaultTimeout(20_000);
    const note = (text) => {
      // Pages are opened here faster than people do; the room waits then, and asks again.
      if (text.includes("429 (Too Many Requests)")) return;
      if (!quiet.some((known) => text.includes(known))) this.wrong.push(text);
    };
    context.on("request", (request) => {
      const { protocol, host } = new URL(request.url());
      if (/^(http|ws)s?:$/.test(protocol) && host !== server.listen) note(`left the server: ${request.url()}`);
    });
    context.on("response", (answer) => {
      // What a person may not see, or what is not there, is asked for by no page.
      const expected = [401, 404, 429].includes(answer.status());
      if (answer.status() >= 400 && !expected) note(`${answer.status()} ${answer.url()}`);
    });
    context.on("weberror", (error) => note(`error: ${error.error().stack}`));
    const page = await context.newPage();
    await page.goto(`${server.url}/login`);
    await page.waitForSelector("#form:not([hidden])");
    if (theme) await page.evaluate((name) => localStorage.setItem("orchestrator.theme", name), theme);
    // From here on: whoever is not signed in is told so by a 401, which browsers note.
    context.on("console", (message) => {
      if (message.type() === "error") note(`console: ${message.text()}`);
    });
    await page.keyboard.type(key);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".shell");
    await live(page);
    return { context, page };
  }

  shot(page, name) {
    return page.screenshot({ path: `${this.given.screenshots}/dashboard-${name}.png` });
  }
}

/** Waits until a page says that it is live and behind in nothing. */
export function live(page) {
  return page.waitForSelector('.connection[data-tone="live"]', { timeout: 30_000 });
}

/** Goes to a page of the room without loading everything anew. */
export async function go(page, server, path) {
  await page.goto(`${server.url}${path}`);
  await page.waitForSelector(".shell");
  await settled(page);
}

/** Waits until nothing on the page is being read for the first time. */
export async function settled(page) {
  await page.waitForFunction(() => !document.querySelector(".skeleton, .palette .dim:only-child"));
}

export const text = (page, where = "#root") => page.innerText(where);

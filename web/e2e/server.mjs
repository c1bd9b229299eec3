// Real servers: the built executable over a store of its own, and what a program may ask of it.

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const PATIENCE = 30_000;

/** Waits for something that becomes true, and tells what it was about when it does not. */
export async function until(what, is, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await is();
    if (found) return found;
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

export class Server {
  constructor({ binary, home, name, settings = {} }) {
    this.binary = binary;
    this.settings = settings;
    this.home = home;
    this.data = join(home, name);
    this.listen = "127.0.0.1:0";
  }

  /** Starts it; again on the port that it had. */
  async start(...command) {
    mkdirSync(this.data, { recursive: true });
    const given = command.length > 0 ? command : ["serve", "--data-dir", this.data];
    this.child = spawn(this.binary, [...given, "--listen", this.listen, "--log-format", "json", "--log", "warn"], {
      env: {
        PATH: process.env.PATH,
        HOME: this.home,
        TMPDIR: this.home,
        ORCHESTRATOR_AGENTS__SIMULATED__ENABLED: "true",
        ...this.settings,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.ended = new Promise((done) => this.child.once("exit", done));
    this.said = "";
    let out = "";
    this.child.stdout.on("data", (part) => {
      out += part;
    });
    this.child.stderr.on("data", (part) => {
      this.said += part;
    });
    const ready = await until("a server that is ready", () => {
      if (this.child.exitCode !== null) throw new Error(`the server ended: ${this.said}`);
      const line = out.split("\n").find((text) => text.includes('"event":"ready"'));
      return line && JSON.parse(line);
    });
    this.url = ready.url;
    this.listen = new URL(ready.url).host;
    this.key = readFileSync(ready.key_file ?? join(this.data, "admin.key"), "utf8").trim();
    return this;
  }

  /** Ends it at once, as a failure of the machine would. */
  async kill() {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  async stop() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGTERM");
    await this.ended;
  }

  async ask(method, path, body, { key = this.key, tenant = "default" } = {}) {
    const answer = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${key}`, "X-Tenant-ID": tenant, "Content-Type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  get(path, options) {
    return this.ask("GET", path, undefined, options);
  }

  /** Pages are opened faster than people do: as often as one likes. */
  hurry(tenant = "default") {
    return this.ask("PUT", `/tenants/${tenant}/quotas`, { requests_per_minute: null });
  }

  /** Creates and starts a session that plays these steps. */
  play(title, steps, { tenant, ...fields } = {}) {
    const initial_prompt = prompt(steps);
    return this.ask("POST", "/sessions", { title, initial_prompt, start: true, ...fields }, { tenant });
  }

  /** Every event of a tenant, in order. */
  async events(tenant = "default") {
    const all = [];
    for (;;) {
      const page = await this.get(`/events?limit=200&after=${all.at(-1)?.seq ?? 0}`, { tenant });
      all.push(...page.items);
      if (!page.has_more) return all;
    }
  }
}

/** What the simulated agent is told to do. */
export const prompt = (steps) => `Do this.\n\`\`\`simulated\n${JSON.stringify(steps)}\n\`\`\``;

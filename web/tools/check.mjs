// Everything that has to be true of the pages before they are committed.
//
// What is built must be what is committed, byte for byte, and built twice it must be the same.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";

const web = new URL("../", import.meta.url).pathname;
const committed = new URL("../../assets/dashboard/", import.meta.url).pathname;
/** Bytes, compressed, of what the first page needs: scripts and styles. */
const BUDGET = 250 * 1024;
/** Lines of a source file. */
const LONGEST = 500;
const GENERATED = /(\.gen\.ts|schema\.d\.ts)$/;
/** Addresses that are names and are never asked for. */
const NAMES = ["https://…", "http://www.w3.org/", "https://react.dev/errors/", "https://rolldown.rs/", "https://tailwindcss.com"];

const failures = [];
const say = (text) => console.log(`    ${text}`);

function run(name, command, ...args) {
  say(name);
  try {
    execFileSync(command, args, { cwd: web, stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    failures.push(`${name}:\n${error.stdout ?? ""}${error.stderr ?? ""}`);
  }
}

const tool = (name) => join(web, "node_modules/.bin", name);

function files(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();
}

function build() {
  const out = mkdtempSync(join(tmpdir(), "orchestrator-web-"));
  execFileSync(tool("vite"), ["build", "--logLevel", "error"], {
    cwd: web,
    env: { ...process.env, ORCHESTRATOR_WEB_OUT: out },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return out;
}

/** What differs between a folder that was just built and what is committed. */
function compare(out) {
  const isCompressed = (name) => /\.(br|gz)$/.test(name);
  const fresh = files(out);
  const kept = files(committed).filter((name) => !isCompressed(name));
  const names = new Set([...fresh, ...kept]);
  return [...names].filter(
    (name) =>
      !fresh.includes(name) ||
      !kept.includes(name) ||
      !readFileSync(join(out, name)).equals(readFileSync(join(committed, name))),
  );
}

function checkBuild() {
  say("built twice, it is what is committed");
  for (let time = 0; time < 2; time += 1) {
    const out = build();
    const different = compare(out);
    rmSync(out, { recursive: true });
    if (different.length > 0) {
      failures.push(`assets/dashboard is not what web builds; run: make web\n  ${different.join("\n  ")}`);
      return;
    }
  }
}

function checkCompressed() {
  say("what is compressed is what it stands for");
  for (const name of files(committed)) {
    if (!/\.(html|js|css|svg)$/.test(name)) continue;
    const bytes = readFileSync(join(committed, name));
    for (const [ending, expand] of [["br", brotliDecompressSync], ["gz", gunzipSync]]) {
      try {
        if (expand(readFileSync(join(committed, `${name}.${ending}`))).equals(bytes)) continue;
      } catch {
        // Told below.
      }
      failures.push(`assets/dashboard/${name}.${ending} is not ${name}; run: make web`);
    }
  }
}

function checkBudget() {
  const first = files(committed).filter((name) => /(app|theme)\.js\.gz$|style\.css\.gz$/.test(name));
  const size = first.reduce((sum, name) => sum + statSync(join(committed, name)).size, 0);
  say(`the first page needs ${(size / 1024).toFixed(1)} of ${BUDGET / 1024} KiB, compressed`);
  if (first.length !== 3 || size > BUDGET) failures.push(`the first page needs ${size} bytes of ${first.join(", ")}`);
}

function checkPage() {
  say("no page asks for anything from elsewhere, and nothing on it is inline");
  for (const name of files(committed)) {
    if (!/\.(html|js|css)$/.test(name)) continue;
    const text = readFileSync(join(committed, name), "utf8");
    const addresses = text.match(/https?:\/\/[^\s"'`)]+/g) ?? [];
    const foreign = addresses.filter((address) => !NAMES.some((known) => address.startsWith(known)));
    if (foreign.length > 0) failures.push(`assets/dashboard/${name} names ${[...new Set(foreign)].join(", ")}`);
    if (name.endsWith(".html") && /<style|style=|<script(?![^>]*\ssrc=)|\son\w+=/.test(text)) {
      failures.push(`assets/dashboard/${name} has something inline`);
    }
  }
}

function checkSources() {
  say(`no source is longer than ${LONGEST} lines`);
  for (const folder of ["src", "e2e", "tools"]) {
    for (const name of files(join(web, folder))) {
      const path = join(web, folder, name);
      if (GENERATED.test(name) || !/\.(tsx?|css|mjs)$/.test(name)) continue;
      const lines = readFileSync(path, "utf8").split("\n").length - 1;
      if (lines > LONGEST) failures.push(`web/${relative(web, path)} has ${lines} lines`);
    }
  }
}

run("types and commands are those of assets/openapi.json", process.execPath, "tools/generate.mjs", "--check");
run("types", tool("tsc"), "--noEmit");
run("lint", tool("oxlint"), "--deny-warnings", "src", "tools", "e2e");
run("unit tests", tool("vitest"), "run");
checkSources();
checkBuild();
checkCompressed();
checkBudget();
checkPage();

for (const failure of failures) console.error(failure);
process.exit(failures.length > 0 ? 1 : 0);

// Events at a steady rate: a process of its own, so that asking for them does not disturb what is measured.
//
// Reads one JSON object (url, key, sessions, rate, seconds) and changes titles, each of which is one event.

import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";

const { url, key, sessions, rate, seconds } = JSON.parse(readFileSync(0, "utf8"));
const agent = new Agent({ keepAlive: true, maxSockets: 32 });
const headers = { Authorization: `Bearer ${key}`, "X-Tenant-ID": "default", "Content-Type": "application/json" };
let [asked, done, refused, open] = [0, 0, 0, 0];

function change(number) {
  open += 1;
  const session = sessions[number % sessions.length];
  const asking = request(`${url}/api/v1/sessions/${session}`, { method: "PATCH", headers, agent }, (answer) => {
    answer.resume().on("end", () => {
      open -= 1;
      if (answer.statusCode === 200) done += 1;
      else refused += 1;
    });
  });
  asking.on("error", () => {
    open -= 1;
    refused += 1;
  });
  asking.end(JSON.stringify({ title: `Change ${number} of ${process.pid}` }));
}

const began = performance.now();
const timer = setInterval(() => {
  const passed = performance.now() - began;
  const due = Math.floor((Math.min(passed, seconds * 1000) / 1000) * rate);
  // What is late is caught up, but never piled up.
  while (asked < due && open < 256) change(asked++);
  if (passed < seconds * 1000 || open > 0) return;
  clearInterval(timer);
  agent.destroy();
  process.stdout.write(JSON.stringify({ asked, done, refused, seconds: (performance.now() - began) / 1000 }));
}, 5);

"use strict";

// What this page shows of others' words it sets as text, never as markup.

const part = (id) => document.getElementById(id);

/** What stands behind the # is a secret: it leaves the address bar and the history before all else. */
function takeFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (location.hash) history.replaceState(null, "", location.pathname);
  return given;
}

async function ask(method, path, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Requested-With"] = "orchestrator";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "same-origin",
    cache: "no-store",
    redirect: "error",
  });
  const text = await answer.text();
  let told = {};
  try {
    told = text ? JSON.parse(text) : {};
  } catch {
    told = {};
  }
  return { ok: answer.ok, status: answer.status, told };
}

const titles = { form: "Sign in", asked: "Sign in", invited: "Join", inside: "Signed in" };

/** Shows one of the faces of the page, with a note or what went wrong. */
function show(face, { told = "", wrong = "" } = {}) {
  for (const id of Object.keys(titles)) part(id).hidden = face !== id;
  part("title").textContent = titles[face] ?? "Sign in";
  for (const [id, text] of [["told", told], ["wrong", wrong]]) {
    part(id).textContent = text;
    part(id).hidden = text === "";
  }
  if (face === "form") part("secret").focus();
  if (face === "invited") part("full-name").focus();
  if (face === "asked") part("agree").focus();
}

/** Shows the key of somebody who has just come, or hides the place of it. */
function showKey(secret) {
  part("own-key").value = secret;
  part("new-key").hidden = secret === "";
}

function showWho(who) {
  part("name").textContent = who.who ?? who.name;
  part("role").textContent = who.is_system ? "administrator of the system" : who.role;
  part("tenant").textContent = who.tenant_name;
  part("scopes").textContent = who.scopes.join(" ");
  show("inside");
}

/** What to say of a refusal. */
function refusal(answer, unknown) {
  if (answer.status === 401) return unknown;
  const { detail, remedy } = answer.told;
  if (!detail) return `The server answered ${answer.status}.`;
  return remedy ? `${detail}: ${remedy}` : detail;
}

const unreachable = "The server does not answer. Is it still running?";

/** Where somebody wanted to go who was sent here first: a page of this server, or the front. */
function next() {
  let kept = null;
  try {
    kept = sessionStorage.getItem("orchestrator.next");
    sessionStorage.removeItem("orchestrator.next");
  } catch {
    // A browser that keeps nothing begins at the front.
  }
  return kept !== null && /^\/(?![\/\\])/.test(kept) ? kept : "/";
}

async function signIn(body, unknown) {
  show("", { told: "Signing in …" });
  try {
    const answer = await ask("POST", "/api/v1/login", body);
    // Whoever was just given a key has to see it; everybody else came for the control room.
    if (answer.ok && part("new-key").hidden) location.replace(next());
    else if (answer.ok) showWho(answer.told);
    else show("form", { wrong: refusal(answer, unknown) });
  } catch {
    show("form", { wrong: unreachable });
  }
}

async function look() {
  try {
    const answer = await ask("GET", "/api/v1/whoami");
    if (answer.ok) showWho(answer.told);
    else if (answer.status === 401) show("form");
    else show("form", { wrong: refusal(answer, "") });
  } catch {
    show("form", { wrong: unreachable });
  }
}

/** A link that waits for a yes: any page can send a browser here with one. It is kept here alone. */
let link = "";
const spent = "This link was used before, or its ten minutes are over. Ask for another one.";

/** Shows whom a link signs in, and whom that would sign out. */
async function offer(token) {
  show("", { told: "Looking at the link …" });
  try {
    const answer = await ask("POST", "/api/v1/login/look", { token });
    if (!answer.ok) {
      show("form", { wrong: refusal(answer, spent) });
      return;
    }
    const { who, tenant_name: team } = answer.told;
    const before = await ask("GET", "/api/v1/whoami");
    link = token;
    part("question").textContent = `Sign in as ${who} of ${team} on this browser?`;
    part("instead").textContent = before.ok
      ? `It is signed in as ${before.told.name} of ${before.told.tenant_name} now, which ends with that.`
      : "";
    part("instead").hidden = !before.ok;
    show("asked");
  } catch {
    show("form", { wrong: unreachable });
  }
}

/** An invitation that waits for a name. It is kept here alone, and is gone with the page. */
let invitation = "";

async function join(name) {
  const body = { token: invitation };
  if (name !== "") body.full_name = name;
  show("", { told: "Joining …" });
  try {
    const answer = await ask("POST", "/api/v1/invites/accept", body);
    if (!answer.ok) {
      const unknown = "This invitation was used, withdrawn, or is too old. Ask for another one.";
      show(answer.status === 422 ? "invited" : "form", { wrong: refusal(answer, unknown) });
      return;
    }
    invitation = "";
    const { secret } = answer.told.key;
    showKey(secret);
    await signIn({ key: secret }, "You have joined. Sign in with your key.");
  } catch {
    show("invited", { wrong: unreachable });
  }
}

async function begin() {
  const given = takeFragment();
  const token = given.get("token");
  invitation = given.get("invite") ?? "";
  showKey("");
  link = "";
  if (token) return offer(token);
  return invitation ? show("invited") : look();
}

part("agree").addEventListener("click", () => {
  const token = link;
  link = "";
  signIn({ token }, spent);
});

part("decline").addEventListener("click", () => {
  link = "";
  look();
});

part("invited").addEventListener("submit", (event) => {
  event.preventDefault();
  join(part("full-name").value.trim());
});

part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const secret = part("secret").value.trim();
  part("secret").value = "";
  signIn({ key: secret }, "This key is not known, or no longer accepted.");
});

part("reveal").addEventListener("click", () => {
  const shown = part("secret").type === "text";
  part("secret").type = shown ? "password" : "text";
  part("reveal").textContent = shown ? "Show" : "Hide";
  part("reveal").setAttribute("aria-pressed", String(!shown));
});

part("leave").addEventListener("click", async () => {
  part("leave").disabled = true;
  try {
    const answer = await ask("POST", "/api/v1/logout");
    if (answer.ok || answer.status === 401) {
      showKey("");
      show("form", { told: "You are signed out." });
    } else show("inside", { wrong: refusal(answer, "") });
  } catch {
    show("inside", { wrong: unreachable });
  }
  part("leave").disabled = false;
});

// A link that is opened where the page is open already only changes what stands behind the #.
addEventListener("hashchange", () => {
  if (location.hash) begin();
});
begin();

// Variants of the attacks: every way in which a page can make a browser send something.
//
// Each is a function that runs in a page; `where` says which. `arrives` tells that a request of it must
// have reached the server, so that its refusal is the server's and not an accident.

const titled = (name) => JSON.stringify({ initial_prompt: "do it", title: `made by hostile ${name}` });

/** A request by fetch, and what the page learns of it. */
const fetching = (options, path = "/api/v1/sessions") => ({
  arrives: true,
  run: ({ app, options, path }) => fetch(`${app}${path}`, options).then(
    async (answer) => ({ status: answer.status, text: await answer.text() }),
    (error) => ({ error: String(error) }),
  ),
  more: { options, path },
});

const json = { "Content-Type": "application/json" };
const custom = { ...json, "X-Requested-With": "orchestrator" };
const include = { credentials: "include" };

/** Elements that load by themselves. */
const element = (tag, attribute, path = "/api/v1/sessions", more = {}) => ({
  arrives: true,
  run: ({ app, tag, attribute, path, more }) => new Promise((done) => {
    const made = document.createElement(tag);
    Object.assign(made, more);
    made.onload = () => done({ loaded: true, width: made.naturalWidth ?? null });
    made.onerror = () => done({ error: "not loaded" });
    made[attribute] = `${app}${path}`;
    document.body.append(made);
    setTimeout(() => done({ error: "nothing came" }), 1500);
  }),
  more: { tag, attribute, path, more },
});

/** A form that is sent as soon as it is there, in a frame, so that the page stays. */
const form = (path, method, enctype, fields) => ({
  arrives: true,
  run: ({ app, path, method, enctype, fields }) => new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.name = "target";
    document.body.append(frame);
    const made = document.createElement("form");
    Object.assign(made, { method, enctype, action: `${app}${path}`, target: "target" });
    for (const [name, value] of fields) {
      const input = document.createElement("input");
      Object.assign(input, { name, value });
      made.append(input);
    }
    document.body.append(made);
    frame.onload = () => done({ sent: true });
    made.submit();
  }),
  more: { path, method, enctype, fields },
});

/** Code in a frame whose origin is `null`. */
const sandboxed = (code, source = "srcdoc") => ({
  arrives: true,
  run: ({ app, code, source }) => new Promise((done) => {
    addEventListener("message", (message) => done(message.data));
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts allow-forms";
    const text = `<script>const app=${JSON.stringify(app)};const tell=(said)=>parent.postMessage(said,"*");${code}</` + "script>";
    frame[source] = source === "srcdoc" ? text : `data:text/html,${encodeURIComponent(text)}`;
    document.body.append(frame);
  }),
  more: { code, source },
});

const postText = (name) =>
  `fetch(app+"/api/v1/sessions",{method:"POST",credentials:"include",headers:{"Content-Type":"text/plain"},body:${JSON.stringify(titled(name))}}).then(async(a)=>tell({status:a.status,text:await a.text()}),(e)=>tell({error:String(e)}))`;

/** Code in a worker. */
const worker = (code) => ({
  arrives: true,
  run: ({ app, code }) => new Promise((done) => {
    const text = `const app=${JSON.stringify(app)};const tell=(said)=>postMessage(said);${code}`;
    const made = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    made.onmessage = (message) => done(message.data);
    made.onerror = (error) => done({ error: error.message });
  }),
  more: { code },
});

const socket = (protocols, arrives = true) => ({
  arrives,
  run: ({ app, protocols }) => new Promise((done) => {
    const made = new WebSocket(`${app.replace("http", "ws")}/ws/sessions?after=0`, protocols);
    made.onmessage = (message) => done({ text: message.data });
    made.onerror = () => done({ error: "no socket" });
  }),
  more: { protocols },
});

const beacon = (type, name) => ({
  arrives: true,
  run: ({ app, type, body }) => {
    const sent = navigator.sendBeacon(`${app}/api/v1/sessions`, new Blob([body], { type }));
    return { sent };
  },
  more: { type, body: titled(name) },
});

const redirect = (path, options) => ({
  arrives: true,
  run: ({ app, path, options }) => {
    const target = `/to?${new URLSearchParams({ u: `${app}${path}` })}`;
    return fetch(target, options).then(
      async (answer) => ({ status: answer.status, text: await answer.text() }),
      (error) => ({ error: String(error) }),
    );
  },
  more: { path, options },
});

const events = {
  arrives: true,
  run: ({ app }) => new Promise((done) => {
    const made = new EventSource(`${app}/api/v1/events?after=0`, { withCredentials: true });
    made.onmessage = (message) => done({ text: message.data });
    made.onerror = () => {
      made.close();
      done({ error: "no stream" });
    };
  }),
};

const xhr = {
  arrives: true,
  run: ({ app }) => new Promise((done) => {
    const made = new XMLHttpRequest();
    made.open("GET", `${app}/api/v1/sessions`);
    made.withCredentials = true;
    made.onload = () => done({ status: made.status, text: made.responseText });
    made.onerror = () => done({ error: "no answer" });
    made.send();
  }),
};

const opened = {
  arrives: true,
  run: ({ app }) => new Promise((done) => {
    const other = open(`${app}/login`);
    const look = setInterval(() => {
      let text = null;
      try {
        text = other.document.body.textContent;
      } catch (error) {
        clearInterval(look);
        done({ error: String(error) });
        return;
      }
      if (other.closed) {
        clearInterval(look);
        done({ error: "out of reach", text });
      }
    }, 50);
  }),
};

export const variants = [
  { name: "put", ...fetching({ method: "PUT", headers: custom, body: "{}", ...include }, "/api/v1/budgets") },
  { name: "patch", ...fetching({ method: "PATCH", headers: custom, body: '{"title":"made by hostile patch"}', ...include }, "/api/v1/sessions/IND-000001") },
  { name: "delete", ...fetching({ method: "DELETE", headers: custom, ...include }, "/api/v1/sessions/IND-000001") },
  { name: "json_cors", ...fetching({ method: "POST", headers: json, body: titled("json"), ...include }) },
  { name: "text_cors", ...fetching({ method: "POST", headers: { "Content-Type": "text/plain" }, body: titled("text"), ...include }) },
  { name: "urlencoded", ...fetching({ method: "POST", mode: "no-cors", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body: titled("urlencoded"), ...include }) },
  { name: "multipart", ...fetching({ method: "POST", mode: "no-cors", headers: { "Content-Type": "multipart/form-data; boundary=x" }, body: titled("multipart"), ...include }) },
  { name: "no_type", ...fetching({ method: "POST", mode: "no-cors", ...include }, "/api/v1/sessions/IND-000001/cancel") },
  { name: "credentials_same_origin", ...fetching({ credentials: "same-origin" }) },
  { name: "credentials_omit", ...fetching({ credentials: "omit" }) },
  { name: "head", ...fetching({ method: "HEAD", mode: "no-cors", ...include }) },
  { name: "no_cors_get", ...fetching({ mode: "no-cors", ...include }) },
  { name: "from_localhost", where: "localhost", ...fetching({ method: "POST", mode: "no-cors", body: titled("localhost"), ...include }) },
  { name: "from_subdomain", where: "evil.localhost", ...fetching({ method: "POST", mode: "no-cors", body: titled("subdomain"), ...include }) },
  { name: "from_another_site", where: "evil.example", ...fetching({ method: "POST", mode: "no-cors", body: titled("another site"), ...include }) },
  { name: "listed_by_cookie", where: "friend", ...fetching({ method: "POST", headers: json, body: titled("listed page by cookie"), ...include }) },
  { name: "listed_reads_by_cookie", where: "friend", ...fetching(include) },
  { name: "sandboxed_frame", ...sandboxed(postText("sandboxed frame")) },
  { name: "data_frame", ...sandboxed(postText("data frame"), "src") },
  { name: "sandboxed_socket", ...sandboxed('const s=new WebSocket(app.replace("http","ws")+"/ws/events");s.onmessage=(m)=>tell({text:m.data});s.onerror=()=>tell({error:"no socket"})') },
  { name: "worker", ...worker(postText("worker")) },
  { name: "worker_socket", ...worker('const s=new WebSocket(app.replace("http","ws")+"/ws/events");s.onmessage=(m)=>tell({text:m.data});s.onerror=()=>tell({error:"no socket"})') },
  { name: "event_source", ...events },
  { name: "xhr", ...xhr },
  { name: "beacon_text", ...beacon("text/plain", "beacon") },
  { name: "beacon_json", ...beacon("application/json", "json beacon") },
  { name: "image", ...element("img", "src") },
  { name: "script_element", ...element("script", "src") },
  { name: "stylesheet", ...element("link", "href", "/api/v1/sessions", { rel: "stylesheet" }) },
  { name: "prefetch", ...element("link", "href", "/api/v1/sessions", { rel: "prefetch" }), arrives: false },
  { name: "embedded", ...element("embed", "src") },
  { name: "video", ...element("video", "src") },
  { name: "redirected_post", ...redirect("/api/v1/sessions", { method: "POST", body: titled("redirect"), headers: { "Content-Type": "text/plain" }, mode: "no-cors", ...include }) },
  { name: "redirected_get", ...redirect("/api/v1/sessions", include) },
  { name: "form_sign_in", ...form("/api/v1/login", "post", "text/plain", [['{"token":"', '"}']]) },
  { name: "form_sign_out", ...form("/api/v1/logout", "post", "application/x-www-form-urlencoded", []) },
  { name: "form_get", ...form("/api/v1/sessions", "get", "application/x-www-form-urlencoded", [["limit", "1"]]) },
  { name: "socket_with_protocol", ...socket(["orchestrator.v1"]) },
  { name: "socket_with_guessed_ticket", ...socket(["ticket.iot_guess"]) },
  { name: "opened_window", ...opened },
];

/** Plays one variant in the browser of the victim. */
variants.play = async (variant, world, victim) => {
  const { app, hostile, friend } = world.given;
  const { port } = new URL(hostile);
  const where = variant.where ?? "hostile";
  const sites = { hostile, friend };
  const page = await victim.context.newPage();
  await page.goto(`${sites[where] ?? `http://${where}:${port}`}/`);
  const told = await page.evaluate(variant.run, { app, ...variant.more });
  const arrived = variant.arrives ? await world.arrived() : null;
  for (const other of victim.context.pages().filter((other) => other !== victim.page)) {
    await other.close();
  }
  return { told, arrived };
};

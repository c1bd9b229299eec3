// Ten attacks, each with a control: the same thing done by whoever may do it succeeds.

/** A page of a site in the browser of whoever is signed in. */
export async function open({ context }, url) {
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** Runs in a page: makes a session, as far as the page is let. */
function make({ app, title, headers, mode }) {
  const body = JSON.stringify({ initial_prompt: "do it", title });
  const options = { method: "POST", mode, headers, body, credentials: "include" };
  return fetch(`${app}/api/v1/sessions`, options).then(
    async (answer) => ({ status: answer.status, text: await answer.text() }),
    (error) => ({ error: String(error) }),
  );
}

/** Runs in a page: reads what is there, as far as the page is let. */
function read({ app, path }) {
  return fetch(`${app}${path}`, { credentials: "include" }).then(
    async (answer) => ({ status: answer.status, text: await answer.text() }),
    (error) => ({ error: String(error) }),
  );
}

/** Runs in a page: opens a socket and tells the first thing that comes. */
function listen({ app, protocols }) {
  return new Promise((done) => {
    const url = `${app.replace("http", "ws")}/ws/events`;
    const socket = protocols ? new WebSocket(url, protocols) : new WebSocket(url);
    socket.onmessage = (message) => {
      done({ text: message.data });
      socket.close();
    };
    socket.onerror = () => done({ error: "no socket" });
  });
}

export const own = {
  "Content-Type": "application/json",
  "X-Requested-With": "orchestrator",
};

/** What the page of the server itself may do. */
async function ownPage(world, victim, what, more) {
  const page = await open(victim, `${world.given.app}/login`);
  const told = await page.evaluate(what, { app: world.given.app, ...more });
  await page.close();
  return told;
}

async function hostilePage(world, victim, what, more) {
  const page = await open(victim, `${world.given.hostile}/`);
  const told = await page.evaluate(what, { app: world.given.app, ...more });
  await page.close();
  return told;
}

const hostileText = "<img src=x onerror=\"window.ran=1\"><script>window.ran=1</script>";

export const cases = [
  {
    name: "fetch_with_credentials",
    attack: async (world, victim) => ({
      read: await hostilePage(world, victim, read, { path: "/api/v1/sessions" }),
      made: await hostilePage(world, victim, make, {
        title: "made by hostile fetch", headers: own, mode: "cors",
      }),
    }),
    control: async (world, victim) => ({
      read: await ownPage(world, victim, read, { path: "/api/v1/sessions" }),
      made: await ownPage(world, victim, make, {
        title: "made by own fetch", headers: own, mode: "cors",
      }),
    }),
  },
  {
    name: "no_cors_post",
    attack: (world, victim) => hostilePage(world, victim, make, {
      title: "made by hostile no-cors", headers: { "Content-Type": "text/plain" }, mode: "no-cors",
    }),
    control: (world, victim) => ownPage(world, victim, make, {
      title: "made by own no-cors", headers: own, mode: "same-origin",
    }),
  },
  {
    name: "form_post",
    attack: async (world, victim) => {
      const page = await open(victim, `${world.given.hostile}/`);
      await page.evaluate(({ app }) => {
        const form = document.createElement("form");
        Object.assign(form, { method: "post", action: `${app}/api/v1/sessions`, enctype: "text/plain" });
        const input = document.createElement("input");
        // A body of the form `name=value` that is JSON all the same.
        input.name = '{"initial_prompt":"x","title":"made by hostile form","tags":["a';
        input.value = '"]}';
        form.append(input);
        document.body.append(form);
        form.submit();
      }, world.given);
      await page.waitForURL("**/api/v1/sessions");
      const text = await page.content();
      await page.close();
      return { text };
    },
    // The form itself works: where nobody asks for more, it arrives.
    control: async (world, victim) => {
      const page = await open(victim, `${world.given.hostile}/`);
      await page.evaluate(() => {
        const form = document.createElement("form");
        Object.assign(form, { method: "post", action: "/posted", enctype: "text/plain" });
        document.body.append(form);
        form.submit();
      });
      await page.waitForURL("**/posted");
      const text = await page.textContent("body");
      await page.close();
      return { text };
    },
  },
  {
    name: "websocket",
    attack: (world, victim) => hostilePage(world, victim, listen, {}),
    control: (world, victim) => ownPage(world, victim, listen, {}),
  },
  {
    name: "rebinding",
    attack: async (world, victim) => {
      const { port } = new URL(world.given.app);
      const page = await open(victim, `http://evil.example:${port}/api/v1/sessions`);
      const text = await page.content();
      const app = `http://evil.example:${port}`;
      const told = await page.evaluate(read, { app, path: "/api/v1/sessions" });
      await page.close();
      return { text, told };
    },
    control: async (world, victim) => {
      const page = await open(victim, `${world.given.app}/api/v1/sessions`);
      const text = await page.content();
      await page.close();
      return { text };
    },
  },
  {
    name: "framing",
    attack: (world, victim) => frame(world, victim, [
      `${world.given.app}/login`, `${world.given.app}/docs`, `${world.given.app}/api/v1/sessions`,
    ]),
    control: (world, victim) => frame(world, victim, [`${world.given.hostile}/framed`]),
  },
  {
    name: "script_in_agent_text",
    attack: async (world, victim) => {
      const ran = {};
      const { app, session } = world.given;
      const paths = [
        `/api/v1/sessions/${session}`, `/api/v1/sessions/${session}/transcript`,
        `/api/v1/sessions/${session}/logs`, `/api/v1/sessions/${session}/events`,
        `/api/v1/sessions?${encodeURIComponent(hostileText)}=1`, "/api/v1/keys",
        `/api/v1/${encodeURIComponent(hostileText)}`,
      ];
      for (const path of paths) {
        const page = await open(victim, `${app}${path}`);
        ran[path] = await page.evaluate(() => [
          window.ran ?? null, document.contentType, document.images.length,
        ]);
        await page.close();
      }
      // The page that shows who is signed in, told of somebody whose every word is hostile.
      const page = await victim.context.newPage();
      await page.route("**/api/v1/whoami", (route) => route.fulfill({ json: {
        name: hostileText, role: hostileText, tenant_id: hostileText,
        scopes: [hostileText], is_system: false,
      } }));
      await page.goto(`${app}/login`);
      await page.waitForSelector("#inside:not([hidden])");
      ran.login = await page.evaluate(() => [
        window.ran ?? null, document.getElementById("name").textContent, document.images.length,
      ]);
      await page.close();
      // The control room, which shows the same text as a title, as words of an agent and as raw data.
      await world.mark("own pages");
      for (const path of ["/", "/sessions", `/sessions/${session}`, `/sessions/${session}?tab=raw`]) {
        const room = await open(victim, `${app}${path}`);
        await room.waitForFunction(() => document.body.innerText.includes("canary"));
        ran[`page ${path}`] = await room.evaluate(() => [
          window.ran ?? null,
          document.body.innerText.includes("<img src=x onerror=window.ran=1>") ? "<img" : "",
          document.images.length,
        ]);
        await room.close();
      }
      return { ran };
    },
    // The same text does run where it is taken for a page.
    control: async (world, victim) => {
      const query = new URLSearchParams({ type: "text/html", body: hostileText });
      const page = await open(victim, `${world.given.hostile}/serve?${query}`);
      const ran = await page.evaluate(() => window.ran ?? null);
      await page.close();
      return { ran };
    },
  },
  {
    name: "stolen_link",
    attack: async (world) => {
      const token = world.token();
      const { context, page } = await world.signedIn(token);
      const told = { url: page.url(), history: await page.evaluate(() => history.length) };
      await page.goBack().catch(() => null);
      told.back = page.url();
      await context.close();
      const thief = await world.stranger();
      const stolen = await thief.newPage();
      await stolen.goto(`${world.given.app}/login#token=${token}`);
      await stolen.waitForSelector("#wrong:not([hidden])");
      told.cookies = (await thief.cookies()).length;
      const answer = await stolen.evaluate(read, { app: world.given.app, path: "/api/v1/whoami" });
      await thief.close();
      return { ...told, token, status: answer.status };
    },
    control: async (world) => {
      const { context, page } = await world.signedIn();
      const told = await page.evaluate(read, { app: world.given.app, path: "/api/v1/whoami" });
      const cookies = await context.cookies();
      await context.close();
      return { status: told.status, cookies };
    },
  },
  {
    // A page sends the browser of somebody who is signed in to the page that signs in, with a link of its own.
    name: "sign_in_as_others",
    attack: async (world) => {
      const { context, page } = await world.signedIn();
      await page.goto(`${world.given.hostile}/`);
      await page.evaluate(({ app, trap }) => {
        location = `${app}/login#token=${trap}`;
      }, world.given);
      await page.waitForSelector("#asked:not([hidden])");
      const told = { question: await page.textContent("#asked"), url: page.url() };
      const who = { app: world.given.app, path: "/api/v1/whoami" };
      told.during = (await page.evaluate(read, who)).text;
      await page.click("#decline");
      await page.waitForSelector("#inside:not([hidden])");
      told.after = (await page.evaluate(read, who)).text;
      await context.close();
      return told;
    },
    // Whoever agrees is signed in, sees as whom, and whoever was there before is out.
    control: async (world) => {
      const { context, page } = await world.signedIn();
      const before = await context.cookies();
      await page.goto(`${world.given.app}/login#token=${world.given.trap}`);
      await page.waitForSelector("#asked:not([hidden])");
      const [answer] = await Promise.all([
        page.waitForResponse("**/api/v1/login"),
        page.click("#agree"),
      ]);
      await world.inside(page);
      const told = { status: answer.status(), inside: await page.textContent("#inside") };
      await context.clearCookies();
      await context.addCookies(before);
      const who = { app: world.given.app, path: "/api/v1/whoami" };
      told.before = (await page.evaluate(read, who)).status;
      await context.close();
      return told;
    },
  },
  {
    name: "cookie_of_others",
    attack: async (world, victim) => {
      const cookie = `orchestrator_session_${new URL(world.given.app).port}`;
      const take = (name) => {
        document.cookie = `${name}=of-somebody-else; path=/`;
        return document.cookie;
      };
      const told = {};
      for (const [who, url] of [["own", `${world.given.app}/login`], ["other", world.given.hostile]]) {
        const page = await open(victim, url);
        told[who] = await page.evaluate(take, cookie);
        await page.close();
      }
      const after = await ownPage(world, victim, read, { path: "/api/v1/whoami" });
      return { ...told, status: after.status };
    },
    // A cookie that scripts may see is seen.
    control: async (world, victim) => {
      const page = await open(victim, world.given.hostile);
      const seen = await page.evaluate(() => {
        document.cookie = "plain=1; path=/";
        return document.cookie;
      });
      await page.close();
      await victim.context.clearCookies({ name: "plain" });
      return { seen };
    },
  },
  {
    name: "navigation",
    attack: async (world, victim) => {
      const { app, hostile, session } = world.given;
      const told = {};
      for (const path of [
        "/api/v1/logout", `/api/v1/sessions/${session}/cancel`, "/api/v1/sessions", "/api/v1/whoami",
      ]) {
        const page = await open(victim, `${hostile}/`);
        await page.evaluate((url) => { location.href = url; }, `${app}${path}`);
        await page.waitForURL(`${app}${path}`);
        told[path] = await page.content();
        await page.close();
      }
      return told;
    },
    control: async (world, victim) => {
      const page = await open(victim, `${world.given.app}/api/v1/whoami`);
      const text = await page.content();
      await page.close();
      return { text };
    },
  },
];

/** Whether a page of the hostile site shows others in frames: the text of each that is shown. */
async function frame(world, victim, urls) {
  const page = await open(victim, `${world.given.hostile}/`);
  const shown = {};
  for (const url of urls) {
    await page.evaluate((target) => new Promise((done) => {
      const inner = document.createElement("iframe");
      inner.onload = done;
      inner.src = target;
      document.body.append(inner);
    }), url);
    const inner = page.frames().at(-1);
    shown[url] = { url: inner.url(), text: await inner.textContent("body").catch(() => null) };
  }
  await page.close();
  return { shown };
}

// A certified OpenID provider on this machine, as a child of a test.
//
// Writes its address on standard output, reads the address that browsers go back to from standard input,
// and ends when that is closed. People sign in with any name and any password; their address is made from
// the name.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const server = createServer();
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;

/** Whoever signs in. */
const account = (id) => ({
  accountId: id,
  claims: async () => ({
    sub: id,
    email: `${id}@example.org`,
    email_verified: true,
    name: "Ann Other",
  }),
});

const lines = createInterface({ input: process.stdin });
lines.once("line", (place) => {
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "orchestrator",
        client_secret: "secret-of-the-tests",
        redirect_uris: [place],
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    cookies: { keys: ["only for tests"] },
    findAccount: (_, id) => account(id),
  });
  server.on("request", provider.callback());
  console.log("ready");
});
lines.once("close", () => process.exit(0));
console.log(issuer);

// Signing in with an identity provider: who comes back is who they are there, may what their role says, and leaves no token.
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openIdProvider } from "../harness/oidc.mjs";
import { start } from "../harness/server.mjs";

const PEOPLE = { ada: ["operators"], rex: ["readers"], eve: ["strangers"] };
const ROLES = [
  ["operators", "Contributor"],
  ["operators", "Monitoring Contributor"],
  ["operators", "Device Provisioning Service Data Contributor"],
  ["readers", "Reader"],
  ["readers", "Monitoring Reader"],
  ["readers", "Device Provisioning Service Data Reader"],
];

async function prepared({ muster, lasting }) {
  const provider = lasting(await openIdProvider("muster-portal", PEOPLE));
  const file = join(mkdtempSync(join(tmpdir(), "muster-portal-oidc-")), "provider.toml");
  const roles = ROLES.map(([group, role]) => `[[role_assignments]]\nclaim = "groups"\nvalue = "${group}"\nrole = "${role}"\n`).join("");
  writeFileSync(file, `issuer = "${provider.url}"\nportal_client_id = "muster-portal"\nportal_name = "Login"\n${roles}`);
  const server = lasting(await start(muster, ["--hub", "hub-1.localhost", "--identity-provider", file]));
  const key = Buffer.alloc(32, 5).toString("base64");
  await server.muster("enrollment", "create", "--registration-id", "press-1", "--attestation-type", "symmetricKey", "--primary-key", key, "--secondary-key", key);
  return { provider, server };
}

/** Goes to the provider; answers when its page is there. */
async function leave({ page }, server) {
  await page.goto(server.portal);
  await page.getByRole("link", { name: "Sign in with Login" }).click();
  await page.getByRole("heading", { name: "Who are you?" }).waitFor();
}

async function signIn(portal, server, who) {
  await leave(portal, server);
  await portal.page.getByRole("link", { name: who, exact: true }).click();
  await portal.page.locator(".shell").waitFor();
}

/** The sign-in came to nothing, and can be tried again. */
async function failed({ page, context }, server) {
  await page.getByRole("heading", { name: "Signing in did not succeed" }).waitFor();
  const cookies = await context.cookies(server.portal);
  assert.ok(!cookies.some((cookie) => cookie.name === "muster_session"), "a session was opened");
  await page.getByRole("link", { name: "Try again" }).click();
  await page.getByRole("link", { name: "Sign in with Login" }).waitFor();
}

/** All that the page can reach: its storages, its cookies, its address, its history's length of them. */
const within = (page) =>
  page.evaluate(async () => {
    const bases = indexedDB.databases === undefined ? [] : await indexedDB.databases();
    const caches = await globalThis.caches?.keys?.().catch(() => []) ?? [];
    return JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, document.referrer, bases, caches, history.state]);
  });

/** An answer of the API to a call of the page. */
const call = (page, method, path, body) =>
  page.evaluate(
    async ([method, path, body]) => {
      const headers = { "X-Muster-Portal": "1", ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
      const answer = await fetch(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
      return { status: answer.status, text: await answer.text() };
    },
    [method, path, body],
  );

export default [
  {
    name: "an operator signs in at a provider, works, signs out, and no token is left anywhere",
    async run(context) {
      const { provider, server } = await prepared(context);
      const portal = await context.open({ server, origins: [provider.url] });
      const { page } = portal;
      const addresses = [];
      page.on("request", (request) => addresses.push(request.url()));
      await signIn(portal, server, "ada");
      await page.getByText("ada@login.test").waitFor();
      assert.equal(new URL(page.url()).search, "", "the address has something of the sign-in left");
      assert.equal(provider.exchanged.length, 1);

      const [token] = provider.tokens;
      const seen = await within(page);
      for (const secret of [token, token.split(".")[1], token.split(".")[2], provider.exchanged[0]]) {
        assert.ok(!seen.includes(secret), "the page can read a token or a code");
        const where = addresses.filter((url) => url.includes(secret) && !url.includes("/portal/oidc/callback?"));
        assert.deepEqual(where, [], "a token or a code is in an address");
      }
      for (const cookie of await portal.context.cookies(server.portal)) assert.ok(cookie.httpOnly && !token.includes(cookie.value), cookie.name);
      const back = await page.evaluate(() => performance.getEntriesByType("navigation")[0].name);
      assert.ok(!/code=|state=/.test(back), back);

      await portal.go("#/enrollment/press-1");
      await page.getByRole("button", { name: "Disable", exact: true }).click();
      await portal.toast("press-1 is disabled");
      await page.getByRole("button", { name: "Enable", exact: true }).click();
      await portal.toast("press-1 is enabled");
      await portal.go("#/logs");
      await page.getByRole("button", { name: "Run", exact: true }).waitFor();

      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByText("You are signed out.").waitFor();
      assert.equal(await page.locator(".toast").count(), 0, "what was said to ada is still shown");
      // Whoever came from the provider finds the way back there.
      await page.getByRole("link", { name: "Sign in with Login" }).waitFor();
      assert.equal((await call(page, "GET", "/enrollments/press-1?api-version=2021-10-01")).status, 401);
      await portal.accessible("the sign-in page with a provider");
      await portal.shot("oidc-signed-out");
      await page.goBack().catch(() => undefined);
      await page.goto(server.portal);
      await page.getByRole("link", { name: "Sign in with Login" }).waitFor();
    },
  },
  {
    name: "a reader sees every page and changes nothing",
    async run(context) {
      const { provider, server } = await prepared(context);
      const portal = await context.open({ server, origins: [provider.url] });
      const { page } = portal;
      await signIn(portal, server, "rex");
      await portal.go("#/enrollments");
      await page.getByRole("link", { name: "press-1" }).waitFor();
      assert.ok(await page.getByRole("button", { name: "New enrollment" }).isDisabled());
      await portal.go("#/enrollment/press-1");
      for (const name of ["Keys", "Disable", "Edit", "Delete"]) assert.ok(await page.getByRole("button", { name, exact: true }).isDisabled(), name);
      for (const [hash, button] of [["groups", "New group"], ["hubs", "Link a hub"], ["certificates", "Upload"]]) {
        await portal.go(`#/${hash}`);
        const found = page.locator("main").getByRole("button", { name: button }).first();
        await found.waitFor();
        assert.ok(await found.isDisabled(), `${button} is offered to a reader`);
      }
      for (const [hash, words] of [["alerts/rules", /Metric rule|Log rule/], ["alerts/groups", /New action group/], ["settings", /Add diagnostic setting/], ["policies", /New policy/], ["metrics", /New alert rule/], ["logs", /New alert rule/]]) {
        await portal.go(`#/${hash}`);
        const offered = page.locator("main").getByRole("button", { name: words }).or(page.locator("main").getByRole("link", { name: words }));
        for (const one of await offered.all()) assert.ok(await one.isDisabled(), `${hash}: ${await one.textContent()} is offered to a reader`);
      }
      const { MUSTER_RESOURCE_ID: resource } = server.env;
      const enrollment = { registrationId: "made-by-rex", attestation: { type: "symmetricKey" } };
      for (const [method, path, body, status] of [
        ["GET", "/enrollments/press-1?api-version=2021-10-01", undefined, [200]],
        ["PUT", "/enrollments/made-by-rex?api-version=2021-10-01", enrollment, [401, 403]],
        ["DELETE", "/enrollments/press-1?api-version=2021-10-01", undefined, [401, 403]],
        ["POST", "/enrollments/press-1/attestationmechanism?api-version=2021-10-01", undefined, [401, 403]],
        ["GET", `${resource}?api-version=2022-02-05`, undefined, [200]],
        ["POST", `${resource}/listkeys?api-version=2022-02-05`, undefined, [403]],
        ["DELETE", `${resource}?api-version=2022-02-05`, undefined, [403]],
        ["PUT", `${resource}/providers/Microsoft.Insights/diagnosticSettings/x?api-version=2021-05-01-preview`, { properties: {} }, [403]],
      ]) {
        const answer = await call(page, method, path, body);
        assert.ok(status.includes(answer.status), `${method} ${path}: ${answer.status} ${answer.text}`);
      }
      assert.equal((await call(page, "GET", "/enrollments/made-by-rex?api-version=2021-10-01")).status, 404);
      await page.reload();
      await page.getByText("rex@login.test").waitFor();
    },
  },
  {
    name: "who has no role, who says no, and who comes back with what is not theirs is not signed in",
    async run(context) {
      const { provider, server } = await prepared(context);
      const portal = await context.open({ server, origins: [provider.url] });
      const { page } = portal;
      for (const who of ["eve", "nobody"]) {
        await leave(portal, server);
        await page.getByRole("link", { name: who, exact: true }).click();
        await failed(portal, server);
      }
      // Another state; a code that comes twice; the way back of somebody else's browser.
      await leave(portal, server);
      const way = await page.getByRole("link", { name: "ada", exact: true }).getAttribute("href");
      const other = new URL(way);
      other.searchParams.set("state", Buffer.alloc(32, 9).toString("base64url"));
      await page.goto(other.href);
      await failed(portal, server);
      const victim = await context.open({ server, origins: [provider.url] });
      await victim.page.goto(way);
      await failed(victim, server);
      await signIn(portal, server, "ada");
      const used = provider.exchanged.at(-1);
      await page.getByRole("button", { name: "Sign out" }).click();
      await leave(portal, server);
      const again = new URL(await page.getByRole("link", { name: "ada", exact: true }).getAttribute("href"));
      again.searchParams.set("code", used);
      await page.goto(again.href);
      await failed(portal, server);
    },
  },
  {
    name: "an ID token that is not what was asked for signs nobody in",
    async run(context) {
      const { provider, server } = await prepared(context);
      const portal = await context.open({ server, origins: [provider.url] });
      const now = Math.floor(Date.now() / 1000);
      for (const lie of [{ nonce: "another" }, { nonce: undefined }, { aud: "another-client" }, { iss: "http://127.0.0.1:1" }, { exp: now - 3600 }, { sub: "" }]) {
        provider.lie = (claims) => ({ ...claims, ...lie });
        await leave(portal, server);
        await portal.page.getByRole("link", { name: "ada", exact: true }).click();
        await failed(portal, server);
      }
      provider.lie = (claims) => claims;
      await signIn(portal, server, "ada");
    },
  },
];

// The portal of `muster serve`, over TLS with an operator's certificate: every page, nothing of development, the fence of headers.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { serve } from "../harness/production.mjs";
import { start } from "../harness/server.mjs";

const PAGES = ["overview", "diagnose", "diagnose/dry-run", "diagnose/causes", "logs", "metrics", "alerts", "alerts/rules", "alerts/groups", "alerts/builtin", "settings", "enrollments", "groups", "inbox", "enrollment/lathe-1", "device/lathe-1", "hubs", "certificates", "policies"];
const POLICY = {
  "default-src": "'none'",
  "script-src": "'self'",
  "style-src": "'self'",
  "connect-src": "'self'",
  "frame-ancestors": "'none'",
  "base-uri": "'none'",
  "form-action": "'self'",
};

export default [
  {
    name: "who operates a production server signs in with an access key and finds every page, and none of development",
    needs: ["attempts"],
    async run({ muster, lasting, open }) {
      // Its hub is another server's, by a name that every machine resolves.
      const hub = lasting(await start(muster));
      const server = lasting(await serve(muster, hub));
      const portal = await open({ server });
      const { page } = portal;
      const first = await page.goto(server.portal);
      const headers = first.headers();
      const policy = Object.fromEntries(headers["content-security-policy"].split(";").map((part) => [part.trim().split(" ")[0], part.trim().split(" ").slice(1).join(" ")]));
      for (const [name, value] of Object.entries(POLICY)) assert.equal(policy[name], value, name);
      assert.ok(!/unsafe|\*|https?:/.test(headers["content-security-policy"]), headers["content-security-policy"]);
      for (const [name, value] of [["x-content-type-options", "nosniff"], ["x-frame-options", "DENY"], ["referrer-policy", "no-referrer"], ["cross-origin-opener-policy", "same-origin"]]) assert.equal(headers[name], value, name);

      await portal.signIn();
      const [cookie] = (await portal.context.cookies(server.portal)).filter((c) => c.name === "muster_session");
      assert.deepEqual([cookie.secure, cookie.httpOnly, cookie.sameSite], [true, true, "Strict"]);

      // A device is enrolled on the page, and comes.
      const key = randomBytes(48).toString("base64");
      await server.muster("enrollment", "create", "--registration-id", "lathe-1", "--attestation-type", "symmetricKey", "--primary-key", key, "--secondary-key", key);
      const came = await server.provision("lathe-1", key);
      assert.ok(came.accepted, came.said);
      assert.ok(!(await server.provision("lathe-1", randomBytes(48).toString("base64"), "https")).accepted);

      const offered = await page.locator(".nav a").allTextContents();
      assert.ok(offered.length >= 12, offered.join(", "));
      assert.ok(!offered.some((name) => /fault|clock/i.test(name)), offered.join(", "));
      for (const hash of PAGES) {
        await portal.go(`#/${hash}`);
        await portal.fits(hash);
        assert.equal(await page.getByText("This page failed").count(), 0, hash);
        assert.equal(await page.locator("main .note.bad").count(), 0, `${hash}: ${await page.locator("main .note.bad").allTextContents()}`);
        await portal.shot(`production-${hash.replace(/\W+/g, "-")}`);
      }
      await portal.go("#/hubs");
      await page.getByRole("row", { name: /localhost.*Works/ }).waitFor();
      await portal.go("#/device/lathe-1");
      await page.getByText("Why it was refused").first().waitFor();

      await portal.go("#/dev");
      await page.getByRole("heading", { name: "No such page" }).waitFor();
      const statuses = await page.evaluate(async () => {
        const asked = [["GET", "/dev/clock"], ["PUT", "/dev/clock"], ["GET", "/dev/faults"], ["POST", "/dev/reset"]];
        return Promise.all(asked.map(async ([method, path]) => (await fetch(path, { method, headers: { "X-Muster-Portal": "1" } })).status));
      });
      for (const status of statuses) assert.ok(status === 404 || status === 405, `development routes answer ${statuses}`);
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByText("You are signed out.").waitFor();
    },
  },
  {
    name: "the plain port of a production server has the same portal on loopback",
    needs: ["attempts"],
    async run({ muster, lasting, open }) {
      // Its hub is another server's, by a name that every machine resolves.
      const hub = lasting(await start(muster));
      const made = lasting(await serve(muster, hub));
      const server = { ...made, portal: `${made.plain}/portal/` };
      const portal = await open({ server });
      await portal.signIn();
      await portal.page.getByRole("heading", { name: "Overview" }).waitFor();
      const foreign = await fetch(`${made.plain}/portal/session`, { headers: { Host: "evil.example" } }).then((answer) => answer.status);
      assert.ok(foreign === 421 || foreign === 401, String(foreign));
    },
  },
];

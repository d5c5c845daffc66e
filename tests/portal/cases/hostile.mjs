// Ids and names that try to be more than text, in every field and in every list.
import assert from "node:assert/strict";
import { HOSTILE } from "../harness/seed.mjs";
import { certificateAuthority } from "../harness/pki.mjs";

async function harmless(page, where) {
  const found = await page.evaluate(() => ({ image: document.querySelector('img[src="x"]') !== null, script: [...document.scripts].some((s) => s.src === "" || !s.src.startsWith(location.origin)) }));
  assert.deepEqual(found, { image: false, script: false }, where);
}

export default [
  {
    name: "an id that is HTML, script, right to left or long is text on every page that shows it",
    async run({ open }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      for (const [kind, id] of Object.entries(HOSTILE)) {
        for (const at of ["device", "enrollment", "group"]) {
          await portal.go(`#/${at}/${encodeURIComponent(id)}`);
          assert.equal((await page.locator("main h1").textContent()).trim(), id.trim(), `${at}, ${kind}`);
          await harmless(page, `${at}, ${kind}`);
          await portal.fits(`${at}, ${kind}`);
        }
        await portal.go(`#/diagnose?tracking=${encodeURIComponent(id)}`);
        await harmless(page, `diagnose, ${kind}`);
        await portal.go(`#/diagnose?registration=${encodeURIComponent(id)}`);
        await page.getByRole("button", { name: "Run" }).click();
        await portal.settled();
        await harmless(page, `dry run, ${kind}`);
        await page.getByRole("searchbox", { name: "Find a device" }).fill(id.slice(0, 190));
        await page.keyboard.press("Enter");
        await page.locator("main h1").waitFor();
        await harmless(page, `search, ${kind}`);
        await portal.go("#/enrollments");
        await page.getByLabel("Id begins with").fill(id.slice(0, 120));
        await page.getByText("None fits").waitFor();
        await harmless(page, `list, ${kind}`);
        await page.getByRole("button", { name: "New enrollment" }).click();
        await page.getByRole("dialog").getByLabel("Registration id").fill(id);
        await page.getByRole("dialog").getByText(/cannot stand in an id|of at most 128/).waitFor();
        await harmless(page, `form, ${kind}`);
        await page.keyboard.press("Escape");
      }
    },
  },
  {
    name: "what hostile devices left behind is text in the feed, the inbox and the logs",
    needs: ["queries"],
    async run({ open }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      for (const hash of ["overview", "inbox", "diagnose", "logs?q=AzureDiagnostics"]) {
        await portal.go(`#/${hash}`);
        await page.waitForTimeout(1500);
        await harmless(page, hash);
        await portal.fits(hash);
      }
    },
  },
  {
    name: "a certificate's hostile names are text",
    async run({ open, server }) {
      const leaf = certificateAuthority(server.folder, "CA").issue(HOSTILE.html.slice(0, 60));
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/certificates");
      await page.getByRole("button", { name: "Upload" }).click();
      await page.getByRole("dialog").getByLabel("Certificate", { exact: true }).fill(leaf.certificate);
      await page.getByRole("dialog").getByText("onerror", { exact: false }).first().waitFor();
      await harmless(page, "certificate");
      for (const damage of [leaf.certificate.slice(0, 200) + leaf.certificate.slice(260), leaf.certificate.replace(/[A-Z]{3}/g, "AAA")]) {
        await page.getByRole("dialog").getByLabel("Certificate", { exact: true }).fill(damage);
        await page.getByRole("dialog").getByRole("alert").first().waitFor();
      }
    },
  },
  {
    name: "an address that is no address does no harm",
    async run({ open }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      for (const hash of ["#/%", "#/device/%E0%A4%A", "#//////", "#/overview?window=<b>", "#/metrics?metric=x&filter=a=b;Status=%&kind=none&range=P1Y", "#/__proto__/constructor", "#/logs?span=%00"]) {
        await page.evaluate((to) => (location.hash = to), hash);
        await page.locator("main h1").waitFor();
        await harmless(page, hash);
      }
    },
  },
];

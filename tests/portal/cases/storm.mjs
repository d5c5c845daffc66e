// The portal while devices register without a pause behind it: it stays as large as it is, and does what one asks of it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { start } from "../harness/server.mjs";
import { storm } from "../harness/storm.mjs";

const MOST_NODES = 5000;
const FEED = 100;
/** Of what is asked while the machine is busy. */
const PATIENCE = { timeout: 60_000 };

const figure = async (page, label) => {
  const said = await page.locator(".stat", { has: page.getByRole("heading", { name: label }) }).locator("b").textContent();
  return Number(said.replace(/\D/g, ""));
};

/** Waits until it is so. */
async function until(what, is) {
  const end = Date.now() + PATIENCE.timeout;
  while (!(await is())) {
    if (Date.now() > end) throw new Error(`in vain was waited until ${what}`);
    await new Promise((done) => setTimeout(done, 250));
  }
}

async function bounded(portal, where) {
  const nodes = await portal.nodes();
  assert.ok(nodes < MOST_NODES, `${where} has ${nodes} elements`);
  return nodes;
}

async function started({ muster, lasting }) {
  const server = lasting(await start(muster, ["--hub", "hub-1.localhost", "--hub", "hub-2.localhost", "--limits", "none"]));
  const key = randomBytes(48).toString("base64");
  await server.muster("enrollment-group", "create", "--enrollment-id", "storm", "--primary-key", key, "--secondary-key", key);
  return { server, key };
}

/** Somebody looks at the portal while the storm goes on. */
async function signedIn(context) {
  const { server, key } = await started(context);
  const portal = await context.open({ server });
  const { page } = portal;
  page.setDefaultTimeout(PATIENCE.timeout);
  await portal.signIn();
  return { server, key, portal, page, blowing: context.lasting(storm(server, key)) };
}

export default [
  {
    name: "while a storm of registrations goes on, every page stays bounded, shows what is new and can be used",
    needs: ["attempts"],
    async run(context) {
      const { portal, page, blowing } = await signedIn(context);

      // The overview: figures grow, the feed is new each time and never longer.
      const lines = page.locator(".feed li");
      await lines.first().waitFor();
      await until("the feed is full", async () => (await lines.count()) === FEED);
      const before = { count: await figure(page, "Registrations"), newest: await lines.first().textContent(), nodes: await bounded(portal, "overview") };
      await until("the overview counts on", async () => (await figure(page, "Registrations")) > before.count);
      await until("the feed goes on", async () => (await lines.first().textContent()) !== before.newest);
      await until("a refusal is shown", async () => (await figure(page, "Refused")) > 0);
      const causes = page.locator("section", { has: page.getByRole("heading", { name: "Top causes of refusals" }) }).locator(".ranking li");
      await until("the refusals' causes are named", async () => (await causes.count()) > 0);
      assert.equal(await lines.count(), FEED);
      const after = await bounded(portal, "overview");
      assert.ok(after < before.nodes * 1.5, `the overview grew from ${before.nodes} to ${after} elements`);
      await page.getByRole("button", { name: "Hold still" }).click();
      await page.getByRole("button", { name: "Go on" }).waitFor();
      await portal.shot("storm-overview");

      // A device out of the feed is opened.
      const id = await page.locator(".feed a").first().textContent();
      await page.locator(".feed a").first().click();
      await page.getByRole("heading", { name: id, exact: true }).waitFor();
      await page.locator(".timeline li").first().waitFor();
      await bounded(portal, "a device");

      // Registrations: one is searched for, and opened.
      await portal.go("#/group/storm");
      await page.getByRole("link", { name: /^storm-/ }).first().waitFor();
      await page.getByRole("button", { name: "Next", exact: true }).click();
      await page.getByText(/^101–/).waitFor();
      const wanted = await page.getByRole("link", { name: /^storm-/ }).nth(50).textContent();
      await page.getByLabel("Registration id begins with").fill(wanted);
      await page.getByRole("link", { name: /^storm-/ }).nth(1).waitFor({ state: "detached" });
      await page.getByRole("link", { name: wanted }).click();
      await page.getByText("assigned", { exact: true }).first().waitFor();
      await bounded(portal, "a registration");

      // Metrics: the chart is drawn anew with what came since.
      await portal.go("#/metrics?metric=AttestationAttempts&split=Status");
      const chart = page.getByRole("img", { name: /^Attestation attempts/ });
      await chart.waitFor();
      const drawn = await chart.getAttribute("aria-label");
      await until("the chart is drawn anew", async () => (await chart.getAttribute("aria-label")) !== drawn);
      await bounded(portal, "metrics");
      await portal.shot("storm-metrics");

      await portal.go("#/diagnose");
      await bounded(portal, "diagnose");
      const told = await blowing.stop();
      console.log(`          ${told.assigned} registered, ${told.refused} were refused, ${told.other} got another answer`);
      assert.ok(told.assigned > 300 && told.refused > 0 && told.other === 0, JSON.stringify(told));
    },
  },
  {
    name: "logs are asked while a storm writes them",
    needs: ["queries"],
    async run(context) {
      const { portal, page, blowing } = await signedIn(context);
      const ask = async (query, shown) => {
        await portal.go("#/overview");
        // The page takes a query when it opens: the one before must be gone.
        await page.getByRole("heading", { name: "Overview" }).waitFor();
        await portal.go(`#/logs?q=${encodeURIComponent(query)}`);
        await page.getByRole("button", { name: "Run", exact: true }).click();
        await shown.first().waitFor();
      };
      const counted = page.getByText(/ rows? in \d/);
      await until("a thousand rows are written", async () => {
        await ask("AzureDiagnostics | take 1000", counted);
        return (await page.getByText(/^1,?000 rows in/).count()) > 0;
      });
      const nodes = await bounded(portal, "a thousand rows");
      await page.getByRole("region", { name: "Rows of the result" }).evaluate((at) => (at.scrollTop = at.scrollHeight));
      await bounded(portal, "their end");
      await ask("AzureDiagnostics | summarize count() by bin(TimeGenerated, 10s), ResultType | render timechart", page.locator(".chart canvas"));
      assert.ok((await portal.nodes()) < nodes + 1000);
      await portal.shot("storm-logs");
      await blowing.stop();
    },
  },
];

// A million devices (20,000 unless `--full`): every list, every search and every page of what is behind it, beside a small
// store. What a page holds and what it is sent must not grow with the store; how long it takes is told, and decides nothing.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { PHONE } from "../harness/browser.mjs";
import { filled } from "../harness/server.mjs";
import { register } from "../harness/seed.mjs";

const FEW = 200;
/** Whatever the store holds, one answer has no more bytes, and a page no more elements. */
const MOST_BYTES = 3 * 1024 * 1024;
const MOST_NODES = 6000;
/** Unknown devices; of a million, more than the inbox remembers. */
const UNKNOWN = { few: 300, many: 2200 };
const MASTER = "muster-bench master key, no secret";

const id = (family, number) => `${family}-${String(number).padStart(8, "0")}`;
const dev = ["--hub", "hub-1.localhost", "--hub", "hub-2.localhost", "--limits", "none"];
const amount = (devices) => ["--hub", "hub-1.localhost", "--hub", "hub-2.localhost", "--enrollments", String(devices), "--groups", String(devices / 100), "--registrations", String(devices)];

/** Opens each page of a store of that many devices; answers how long each took, by name. */
async function visit(portal, devices) {
  const { page } = portal;
  const times = {};
  const pages = [
    ["overview", "overview", () => page.getByRole("heading", { name: "Registrations and refusals" })],
    ["enrollments", "enrollments", () => page.getByRole("link", { name: id("device", 0) })],
    ["groups", "groups", () => page.getByRole("link", { name: "bench-group-000000" })],
    ["registrations of a group", "group/bench-keys", () => page.getByRole("link", { name: id("unit", 0) })],
    ["an enrollment", `enrollment/${id("device", devices - 1)}`, () => page.getByRole("heading", { name: "Attestation" })],
    ["a device", `device/${id("unit", devices - 2)}`, () => page.getByText("hub-1.localhost").first()],
    ["a device that asked", `device/${id("unit", devices - 4)}`, () => page.locator(".timeline li").first()],
    ["inbox", "inbox", () => page.getByRole("button", { name: /^Accept / }).first()],
    ["diagnose", "diagnose", () => page.getByRole("heading", { name: "Diagnose" })],
    ["hubs", "hubs", () => page.getByRole("row", { name: /hub-1.localhost/ })],
  ];
  for (const [name, hash, there] of pages) {
    const began = performance.now();
    await portal.go(`#/${hash}`);
    await there().waitFor();
    times[name] = performance.now() - began;
    const nodes = await portal.nodes();
    assert.ok(nodes < MOST_NODES, `${name} has ${nodes} elements`);
  }
  return times;
}

/** Looks for the last device of a list, one key after the other. */
async function search(portal, hash, label, wanted, family) {
  const { page } = portal;
  await portal.go(`#/${hash}`);
  await page.getByRole("link", { name: id(family, 0) }).waitFor();
  const began = performance.now();
  const asked = portal.answers.length;
  await page.getByLabel(label, { exact: true }).fill(wanted);
  await page.getByRole("link", { name: wanted }).waitFor();
  const took = performance.now() - began;
  const queries = portal.answers.slice(asked).filter((a) => a.path.endsWith("/query") && !a.path.startsWith("/v1/"));
  assert.ok(queries.length <= 2, `${queries.length} queries for one search`);
  return took;
}

/** Turns pages to the end of what begins so; a thousand rows. */
async function turn(portal, label, prefix, last) {
  const { page } = portal;
  await page.getByLabel(label, { exact: true }).fill(prefix);
  await page.getByRole("link", { name: `${prefix}000` }).waitFor();
  await page.getByText("1–100", { exact: true }).waitFor();
  const nodes = await portal.nodes();
  const next = page.getByRole("button", { name: "Next", exact: true });
  for (let at = 100; at < 1000; at += 100) {
    await next.click();
    await page.getByText(new RegExp(`^${at + 1}–${at + 100 === 1000 ? "1,000 of 1,000" : at + 100}$`)).waitFor();
    const now = await portal.nodes();
    assert.ok(now <= nodes + 50, `page by page there are more elements: ${nodes}, then ${now}`);
  }
  await page.getByRole("link", { name: last }).waitFor();
  assert.ok(await next.isDisabled());
  await page.getByRole("button", { name: "First", exact: true }).click();
  await page.getByRole("link", { name: `${prefix}000` }).waitFor();
}

/** Every row of a list, by the API, in the largest pages there are. */
function walk(page, path) {
  return page.evaluate(async (path) => {
    let [rows, bytes, token] = [0, 0, null];
    const times = [];
    do {
      const began = performance.now();
      const answer = await fetch(`${path}?api-version=2021-10-01`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Muster-Portal": "1", "x-ms-max-item-count": "1000", ...(token === null ? {} : { "x-ms-continuation": token }) },
        body: JSON.stringify({ query: "SELECT *" }),
      });
      const text = await answer.text();
      if (answer.status !== 200) throw new Error(`${answer.status} ${text}`);
      times.push(performance.now() - began);
      bytes = Math.max(bytes, text.length);
      rows += JSON.parse(text).length;
      token = answer.headers.get("x-ms-continuation");
    } while (token !== null);
    const middle = (of) => of.sort((a, b) => a - b)[Math.floor(of.length / 2)];
    const part = Math.max(1, Math.floor(times.length / 10));
    return { rows, bytes, pages: times.length, growth: middle(times.slice(-part)) / middle(times.slice(0, part)) };
  }, path);
}

/** A store of that many devices, with some that asked, unknown ones among them. */
async function store({ muster, seeder, lasting }, devices, unknown) {
  const server = lasting(await filled(muster, seeder, amount(devices), dev));
  const asking = id("unit", devices - 4);
  const key = createHmac("sha256", MASTER).update(asking).digest("base64");
  assert.ok((await server.provision(asking, key, "https")).accepted);
  for (let i = 0; i < unknown; i++) await register(server, `stranger-${i}`);
  return server;
}

export default [
  {
    name: "pages of a store with very many devices hold and ask no more than those of a small one",
    needs: ["seeder", "inbox"],
    async run(context) {
      const { open, full } = context;
      const many = full ? 1_000_000 : 20_000;
      const portals = [];
      for (const devices of [FEW, many]) {
        const began = Date.now();
        const server = await store(context, devices, full && devices === many ? UNKNOWN.many : UNKNOWN.few);
        console.log(`          ${devices} enrollments, ${devices} registrations: written in ${((Date.now() - began) / 1000).toFixed(0)} s`);
        const portal = await open({ server });
        await portal.signIn();
        portals.push([portal, devices, server]);
      }
      const times = [];
      // The first round warms up.
      for (let round = 0; round < 2; round++) {
        for (const [i, [portal, devices]] of portals.entries()) {
          const last = devices - 1;
          times[i] = {
            ...(await visit(portal, devices)),
            "search of enrollments": await search(portal, "enrollments", "Id begins with", id("device", last), "device"),
            "search of registrations": await search(portal, "group/bench-keys", "Registration id begins with", id("unit", last), "unit"),
          };
        }
      }
      for (const name of Object.keys(times[0])) console.log(`          ${name}: ${(times[1][name] / times[0][name]).toFixed(2)} × the small store`);

      const [portal] = portals[1];
      const { page } = portal;
      const last = many - 1;
      for (const [hash, label, family] of [
        ["enrollments", "Id begins with", "device"],
        ["group/bench-keys", "Registration id begins with", "unit"],
      ]) {
        await portal.go(`#/${hash}`);
        await page.getByRole("link", { name: id(family, 0) }).waitFor();
        await turn(portal, label, id(family, last).slice(0, -3), id(family, last));
      }
      // What no index tells is looked for row by row, and the page says how far it came.
      await portal.go("#/enrollments");
      await page.getByLabel("Status").selectOption("disabled");
      await page.getByText(/^(None so far|None fits)$/).waitFor();
      await portal.shot("scale-none-so-far");
      await page.getByLabel("Status").selectOption("");
      await page.getByRole("link", { name: id("device", 0) }).waitFor();
      await portal.accessible("a page of many");
      await portal.shot("scale-enrollments");
      assert.ok((await page.getByRole("row").count()) <= 101);

      for (const [path, rows] of [["/enrollments/query", many], ["/enrollmentGroups/query", many / 100 + 1], ["/registrations/bench-keys/query", many + 0]]) {
        const walked = await walk(page, path);
        console.log(`          ${path}: ${walked.rows} rows in ${walked.pages} pages; the last take ${walked.growth.toFixed(2)} × the first`);
        assert.equal(walked.rows, rows, path);
      }
      for (const { path, bytes } of portal.answers) assert.ok(bytes < MOST_BYTES, `${path} sent ${bytes} bytes`);

      await portal.go("#/inbox");
      await page.getByText(/^1–200 of/).waitFor();
      await page.getByRole("button", { name: "Next", exact: true }).click();
      await page.getByText(/^201–/).waitFor();
      await portal.accessible("a page of the inbox");
      await portal.shot("scale-inbox");

      const phone = await open({ server: portals[1][2], viewport: PHONE });
      await phone.signIn();
      // A sentence says in the inbox why nobody knows a device.
      for (const [hash, most] of [["enrollments", 80], ["group/bench-keys", 80], ["inbox", 140]]) {
        await phone.go(`#/${hash}`);
        await phone.page.getByRole("button", { name: "Next", exact: true }).waitFor();
        await phone.fits(hash);
        const tallest = await phone.page.locator(".table tbody tr").evaluateAll((rows) => Math.max(...rows.map((row) => row.clientHeight)));
        assert.ok(tallest < most, `${hash}: a row is ${tallest} px high on a phone`);
        await phone.shot(`scale-phone-${hash.replace(/\W+/g, "-")}`);
      }
    },
  },
];

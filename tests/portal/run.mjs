// Drives the portal of a `muster dev` with a browser: every page, every step of the article, what a hostile id can do.
//
//   node run.mjs --muster PATH [--seeder PATH] [--full] [-k NAME] [--shots DIR] [--require ROUTES] [--dist DIR]
//       [--pictures DIR]
//   node run.mjs --muster PATH --env DEV.ENV --url http://127.0.0.1:8080    against a server that runs already
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { launch, open } from "./harness/browser.mjs";
import { seed } from "./harness/seed.mjs";
import { attach, start } from "./harness/server.mjs";

const { values: asked } = parseArgs({
  options: { muster: { type: "string" }, seeder: { type: "string" }, full: { type: "boolean" }, env: { type: "string" }, url: { type: "string" }, shots: { type: "string" }, k: { type: "string", short: "k" }, require: { type: "string" }, dist: { type: "string" }, pictures: { type: "string" } },
});
if (asked.muster === undefined) {
  console.error("--muster PATH names the binary to test");
  process.exit(2);
}
const muster = resolve(asked.muster);
const shots = resolve(asked.shots ?? mkdtempSync(join(tmpdir(), "muster-portal-shots-")));
mkdirSync(shots, { recursive: true });

// `cargo build` puts the program that fills stores beside the server.
const seeder = resolve(asked.seeder ?? join(dirname(muster), "muster-bench"));
const full = asked.full === true || process.env.MUSTER_PORTAL_FULL === "1";

const folder = join(dirname(fileURLToPath(import.meta.url)), "cases");
const cases = [];
for (const file of readdirSync(folder).filter((f) => f.endsWith(".mjs")).sort()) {
  const { default: of } = await import(pathToFileURL(join(folder, file)));
  for (const one of of) if (asked.k === undefined || `${file} ${one.name}`.includes(asked.k)) cases.push({ file, ...one });
}

const server = asked.url === undefined ? await start(muster, ["--hub", "hub-1.localhost", "--hub", "hub-2.localhost"]) : attach(muster, asked.env, asked.url);
const browser = await launch();
const failed = [];
const left = [];
let passed = 0;
try {
  const known = await seed(server);
  if (existsSync(seeder)) known.has.add("seeder");
  const lacks = (asked.require ?? "").split(",").filter((name) => name !== "" && !known.has.has(name));
  if (lacks.length > 0) failed.push(`this server has no ${lacks.join(", no ")}`) && console.log(`FAILED    ${failed[0]}`);
  for (const one of cases) {
    const missing = (one.needs ?? []).filter((need) => !known.has.has(need));
    const title = `${one.file.replace(".mjs", "")}: ${one.name}`;
    if (missing.length > 0) {
      left.push(title);
      console.log(`left out  ${title} (this server has no ${missing.join(", no ")})`);
      continue;
    }
    const began = Date.now();
    const portals = [];
    const ends = [];
    const context = {
      server,
      known,
      shots,
      muster,
      seeder,
      full,
      open: async (options) => (portals.push(await open(browser, options?.server ?? server, shots, { dist: asked.dist, ...options })), portals[portals.length - 1]),
      /** Something that is ended with the case, however that ends. */
      lasting: (made) => (ends.push(made), made),
    };
    try {
      await one.run(context);
      for (const portal of portals.splice(0)) await portal.close();
      passed++;
      console.log(`ok        ${title} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed.push(title);
      console.log(`FAILED    ${title}\n${String(error?.stack ?? error).replace(/^/gm, "    ")}`);
      for (const portal of portals) {
        for (const fault of portal.faults) console.log(`    also: ${fault}`);
        await portal.page.screenshot({ path: join(shots, `failed-${failed.length}.png`) }).catch(() => undefined);
        await portal.context.close();
      }
    }
    for (const end of ends.reverse()) await end.stop();
  }
} finally {
  await browser.close();
  await server.stop();
}
// The guide's pictures are made anew: those that are there, of all that were taken.
if (asked.pictures !== undefined) {
  const pictures = resolve(asked.pictures);
  for (const name of readdirSync(pictures)) if (existsSync(join(shots, name))) copyFileSync(join(shots, name), join(pictures, name));
}
console.log(`${passed} passed, ${failed.length} failed, ${left.length} left out; pictures in ${shots}`);
if (failed.length > 0) process.exit(1);

// Debian's Chromium, driven by playwright-core. A page that breaks its content security policy, or throws, fails its case.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });

export const DESKTOP = { width: 1400, height: 900 };
export const PHONE = { width: 390, height: 800 };

/** A browser of its own for a case, and what a case does with it. */
export async function open(browser, server, shots, { viewport = DESKTOP, theme = "light", origins = [], dist } = {}) {
  const context = await browser.newContext({ viewport, colorScheme: theme, locale: "en-GB", timezoneId: "UTC", ignoreHTTPSErrors: true, permissions: ["clipboard-read", "clipboard-write"] });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  if (dist !== undefined) await serve(context, server, dist);
  const faults = [];
  page.on("pageerror", (error) => faults.push(`the page threw: ${error.message}`));
  await page.exposeFunction("violated", (what) => faults.push(`the page broke its content security policy: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      // Text that is put over a selection gets a style attribute of the browser's own, which the policy takes away again.
      if (event.violatedDirective === "style-src-attr" && event.target?.className === "editor") return;
      globalThis.violated(`${event.violatedDirective} ${event.blockedURI} ${event.sample} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  page.on("dialog", (dialog) => {
    faults.push(`a script opened a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const known = [new URL(server.portal).origin, ...origins];
    if (!known.includes(new URL(request.url()).origin) && !/^(data|blob):/.test(request.url())) faults.push(`the page asked elsewhere: ${request.url()}`);
  });

  page.on("console", (message) => {
    // What the server refuses the browser says too, and what breaks the policy is judged above.
    if (message.type() === "error" && !/Failed to load resource|Content Security Policy/.test(message.text())) faults.push(`the console says: ${message.text()}`);
  });
  const answers = [];
  page.on("requestfinished", async (request) => {
    const sizes = await request.sizes().catch(() => undefined);
    if (sizes !== undefined) answers.push({ path: new URL(request.url()).pathname, bytes: sizes.responseBodySize });
  });

  const portal = {
    /** Path and size of every answer that the page was given. */
    answers,
    page,
    context,
    faults,
    async signIn(secret = server.env.MUSTER_SERVICE_CONNECTION_STRING) {
      await page.goto(server.portal);
      await page.getByLabel("Connection string or token").fill(secret);
      await page.getByRole("button", { name: "Sign in", exact: true }).click();
      await page.locator(".shell").waitFor();
    },
    /** Opens a page by its address and waits until nothing of it loads any more. */
    async go(hash) {
      await page.evaluate((to) => (location.hash = to), hash);
      await page.locator("main h1").first().waitFor();
      await portal.settled();
    },
    async settled() {
      await page.waitForFunction(() => document.querySelector("main .skeleton") === null, null, { timeout: 20_000 });
    },
    /** Elements of the page as it is. */
    nodes: () => page.evaluate(() => document.getElementsByTagName("*").length),
    async toast(text) {
      await page.locator(".toast", { hasText: text }).first().waitFor();
    },
    /** No serious or critical violation of WCAG A and AA. */
    async accessible(what) {
      await page.evaluate(AXE);
      const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
      const bad = found.violations.filter((v) => v.impact === "serious" || v.impact === "critical");
      const said = bad.map((v) => `${v.id} (${v.impact}): ${v.help}\n${v.nodes.slice(0, 4).map((n) => `    ${n.target.join(" ")}  ${n.failureSummary?.split("\n")[1] ?? ""}`).join("\n")}`);
      assert.equal(bad.length, 0, `${what}:\n${said.join("\n")}`);
    },
    /** Nothing is wider than the window, so that a phone scrolls one way. */
    async fits(what) {
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 1, `${what} is ${wide} px wider than the window`);
    },
    /** What is seen without scrolling, as the pictures of the guide are. */
    async picture(name) {
      await page.mouse.move(0, 0);
      await page.screenshot({ path: join(shots, `${name}.png`) });
    },
    async shot(name) {
      await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
    },
    async close() {
      await context.close();
      assert.deepEqual(faults, []);
    },
  };
  return portal;
}

/** Pages of a folder in place of those in the binary, with its headers: for work on the pages. */
async function serve(context, server, dist) {
  const headers = {};
  await context.route(`${new URL(server.portal).origin}/portal/**`, async (route) => {
    const name = decodeURIComponent(new URL(route.request().url()).pathname).replace(/^\/portal\/?/, "") || "index.html";
    const file = join(dist, name);
    if (route.request().method() !== "GET" || !existsSync(file)) return route.continue();
    if (headers.of === undefined) {
      const real = (await route.fetch({ url: server.portal })).headers();
      headers.of = Object.fromEntries(Object.entries(real).filter(([key]) => !/^(content-|etag|transfer)/.test(key) || key === "content-security-policy"));
    }
    const type = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml" }[name.split(".").pop()];
    return route.fulfill({ body: readFileSync(file), headers: { ...headers.of, "content-type": type ?? "application/octet-stream" } });
  });
}

// Ninety days of metrics: a point for each quarter of an hour, drawn as lines, bars and areas, under a pointer that moves.
import assert from "node:assert/strict";
import { filled } from "../harness/server.mjs";

/** Of a series; the page offers no finer interval than that. */
const MOST_POINTS = 12_000;
const MOST_NODES = 1500;
const STEPS = 80;

/** Moves the pointer over the chart; the frames that the page drew meanwhile, in milliseconds. */
async function frames(page, chart) {
  await chart.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await chart.boundingBox();
  await page.mouse.move(x + 60, y + height / 2);
  await page.evaluate(() => {
    const seen = (globalThis.frames90 = []);
    let last = performance.now();
    const turn = (now) => {
      seen.push(now - last);
      last = now;
      if (globalThis.frames90 === seen) requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
  });
  const began = performance.now();
  for (let i = 0; i < STEPS; i++) await page.mouse.move(x + 60 + ((width - 80) * i) / STEPS, y + height / 2);
  const moved = (performance.now() - began) / STEPS;
  const seen = await page.evaluate(() => {
    const seen = globalThis.frames90;
    globalThis.frames90 = undefined;
    return seen;
  });
  seen.sort((a, b) => a - b);
  return { middle: seen[Math.floor(seen.length / 2)], slow: seen[Math.floor(seen.length * 0.95)], moved };
}

export default [
  {
    name: "ninety days of metrics are drawn as lines, bars and areas that a pointer moves over smoothly",
    needs: ["seeder"],
    async run({ muster, seeder, full, open, lasting }) {
      const server = lasting(await filled(muster, seeder, ["--days", "91", "--minutes", full ? "1" : "5"]));
      const portal = await open({ server });
      const { page } = portal;
      page.setDefaultTimeout(60_000);
      await portal.signIn();
      const points = [];
      page.on("response", async (answer) => {
        if (!answer.url().includes("/Microsoft.Insights/metrics?")) return;
        const body = await answer.json().catch(() => undefined);
        for (const series of body?.value?.flatMap((metric) => metric.timeseries) ?? []) points.push(series.data.length);
      });
      const chart = page.getByRole("img", { name: /^Attestation attempts/ });
      const shown = async (range, interval, kind) => {
        points.length = 0;
        await portal.go("#/overview");
        const answered = page.waitForResponse((answer) => answer.url().includes("/Microsoft.Insights/metrics?") && answer.url().includes(`interval=${interval}`));
        await portal.go(`#/metrics?metric=AttestationAttempts&split=Protocol&range=${range}&interval=${interval}&kind=${kind}`);
        await answered;
        await chart.locator("canvas").waitFor();
        const nodes = await portal.nodes();
        assert.ok(nodes < MOST_NODES, `${range} as ${kind}: ${nodes} elements`);
        return { nodes, ...(await frames(page, chart)) };
      };
      for (const kind of ["line", "bar", "area"]) {
        const hour = await shown("PT1H", "PT1M", kind);
        const quarter = await shown("P90D", "PT15M", kind);
        const most = Math.max(...points);
        assert.ok(most > 8000 && most <= MOST_POINTS, `${most} points of a series`);
        assert.ok(quarter.nodes < hour.nodes + 100, `90 days are ${quarter.nodes} elements, an hour is ${hour.nodes}`);
        await portal.shot(`history-${kind}`);
        const times = (name) => (quarter[name] / hour[name]).toFixed(2);
        console.log(`          ${kind}: ${most} points of each of 5 series; frames take ${times("middle")} × those of an hour, slow ones ${times("slow")} ×, a move of the pointer ${times("moved")} ×`);
        // What the pointer stands on is named.
        await page.mouse.move(700, (await chart.boundingBox()).y + 100);
        await page.locator(".chart .when").getByText(/\d/).waitFor();
      }
      // The finest interval that is offered for 90 days keeps to the bound, whatever the address says.
      await portal.go("#/metrics?metric=AttestationAttempts&split=Protocol&range=P90D&interval=PT1M");
      await chart.locator("canvas").waitFor();
      assert.notEqual(await page.getByLabel("Interval").inputValue(), "PT1M");
      assert.ok(Math.max(...points) <= MOST_POINTS);
    },
  },
];

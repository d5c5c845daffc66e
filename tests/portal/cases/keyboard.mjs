// The portal without a mouse.
import assert from "node:assert/strict";
import { PHONE } from "../harness/browser.mjs";

const focused = (page) => page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent?.trim() || document.activeElement?.tagName);

export default [
  {
    name: "a skip link, / for the search, Escape for a dialog, arrows for tabs",
    async run({ open, server, known }) {
      const portal = await open();
      const { page } = portal;
      await page.goto(server.portal);
      await page.waitForFunction(() => document.activeElement?.name === "secret");
      await page.keyboard.type(server.env.MUSTER_SERVICE_CONNECTION_STRING);
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Overview" }).waitFor();
      await page.evaluate(() => document.activeElement?.blur());
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), "Skip to the page");
      await page.keyboard.press("Enter");
      assert.equal(await focused(page), "main");
      await page.keyboard.press("/");
      assert.equal(await focused(page), "find");
      await page.keyboard.type("press-1");
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "press-1" }).waitFor();
      await page.keyboard.press("/");
      await page.keyboard.type(known.tracking);
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Diagnose" }).waitFor();

      await portal.go("#/enrollments");
      await page.getByRole("button", { name: "New enrollment" }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor();
      assert.ok(await page.evaluate(() => document.querySelector("dialog")?.contains(document.activeElement)), "the focus is in the dialog");
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      assert.equal(await focused(page), "New enrollment");

      await portal.go("#/alerts");
      await page.getByRole("tab", { name: "Alerts" }).focus();
      await page.keyboard.press("ArrowRight");
      await page.waitForFunction(() => location.hash === "#/alerts/rules");
      assert.equal(await page.getByRole("tab", { name: "Rules", exact: true }).getAttribute("aria-selected"), "true");
    },
  },
  {
    name: "on a phone the navigation is a sheet that opens and closes",
    async run({ open }) {
      const portal = await open({ viewport: PHONE });
      const { page } = portal;
      await portal.signIn();
      const nav = page.getByRole("navigation", { name: "Pages" });
      assert.ok(await nav.isHidden());
      await page.getByRole("button", { name: "Open navigation" }).click();
      await nav.waitFor();
      await page.keyboard.press("Escape");
      await nav.waitFor({ state: "hidden" });
      await page.getByRole("button", { name: "Open navigation" }).click();
      await nav.getByRole("link", { name: "Hubs" }).click();
      await page.getByRole("heading", { name: "Hubs", exact: true }).waitFor();
      assert.ok(await nav.isHidden());
    },
  },
  {
    name: "the theme is switched and stays",
    async run({ open }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      const before = await background();
      await page.getByRole("button", { name: "Theme: as the system" }).click();
      await page.getByRole("button", { name: "Theme: light" }).click();
      await page.getByRole("button", { name: "Theme: dark" }).waitFor();
      const dark = await background();
      assert.notEqual(before, dark);
      await page.reload();
      await page.getByRole("button", { name: "Theme: dark" }).waitFor();
      assert.equal(await background(), dark);
    },
  },
];

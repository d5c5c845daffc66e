// Dry runs and the inbox, where the server has them.
import assert from "node:assert/strict";

export default [
  {
    name: "a dry run says that the right key would be let in, and that the wrong one would not",
    needs: ["rehearsals"],
    async run({ open, known }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/diagnose?registration=press-1");
      await page.getByLabel("The device's key").fill(known.keys["press-1"].primary);
      await page.getByRole("button", { name: "Run", exact: true }).click();
      await page.getByText(/Would be assigned/i).first().waitFor();
      await portal.accessible("a dry run");
      await page.getByLabel("The device's key").fill(known.keys["press-2"].primary);
      await page.getByRole("button", { name: "Run", exact: true }).click();
      await page.getByText(/Would be refused/i).first().waitFor();
      await portal.shot("dry-run");
    },
  },
  {
    name: "an unknown device is in the inbox, is ignored, and is shown again",
    needs: ["inbox"],
    async run({ open }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/inbox");
      const row = page.getByRole("row", { name: /nobody-knows-me/ });
      await row.waitFor({ timeout: 20_000 });
      await row.getByRole("button", { name: /^Ignore/ }).click();
      await row.waitFor({ state: "detached" });
      await page.getByLabel("Show what is ignored").check();
      await row.getByRole("button", { name: /^Show again/ }).click();
      await row.getByRole("button", { name: /^Ignore/ }).waitFor();
      assert.ok(await row.isVisible());
    },
  },
];

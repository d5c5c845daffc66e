// What a development server can be told.
import assert from "node:assert/strict";

export default [
  {
    name: "the clock is moved, stopped and put right",
    needs: ["clock"],
    async run({ open }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/dev");
      await page.getByRole("button", { name: "A day on", exact: true }).click();
      await page.getByText("24 h ahead").waitFor();
      await page.getByRole("button", { name: "Stop it" }).click();
      await page.getByText("stands still").waitFor();
      await page.getByRole("button", { name: "As the machine's" }).click();
      await page.getByText("the same", { exact: true }).waitFor();
    },
  },
  {
    name: "a fault is made, seen by a device, and removed",
    needs: ["faults"],
    async run({ open, server, known }) {
      const portal = await open();
      const { page } = portal;
      await portal.signIn();
      await portal.go("#/dev");
      await page.getByRole("button", { name: "New fault" }).click();
      const form = page.getByRole("dialog");
      await form.getByLabel("What happens").selectOption("error");
      await form.getByLabel("Status: 500, 503 or 504").fill("503");
      await form.getByLabel("Registration id").fill("press-1");
      await form.getByLabel("How many times at most").fill("100");
      await form.getByRole("button", { name: "Make it" }).click();
      await page.getByRole("row", { name: /answer a server error.*press-1/ }).waitFor();
      await page.getByRole("button", { name: "Remove all" }).click();
      await page.getByText("No fault is made").waitFor();
      assert.ok((await server.provision("press-1", known.keys["press-1"].primary)).accepted);
    },
  },
];

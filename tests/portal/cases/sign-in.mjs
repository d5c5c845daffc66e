// Signing in and out; what is typed is kept nowhere.
import assert from "node:assert/strict";

const stored = (page) => page.evaluate(() => JSON.stringify({ ...localStorage }) + JSON.stringify({ ...sessionStorage }) + document.cookie + location.href);

export default [
  {
    name: "a wrong key is refused in a sentence, a right one opens the portal, and neither is kept",
    async run({ open, server }) {
      const portal = await open();
      const { page } = portal;
      const secret = server.env.MUSTER_SERVICE_CONNECTION_STRING;
      const key = /SharedAccessKey=(.+)$/.exec(secret)[1];
      await page.goto(server.portal);
      const field = page.getByLabel("Connection string or token");
      const button = page.getByRole("button", { name: "Sign in", exact: true });
      await field.fill("HostName=localhost;SharedAccessKeyName=x");
      await page.getByText("The connection string lacks SharedAccessKey=").waitFor();
      assert.ok(await button.isDisabled());
      await field.fill(secret.replace(key, Buffer.alloc(64, 7).toString("base64")));
      await button.click();
      await page.getByText("The server does not accept this").waitFor();
      assert.equal(await field.inputValue(), "");
      await field.fill(secret);
      await button.click();
      await page.getByRole("heading", { name: "Overview" }).waitFor();
      assert.ok(!(await stored(page)).includes(key), "the key is in the page's storage, its cookie or its address");
      await page.reload();
      await page.getByRole("heading", { name: "Overview" }).waitFor();
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByText("You are signed out.").waitFor();
      await page.reload();
      await field.waitFor();
    },
  },
  {
    name: "a session that ends elsewhere leads back to the sign-in page",
    async run({ open }) {
      const portal = await open();
      await portal.signIn();
      await portal.context.clearCookies();
      await portal.page.evaluate(() => (location.hash = "#/policies"));
      await portal.page.getByText("Your session has ended").waitFor();
    },
  },
  {
    name: "the token of muster dev opens the portal as well",
    async run({ open, server }) {
      const portal = await open();
      await portal.signIn(server.env.MUSTER_BEARER_TOKEN);
      await portal.page.getByRole("heading", { name: "Overview" }).waitFor();
    },
  },
  {
    name: "who may only read sees everything, and what they may not is not offered",
    async run({ open, server }) {
      const owner = await open();
      await owner.signIn();
      await owner.go("#/policies");
      await owner.page.getByRole("button", { name: "New policy" }).click();
      const form = owner.page.getByRole("dialog");
      await form.getByLabel("Name", { exact: true }).fill("only-reads");
      await form.getByRole("button", { name: "Create" }).click();
      await owner.toast("only-reads is made");
      await owner.page.getByRole("button", { name: "Keys of only-reads" }).click();
      await form.getByRole("button", { name: "Show the keys" }).click();
      const connection = (await form.getByLabel("the primary connection string", { exact: true }).textContent()).trim();

      const portal = await open();
      const { page } = portal;
      await portal.signIn(connection);
      await portal.go("#/enrollments");
      await page.getByRole("link", { name: "press-1" }).waitFor();
      assert.ok(await page.getByRole("button", { name: "New enrollment" }).isDisabled());
      await portal.go("#/enrollment/press-1");
      for (const name of ["Keys", "Disable", "Edit", "Delete"]) assert.ok(await page.getByRole("button", { name, exact: true }).isDisabled(), name);
      await portal.go("#/policies");
      await page.getByText("Your sign-in lacks the right ServiceConfig").waitFor();
      await portal.go("#/hubs");
      assert.ok(await page.getByRole("button", { name: "Link a hub" }).isDisabled());
      await portal.go("#/overview");
      await page.getByRole("heading", { name: "Registrations and refusals" }).waitFor();
      assert.equal(await page.locator("main .note.bad").count(), 0);

      // The key is rolled: its session ends with the next call.
      await form.getByRole("button", { name: "Done" }).click();
      await owner.page.getByRole("button", { name: "Delete only-reads" }).click();
      await form.getByRole("button", { name: "Delete", exact: true }).click();
      await owner.toast("only-reads is deleted");
      await page.evaluate(() => (location.hash = "#/enrollments"));
      await page.getByText("Your session has ended").waitFor();
    },
  },
  {
    name: "whoever sees two provisioning services switches between them",
    async run({ open, server }) {
      await server.muster("instance", "create", "--name", "second-works", "--location", "local");
      const portal = await open();
      const { page } = portal;
      await portal.signIn(server.env.MUSTER_BEARER_TOKEN);
      await portal.go("#/enrollments");
      await page.getByRole("link", { name: "press-1" }).waitFor();
      await page.getByLabel("Provisioning service").selectOption({ label: "second-works" });
      await page.getByText("No device is enrolled yet").waitFor();
      await portal.go("#/hubs");
      await page.getByText("No hub is linked").waitFor();
      await page.getByLabel("Provisioning service").selectOption({ label: "muster-dev" });
      await page.getByRole("row", { name: /hub-1.localhost/ }).waitFor();
      await server.muster("instance", "delete", "--name", "second-works");
    },
  },
];

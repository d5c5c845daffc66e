// Who a device says it is: a typing error, a device that nobody enrolled, an id that is none, the wrong ID scope.
import assert from "node:assert/strict";
import { enroll, newKey, story } from "../harness/mend.mjs";
import { register } from "../harness/seed.mjs";

export default [
  story("a typing error in the enrollment: its id is corrected", { shots: "mend-id-typo" }, async (told) => {
    const { server, page, dialog } = told;
    const key = newKey();
    await enroll(server, "pump-71", key);
    const device = ["--registration-id", "pump-17", "--key", key];
    await told.refused(...device);
    await told.follow("pump-17", "An enrollment has nearly this registration id");
    await told.press("Correct the enrollment's id");
    await dialog.getByText("it never registered").waitFor();
    await told.inDialog("Correct the id");
    await told.wouldBeLetIn();
    // What is done is no longer the first thing to do.
    assert.ok(!(await page.getByRole("button", { name: "Enroll it as another device" }).or(page.getByRole("button", { name: "Correct the enrollment's id" })).first().getAttribute("class")).includes("primary"));
    await told.letIn(...device);
    await server.muster("enrollment", "show", "--registration-id", "pump-71").then(
      () => assert.fail("the old enrollment is still there"),
      () => undefined,
    );
  }),
  story("a typing error on the device: the enrollment belongs to another", {}, async (told) => {
    const { server, dialog } = told;
    const key = newKey();
    await enroll(server, "oven-12", key);
    assert.ok((await server.provision("oven-12", key)).accepted);
    await told.refused("--registration-id", "oven-21", "--key", key);
    await told.follow("oven-21", "An enrollment has nearly this registration id");
    await told.press("Correct the enrollment's id");
    await dialog.getByText("it seems to be another device").waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await told.page.getByText("Let the device register as oven-12", { exact: true }).waitFor();
  }),
  story("a device that nobody enrolled: it is accepted out of the inbox, and gets a key", { shots: "mend-id-inbox" }, async (told) => {
    const { server, page, portal, dialog } = told;
    await told.refused("--registration-id", "robot-42", "--key", newKey(), "--transport", "https");
    await portal.signIn();
    await page.getByRole("link", { name: "1 unknown one in the inbox" }).click();
    const row = page.getByRole("row", { name: /robot-42/ });
    await row.waitFor();
    await portal.settled();
    await told.picture("1-inbox");
    await row.getByRole("button", { name: /^Accept/ }).click();
    await told.picture("2-accept");
    await dialog.getByRole("button", { name: "Accept", exact: true }).click();
    const key = (await dialog.getByLabel("the primary key", { exact: true }).textContent()).trim();
    await portal.accessible("the keys of an accepted device");
    await told.picture("3-keys");
    await dialog.getByRole("button", { name: "Done" }).click();
    await page.getByText("Nobody unknown has asked").waitFor();
    await page.getByLabel("Find a device by registration id").fill("robot-42");
    await page.keyboard.press("Enter");
    await told.letIn("--registration-id", "robot-42", "--key", key);
  }),
  story("an enrollment that is disabled: it is enabled", { shots: "mend-id-disabled" }, async (told) => {
    const { server } = told;
    const key = newKey();
    await enroll(server, "crane-9", key, "--provisioning-status", "disabled");
    const device = ["--registration-id", "crane-9", "--key", key];
    await told.refused(...device);
    await told.follow("crane-9", "The enrollment is disabled");
    await told.press("Enable it");
    await told.inDialog("Enable");
    await told.wouldBeLetIn();
    await told.letIn(...device);
  }),
  story("an ID scope that is spelt wrongly: the right one is there to be copied", { shots: "mend-id-scope" }, async (told) => {
    const { server, page } = told;
    const scope = server.env.MUSTER_ID_SCOPE;
    const key = newKey();
    await enroll(server, "meter-2", key);
    const wrong = `${scope.slice(0, -1)}${scope.endsWith("0") ? "1" : "0"}`;
    await register(server, "meter-2", undefined, wrong);
    await told.follow("meter-2", "A provisioning service has nearly this id scope");
    assert.equal((await page.getByLabel("the ID scope", { exact: true }).first().textContent()).trim(), scope);
    await told.letIn("--registration-id", "meter-2", "--key", key);
  }),
  story("an id with a character that none may have: it is kept as the name on the hub", { shots: "mend-id-character" }, async (told) => {
    const { server, page, dialog } = told;
    await register(server, "pump@17");
    await told.follow("pump@17", "The registration id has a character that is not allowed");
    await told.press("Enroll it under an id that fits");
    assert.equal(await dialog.getByLabel("Registration id").inputValue(), "pump-17");
    await dialog.getByRole("button", { name: "Create", exact: true }).click();
    const key = (await dialog.getByLabel("the primary key", { exact: true }).textContent()).trim();
    await dialog.getByRole("button", { name: "Done" }).click();
    const { accepted, said } = await server.device("--registration-id", "pump-17", "--key", key);
    assert.ok(accepted && said.includes("as pump@17"), said);
    await page.getByLabel("Find a device by registration id").fill("pump-17");
    await page.keyboard.press("Enter");
    await page.getByText("assigned", { exact: true }).first().waitFor();
  }),
];

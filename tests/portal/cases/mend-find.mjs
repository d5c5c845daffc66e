// What people have in hand when they are told that a device does not work: half of its id, the message that it printed.
import assert from "node:assert/strict";
import { enroll, newKey, story } from "../harness/mend.mjs";

export default [
  story("half an id and a device's message lead to the device, and an old attempt is not mended", { needs: ["clock"] }, async (told) => {
    const { server, page, portal } = told;
    const key = newKey();
    await enroll(server, "oven-4471-b", key);
    const device = ["--registration-id", "oven-4471-b", "--key"];
    const said = await told.refused(...device, newKey());
    const tracking = /tracking id ([0-9a-f-]{36})/i.exec(said)[1];
    await portal.signIn();
    const find = page.getByLabel("Find a device by registration id");
    await find.fill("4471");
    await page.keyboard.press("Enter");
    const near = page.getByRole("region", { name: "Did you mean one of these?" });
    await near.getByText("not let in").waitFor();
    await portal.accessible("near ones");
    assert.equal(await page.getByRole("link", { name: "Enroll it", exact: true }).count(), 0);
    // Spelt otherwise, its number is still that.
    await find.fill("Oven 4471b");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Oven 4471b" }).waitFor();
    await near.getByRole("link", { name: "oven-4471-b" }).click();
    await told.sees("The SAS token is signed with another key");
    assert.equal(await page.getByRole("navigation", { name: "Pages" }).locator("[aria-current=page]").count(), 0);
    await find.fill(said);
    await page.keyboard.press("Enter");
    await page.getByText("Mend it here").waitFor();
    assert.ok(page.url().includes(`tracking=${tracking}`), page.url());
    // It is let in meanwhile, and the page of the old attempt says so.
    assert.ok((await server.device(...device, key)).accepted);
    await page.getByText("It was let in since,").waitFor();
    await page.getByText("Mend it here").waitFor({ state: "detached" });
    await portal.accessible("an attempt that is over");
    await page.getByRole("link", { name: "How it is now" }).click();
    await page.getByText("It is let in.").waitFor();
    // Its hub has not seen it for two minutes, which is no fault yet.
    await server.muster("dev", "clock", "set", "--offset-seconds", "120");
    await page.locator(".note", { hasText: "Waiting for it to connect to" }).waitFor();
    await find.fill("no-such-thing-anywhere");
    await page.keyboard.press("Enter");
    await page.getByText("Nothing is known of this device").waitFor();
    await page.getByRole("link", { name: "Enroll it", exact: true }).waitFor();
  }),
  story("more devices than the overview shows at once: all are listed, each with what mends it", {}, async (told) => {
    const { server, page, portal } = told;
    const ids = Array.from({ length: 8 }, (_, i) => `heater-${i}`);
    for (const id of ids) {
      await enroll(server, id, newKey());
      await told.refused("--registration-id", id, "--key", newKey(), "--transport", "https");
    }
    await portal.signIn();
    const out = page.getByRole("region", { name: "Devices that are not let in" });
    await out.getByRole("button", { name: "Show all 8" }).click();
    for (const id of ids) await out.getByRole("link", { name: `${id} ` }).getByText("Mend it").waitFor();
    await out.getByRole("button", { name: "Show fewer" }).click();
    // While a hub is down the service is not healthy, well as the server may be.
    await page.getByText("Healthy", { exact: true }).waitFor();
    await page.route("**/health", async (route) => {
      const answer = await route.fetch();
      const health = await answer.json();
      Object.assign(health.linkedHubs[0], { up: false, reason: "unauthorized" });
      await route.fulfill({ response: answer, json: health });
    });
    await page.getByText("Degraded: 1 hub down").waitFor();
    await page.unrouteAll({ behavior: "wait" });
  }),
];

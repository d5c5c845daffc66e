// After a device was let in: somebody deleted it on its hub.
import assert from "node:assert/strict";
import { enroll, newKey, story } from "../harness/mend.mjs";
import { token } from "../harness/seed.mjs";

export default [
  story("a device that its hub does not have any more: its registration is forgotten", { shots: "mend-life-missing" }, async (told) => {
    const { server, page, portal, dialog } = told;
    const key = newKey();
    await enroll(server, "fan-3", key);
    const device = ["--registration-id", "fan-3", "--key", key];
    const { said } = await server.device(...device);
    const hub = /Assigned to (\S+)/.exec(said)[1];
    const policy = /SharedAccessKeyName=([^;]+);SharedAccessKey=(.+)$/.exec(server.env.MUSTER_HUB_CONNECTION_STRING);
    const at = new URL(`/devices/fan-3?api-version=2021-04-12`, `https://${server.env.MUSTER_DEVICE_HOST}:${server.env.MUSTER_HTTPS_PORT}`);
    await server.ask("DELETE", at, undefined, undefined, { Host: hub, "If-Match": "*", Authorization: token(hub, policy[2], Math.floor(Date.now() / 1000) + 600, policy[1]) });
    await portal.signIn();
    // Whoever is told that a device is silent looks for it by its name.
    await page.getByLabel("Find a device by registration id").fill("fan-3");
    await page.keyboard.press("Enter");
    await told.sees("Assigned, but the hub does not have the device");
    await portal.settled();
    await told.picture("2-cause");
    await told.elsewhere();
    await told.press("Forget its registration");
    await told.inDialog("Forget it");
    await page.getByText("Assigned, but the hub does not have the device").waitFor({ state: "detached" });
    const again = await server.device(...device);
    assert.ok(again.accepted, again.said);
    await page.getByText("assigned", { exact: true }).first().waitFor();
    await told.picture("5-let-in");
    assert.equal(await dialog.count(), 0);
  }),
];

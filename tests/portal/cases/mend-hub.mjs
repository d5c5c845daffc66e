// Hubs and allocation: a link whose key was rolled at the hub, and a service without a hub. The hub is that of a second
// server, which is reached as any hub elsewhere is.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { enroll, newKey, story } from "../harness/mend.mjs";
import { start } from "../harness/server.mjs";

let elsewhere;

const link = {
  shots: "mend-hub-link",
  options: ["--host", "127.0.0.1", "--hub", "spare.hub"],
  // The second server's CA is what this server trusts.
  environment: async ({ muster, lasting }) => {
    elsewhere = lasting(await start(muster));
    return { SSL_CERT_FILE: elsewhere.env.MUSTER_CA_FILE };
  },
};

export default [
  story("a link whose key the hub refuses: it gets the right one", link, async (told) => {
    const { server, portal, page, dialog } = told;
    const right = elsewhere.env.MUSTER_HUB_CONNECTION_STRING;
    const wrong = right.replace(/SharedAccessKey=.*/, `SharedAccessKey=${randomBytes(32).toString("base64")}`);
    // A hub that is there refuses a wrong key when it is linked. While it is down it is linked, as if its key was rolled later.
    await server.muster("dev", "fault", "add", "hubDown", "--hub", "localhost", "--id", "down");
    await server.muster("linked-hub", "create", "--connection-string", wrong);
    await server.muster("dev", "fault", "remove", "down");
    const key = newKey();
    await enroll(server, "welder-6", key, "--allocation-policy", "static", "--iot-hubs", "localhost");
    const device = ["--registration-id", "welder-6", "--key", key];
    await told.refused(...device);
    await told.follow("welder-6", "The linked hub refused the service's own key");
    await told.press("Give the link its right key");
    const string = dialog.getByLabel("Connection string");
    await string.fill(right.replace(/HostName=[^;]+/, "HostName=127.0.0.1"));
    await dialog.getByText("This is the string of 127.0.0.1, the link is to localhost.").waitFor();
    assert.ok(await dialog.getByRole("button", { name: "Save" }).isDisabled());
    // As it stands in a note, under that of another hub.
    await string.fill("");
    await page.evaluate((note) => navigator.clipboard.writeText(note), `Hub keys\nbackup: HostName=other.example;SharedAccessKeyName=a;SharedAccessKey=AAAA\nline: "${right}".\n`);
    await string.focus();
    await page.keyboard.press("ControlOrMeta+v");
    assert.equal(await string.inputValue(), right);
    await told.inDialog("Save");
    await portal.toast("localhost is saved");
    await page.getByText("Yes, the link works.").waitFor({ timeout: 30_000 });
    await told.picture("4-mended");
    await told.letIn(...device);
    await page.getByText("assigned to").first().waitFor();
  }),
  story("a webhook that wants its key: its address is corrected", { shots: "mend-hub-webhook" }, async (told) => {
    const { server, page, dialog } = told;
    const hook = createServer((request, answer) => {
      const allowed = request.url.includes("code=right");
      answer.writeHead(allowed ? 200 : 401, { "Content-Type": "application/json" });
      answer.end(allowed ? JSON.stringify({ iotHubHostName: "hub-2.localhost" }) : "{}");
    });
    await new Promise((done) => hook.listen(0, "127.0.0.1", done));
    try {
      const url = `http://127.0.0.1:${hook.address().port}/choose`;
      const key = newKey();
      await enroll(server, "shaper-5", key, "--allocation-policy", "custom", "--webhook-url", url, "--api-version", "2021-10-01");
      const device = ["--registration-id", "shaper-5", "--key", key];
      await told.refused(...device);
      await told.follow("shaper-5", "The webhook answered that it is not authorized");
      await told.press("Change the webhook's address");
      await dialog.getByLabel("Webhook's URL").fill(`${url}?code=right`);
      await told.inDialog("Save");
      await told.letIn(...device);
      await page.getByText("hub-2.localhost").first().waitFor();
    } finally {
      hook.close();
    }
  }),
];

// Networks: a device that does not trust the server, which nobody can name, and one that the rules keep out.
import { execFile } from "node:child_process";
import { enroll, newKey, story } from "../harness/mend.mjs";
import { certificateAuthority } from "../harness/pki.mjs";
import { join } from "node:path";

export default [
  story("a device that does not trust the server: what it lacks is said", { shots: "mend-net-ca" }, async (told) => {
    const { server, page, portal } = told;
    const stale = certificateAuthority(server.folder, "Old Root");
    const { MUSTER_HTTPS_PORT: port, MUSTER_DEVICE_HOST: host } = server.env;
    await new Promise((done) => execFile("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, "-servername", host, "-CAfile", join(stale.folder, "ca.pem"), "-verify_return_error"], { timeout: 20_000 }, done).stdin.end());
    await portal.signIn();
    const line = page.getByRole("region", { name: "Devices that are not let in" }).getByRole("link", { name: /does not trust the server/ });
    await line.waitFor();
    await portal.settled();
    await told.picture("1-overview");
    await line.click();
    await told.sees("The device does not trust the server's certificate");
    await page.getByLabel("the command").filter({ hasText: "muster doctor --host localhost --ca ROOTS.pem" }).waitFor();
    await told.picture("2-cause");
    await told.elsewhere();
  }),
  story("an address that the rules keep out: it is let in", { shots: "mend-net-filter" }, async (told) => {
    const { server } = told;
    const key = newKey();
    await enroll(server, "belt-8", key);
    await ruled(server, [{ filterName: "nobody", action: "Reject", ipMask: "0.0.0.0/0", target: "deviceApi" }]);
    const device = ["--registration-id", "belt-8", "--key", key];
    await told.refused(...device);
    await told.follow("belt-8", "An IP filter rule rejects the device's address");
    await told.press("Let it in by the network rules");
    await told.inDialog("Let it in");
    await told.wouldBeLetIn();
    await told.letIn(...device);
  }),
];

async function ruled(server, ipFilterRules) {
  const { MUSTER_MANAGEMENT_URL: url, MUSTER_BEARER_TOKEN: bearer, MUSTER_RESOURCE_ID: resource } = server.env;
  const at = new URL(`${resource}?api-version=2022-12-12`, url);
  const now = JSON.parse(await server.ask("GET", at, bearer));
  const { location, tags, sku, properties } = now;
  await server.ask("PUT", at, bearer, { location, tags, sku: { name: sku.name, capacity: sku.capacity }, properties: { allocationPolicy: properties.allocationPolicy, iotHubs: properties.iotHubs, ipFilterRules } });
  for (const until = Date.now() + 20_000; Date.now() < until; ) {
    const { properties: there } = JSON.parse(await server.ask("GET", at, bearer));
    if (there.provisioningState === "Succeeded" && there.ipFilterRules.length === ipFilterRules.length) return;
  }
  throw new Error("the rules are not there");
}

// A `muster serve` as an operator sets it up: a certificate of their own CA, a settings file, a hub that another server has.
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serverCertificate } from "./pki.mjs";
import { freePort, readEnv, running, server } from "./server.mjs";

const HOST = "localhost";

/** One whose hub is that of a development server. */
export async function serve(muster, hub) {
  const folder = mkdtempSync(join(tmpdir(), "muster-portal-serve-"));
  const [https, mqtt, amqp, http] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const { chain, key, ca } = serverCertificate(folder, HOST);
  const secret = (name, text) => writeFileSync(join(folder, name), text, { mode: 0o600 });
  writeFileSync(join(folder, "chain.pem"), chain);
  writeFileSync(join(folder, "ca.pem"), ca);
  secret("key.pem", key);
  secret("hub.txt", hub.env.MUSTER_HUB_CONNECTION_STRING);
  copyFileSync(hub.env.MUSTER_CA_FILE, join(folder, "hub-ca.pem"));
  const config = join(folder, "muster.toml");
  writeFileSync(
    config,
    `[server]
data_dir = "data"
[listeners]
bind = "127.0.0.1"
https_port = ${https}
mqtt_port = ${mqtt}
amqp_port = ${amqp}
http_port = ${http}
[[certificate]]
chain = "chain.pem"
key = "key.pem"
[[instance]]
name = "plant"
hosts = ["${HOST}"]
[[instance.hub]]
connection = { file = "hub.txt" }
[hubs]
trusted_ca = "hub-ca.pem"
`,
  );
  const ready = () => fetch(`http://127.0.0.1:${http}/health/ready`).then((answer) => answer.ok, () => false);
  const told = join(folder, "data", "plant.env");
  const stop = await running(muster, ["serve", "--config", config], async () => (await ready()) && existsSync(told));
  const env = {
    ...readEnv(told),
    MUSTER_DEVICE_HOST: HOST,
    MUSTER_HTTPS_PORT: String(https),
    MUSTER_MQTT_PORT: String(mqtt),
    MUSTER_CA_FILE: join(folder, "ca.pem"),
    MUSTER_PORTAL_URL: `https://${HOST}:${https}`,
  };
  const envFile = join(folder, "told.env");
  secret("told.env", Object.entries(env).map(([name, value]) => `${name}='${value}'\n`).join(""));
  const end = async () => (await stop(), rmSync(folder, { recursive: true, force: true }));
  return { ...server(muster, env, envFile, folder, end), plain: `http://127.0.0.1:${http}` };
}

// What the cases find: enrolled devices that registered, some that were refused, and which routes this server has.
import { createHmac, randomBytes } from "node:crypto";
import { request } from "node:https";

export const HOSTILE = {
  html: `<img src=x onerror=alert(1)>`,
  script: `"><script>alert(2)</script>`,
  rtl: `abc\u202Egnp.exe`,
  long: "L".repeat(300),
  quotes: `'" OR 1=1 -- \\`,
};

export async function seed(server) {
  const key = () => randomBytes(48).toString("base64");
  const keys = {};
  for (const id of ["press-1", "press-2", "saw-1"]) {
    keys[id] = { primary: key(), secondary: key() };
    await server.muster("enrollment", "delete", "--registration-id", id).catch(() => undefined);
    await server.muster("enrollment", "create", "--registration-id", id, "--attestation-type", "symmetricKey", "--primary-key", keys[id].primary, "--secondary-key", keys[id].secondary);
  }
  for (const id of ["lathe-7", "drill-9"]) await server.muster("enrollment", "delete", "--registration-id", id).catch(() => undefined);
  await server.provision("press-1", keys["press-1"].primary);
  await server.provision("press-2", keys["press-2"].primary, "https");
  await server.provision("press-1", keys["press-2"].primary);
  const refused = await server.provision("saw-1", key());
  const tracking = /tracking id ([0-9a-f-]{36})/.exec(refused.said)?.[1];
  if (tracking === undefined) throw new Error(`a wrong key was not refused with a tracking id: ${refused.said}`);
  await server.provision("nobody-knows-me", key(), "https");
  for (const id of Object.values(HOSTILE)) await register(server, id);
  return { keys, tracking, has: await routes(server) };
}

/** A SAS token for `resource`, made with a base64 key. */
export function token(resource, key, expiry, policy) {
  const sr = encodeURIComponent(resource);
  const sig = createHmac("sha256", Buffer.from(key, "base64")).update(`${sr}\n${expiry}`).digest("base64");
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${expiry}&skn=${policy}`;
}

/** A register request as bytes, whatever the id is; with a token of its own, or one that no key made. */
export function register(server, id, shown = undefined, idScope = undefined) {
  const { MUSTER_DEVICE_HOST: host, MUSTER_HTTPS_PORT: port, MUSTER_ID_SCOPE: own } = server.env;
  const scope = idScope ?? own;
  const body = JSON.stringify({ registrationId: id });
  return new Promise((done) => {
    const path = `/${scope}/registrations/${encodeURIComponent(id)}/register?api-version=2021-06-01`;
    const sas = shown ?? `SharedAccessSignature sr=${encodeURIComponent(`${scope}/registrations/${id}`)}&sig=AAAA&se=4102444800&skn=registration`;
    const call = request({ host: "127.0.0.1", port, path, method: "PUT", servername: host, rejectUnauthorized: false, headers: { Host: host, "Content-Type": "application/json", Authorization: sas, "Content-Length": Buffer.byteLength(body) } }, (answer) => {
      answer.resume();
      answer.on("end", done);
    });
    call.on("error", done);
    call.end(body);
  });
}

/** Which of the routes that not every build has are there. */
async function routes(server) {
  const { MUSTER_MANAGEMENT_URL: url, MUSTER_BEARER_TOKEN: token, MUSTER_RESOURCE_ID: resource, MUSTER_WORKSPACE_ID: workspace } = server.env;
  const ask = (method, path, body) =>
    new Promise((done, failed) => {
      const call = request(new URL(path, url), { method, rejectUnauthorized: false, headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" } }, (answer) => {
        answer.resume();
        answer.on("end", () => done(answer.statusCode));
      });
      call.on("error", failed);
      call.end(body);
    });
  const diagnosis = `${resource}/providers/Muster.Diagnosis`;
  const version = "?api-version=2026-11-01";
  const asked = {
    queries: ["POST", `/v1/workspaces/${workspace}/query`, '{"query":"print 1"}'],
    causes: ["GET", `${diagnosis}/causes${version}`],
    attempts: ["GET", `${diagnosis}/attempts${version}`],
    inbox: ["GET", `${diagnosis}/inbox${version}`],
    rehearsals: ["POST", `${diagnosis}/rehearsals${version}`, "{}"],
    analysis: ["POST", "/portal/kql", '{"text":"print 1"}'],
    clock: ["GET", "/dev/clock"],
    faults: ["GET", "/dev/faults"],
  };
  const has = new Set();
  for (const [name, [method, path, body]] of Object.entries(asked)) {
    const status = await ask(method, path, body);
    if (status !== 404 && status !== 405 && status !== 501) has.add(name);
  }
  return has;
}

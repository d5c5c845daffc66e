// A storm of registrations, in a process of its own: devices of a group register over HTTPS on connections that stay open, and
// every tenth has a wrong key. Run by `storm` with what it needs as JSON; it ends when its input does, and says how many it made.
import { createHmac, randomBytes } from "node:crypto";
import { Agent, request } from "node:https";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(import.meta.url);
const WRONG_OF = 10;
/** A storm that nobody ends. */
const LONGEST_MS = 300_000;

/** Starts one at that server, of the group of that key. */
export function storm(server, key, clients = 8) {
  const { MUSTER_HTTPS_PORT: port, MUSTER_DEVICE_HOST: host, MUSTER_ID_SCOPE: scope } = server.env;
  const child = spawn(process.execPath, [HERE, JSON.stringify({ port, host, scope, key, clients })], { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk) => (said += chunk));
  const end = new Promise((done) => child.on("exit", done));
  return {
    async stop() {
      child.stdin.end();
      await end;
      return JSON.parse(said || '{"assigned":0,"refused":0,"other":0}');
    },
  };
}

async function blow({ port, host, scope, key, clients }) {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const told = { assigned: 0, refused: 0, other: 0 };
  const run = randomBytes(3).toString("hex");
  let next = 0;
  let over = false;
  process.stdin.on("end", () => (over = true)).resume();
  setTimeout(() => (over = true), LONGEST_MS).unref();

  const register = (id, wrong) =>
    new Promise((done) => {
      const derived = createHmac("sha256", wrong ? randomBytes(32) : Buffer.from(key, "base64")).update(id).digest();
      const resource = encodeURIComponent(`${scope}/registrations/${id}`);
      const expiry = Math.floor(Date.now() / 1000) + 3600;
      const signature = encodeURIComponent(createHmac("sha256", derived).update(`${resource}\n${expiry}`).digest("base64"));
      const body = JSON.stringify({ registrationId: id });
      const call = request(
        {
          host: "127.0.0.1",
          port,
          agent,
          servername: host,
          rejectUnauthorized: false,
          method: "PUT",
          path: `/${scope}/registrations/${id}/register?api-version=2021-06-01`,
          headers: { Host: host, "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body), Authorization: `SharedAccessSignature sr=${resource}&sig=${signature}&se=${expiry}&skn=registration` },
        },
        (answer) => {
          answer.resume();
          answer.on("end", () => done(answer.statusCode));
        },
      );
      call.on("error", () => done(0));
      call.end(body);
    });

  const client = async () => {
    while (!over) {
      const number = next++;
      const status = await register(`storm-${run}-${String(number).padStart(6, "0")}`, number % WRONG_OF === WRONG_OF - 1);
      told[status === 202 ? "assigned" : status === 401 ? "refused" : "other"]++;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
  process.stdout.write(JSON.stringify(told));
}

if (process.argv[1] === HERE) await blow(JSON.parse(process.argv[2]));

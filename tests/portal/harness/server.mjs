// A `muster dev` of the tests' own: free ports, a folder of its own, stopped at the end. Or one that runs already.
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const START_MS = 60_000;
const STOP_MS = 30_000;

export function freePort() {
  return new Promise((done, failed) => {
    const server = createServer();
    server.on("error", failed);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

export function readEnv(path) {
  const lines = readFileSync(path, "utf8").split("\n");
  return Object.fromEntries(
    lines.flatMap((line) => {
      const at = line.indexOf("=");
      return at < 1 ? [] : [[line.slice(0, at), line.slice(at + 1).replace(/^'(.*)'$/, "$1")]];
    }),
  );
}

/** Starts `muster dev`; `options` are further arguments, `more` is added to its environment. With a folder, on what an earlier
 *  one left there, and it stays. */
export async function start(muster, options = [], kept = undefined, more = {}) {
  const folder = kept ?? mkdtempSync(join(tmpdir(), "muster-portal-"));
  const data = join(folder, "data");
  const ports = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const names = ["--https-port", "--mqtt-port", "--amqp-port", "--http-port"];
  const args = ["dev", "--data-dir", data, ...names.flatMap((name, i) => [name, String(ports[i])]), ...options];
  const envFile = join(data, "dev.env");
  const stop = await running(muster, args, (said) => existsSync(envFile) && said.includes("running"), more);
  return server(muster, readEnv(envFile), envFile, folder, kept === undefined ? async () => (await stop(), remove(folder)) : stop);
}

const remove = (folder) => rmSync(folder, { recursive: true, force: true });

/** Starts a program and waits until `ready` likes what it has said; answers what stops it. */
export async function running(program, args, ready, more = {}) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...more } });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said = (said + chunk).slice(-8000)));
  let ended = false;
  const end = new Promise((done) => child.on("exit", () => done((ended = true))));
  const until = Date.now() + START_MS;
  while (!(await ready(said))) {
    if (ended || Date.now() > until) {
      child.kill("SIGKILL");
      throw new Error(`${program} ${args[0]} did not start:\n${said}`);
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  return async () => {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    if (!ended) await end;
    clearTimeout(late);
  };
}

/** A `muster dev` that is full: `wanted` are the options of `muster-bench fill`. Its folder goes with it. */
export async function filled(muster, seeder, wanted, options = []) {
  const folder = mkdtempSync(join(tmpdir(), "muster-portal-"));
  try {
    const first = await start(muster, options, folder);
    await first.stop();
    const instance = first.env.MUSTER_RESOURCE_ID.split("/").pop();
    await run(seeder, ["fill", "--store", join(folder, "data"), "--instance", instance, ...wanted]);
    const full = await start(muster, options, folder);
    return { ...full, stop: async () => (await full.stop(), remove(folder)) };
  } catch (error) {
    remove(folder);
    throw error;
  }
}

/** One that runs, by its dev.env and the address of its portal. */
export function attach(muster, envFile, url) {
  const folder = mkdtempSync(join(tmpdir(), "muster-portal-"));
  return server(muster, { ...readEnv(envFile), MUSTER_PORTAL_URL: url }, envFile, folder, async () => undefined);
}

export function server(muster, env, envFile, folder, stop) {
  return {
    env,
    folder,
    stop,
    portal: `${env.MUSTER_PORTAL_URL.replace(/\/$/, "")}/portal/`,
    /** Asks over HTTPS; answers the body, and fails where the answer is a refusal. */
    ask(method, url, bearer, body = undefined, more = {}) {
      const headers = { ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }), ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...more };
      return new Promise((done, failed) => {
        const call = request(url, { method, rejectUnauthorized: false, servername: env.MUSTER_DEVICE_HOST, headers }, (answer) => {
          let said = "";
          answer.on("data", (chunk) => (said += chunk));
          answer.on("end", () => (answer.statusCode < 300 ? done(said) : failed(new Error(`${method} ${url.pathname}: ${answer.statusCode} ${said}`))));
        });
        call.on("error", failed);
        call.end(body === undefined ? undefined : JSON.stringify(body));
      });
    },
    /** Runs the command line against it; answers what it printed. */
    async muster(...args) {
      const { stdout } = await run(muster, args, { env: { ...process.env, ...env }, cwd: folder, timeout: 60_000 });
      return stdout;
    },
    /** Registers a device by its key; answers whether it was let in, and what was said. */
    provision(id, key, transport = "mqtt") {
      return this.device("--registration-id", id, "--key", key, "--transport", transport);
    },
    /** Registers a device with whatever it has. */
    async device(...options) {
      const args = ["device", "provision", "--dev-env", envFile, ...options];
      try {
        const { stdout } = await run(muster, args, { cwd: folder, timeout: 60_000 });
        return { accepted: true, said: stdout };
      } catch (error) {
        return { accepted: false, said: String(error.stderr ?? error) };
      }
    },
  };
}

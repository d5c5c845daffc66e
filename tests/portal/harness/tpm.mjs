// A TPM 2.0 that is not ours: swtpm, as a process of its own.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_MS = 30_000;

/** Whether there is one to start. */
export function installed() {
  try {
    execFileSync("swtpm", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** A new TPM with keys of its own. */
export async function startTpm() {
  const folder = mkdtempSync(join(tmpdir(), "muster-portal-tpm-"));
  for (let tries = 0; tries < 20; tries++) {
    // The control channel stands one above.
    const port = 20_000 + 2 * Math.floor(Math.random() * 5_000);
    const args = ["socket", "--tpm2", "--tpmstate", `dir=${folder}`, "--server", `type=tcp,port=${port},bindaddr=127.0.0.1`, "--ctrl", `type=tcp,port=${port + 1},bindaddr=127.0.0.1`, "--flags", "not-need-init"];
    const child = spawn("swtpm", args, { stdio: "ignore" });
    let ended = false;
    child.on("exit", () => (ended = true));
    if (await listening(port + 1, () => ended)) return { tcti: `swtpm:host=127.0.0.1,port=${port}`, stop: () => child.kill("SIGKILL") };
    child.kill("SIGKILL");
  }
  throw new Error("swtpm did not start");
}

async function listening(port, ended) {
  const until = Date.now() + START_MS;
  while (!ended() && Date.now() < until) {
    const there = await new Promise((done) => {
      const socket = connect(port, "127.0.0.1", () => (socket.destroy(), done(true)));
      socket.on("error", () => done(false));
    });
    if (there) return true;
    await new Promise((done) => setTimeout(done, 50));
  }
  return false;
}

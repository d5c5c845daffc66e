// Starts a `muster dev`, runs the tests against it, and stops it. A program of its own, since Node reads the CA that it trusts
// (NODE_EXTRA_CA_CERTS) once, at its start.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');

const START_MS = 30_000;

// `dev.env`: lines that a shell can source.
const read = (file) =>
  Object.fromEntries(
    fs.readFileSync(file, 'utf8').trim().split('\n').map((line) => {
      const [key, ...rest] = line.split('=');
      return [key, rest.join('=').replace(/^'|'$/g, '')];
    }));

const ended = (child) => new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'muster-'));
  const more = (process.env.MUSTER_ARGUMENTS ?? '').split(' ').filter(Boolean);
  const server = spawn(process.env.MUSTER ?? 'muster', ['dev', '--data-dir', folder, ...more], { stdio: 'ignore' });
  try {
    const file = path.join(folder, 'dev.env');
    const deadline = Date.now() + START_MS;
    // The SDKs dial ports 443 and 8883: a server that cannot have them ends at once.
    while (!fs.existsSync(file)) {
      if (server.exitCode !== null || Date.now() > deadline) throw new Error('muster dev does not start');
      await pause(50);
    }
    const env = read(file);
    const tests = spawn(process.execPath, ['--test', ...process.argv.slice(2)], {
      stdio: 'inherit',
      env: { ...process.env, ...env, NODE_EXTRA_CA_CERTS: env.MUSTER_CA_FILE },
    });
    process.exitCode = await ended(tests);
  } finally {
    const over = server.exitCode === null ? ended(server) : null;
    server.kill('SIGTERM');
    await over;
    fs.rmSync(folder, { recursive: true });
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});

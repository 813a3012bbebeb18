#!/usr/bin/env node
// Makes a clone ready to run: dependencies, the addon, the compiled TypeScript. Does only what is not done yet, and says nothing then.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lock } from './lock.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OLDEST = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
  fail(`Node ${process.versions.node} is too old: wireguard-ts needs ${OLDEST.join('.')} or newer.`);
if (process.platform !== 'linux') fail('wireguard-ts is for Linux: it needs its TUN device and network namespaces.');

// `npm test` and a demo in a new clone at the same time: one builds, the other waits
const unlock = await lock(ROOT);

// what npm itself leaves behind when an installation is whole
const installed = join(ROOT, 'node_modules/.package-lock.json');
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(ROOT, 'package-lock.json')).mtimeMs) {
  // npm would try for more than a minute
  const outside = Object.values(networkInterfaces()).flat();
  if (outside.every(address => address.internal))
    fail(
      'the dependencies are not installed, and there is no network here: run `npm ci` first, outside of this namespace.',
    );
  run('installing dependencies', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}
run('looking for the addon', process.execPath, [join(ROOT, 'scripts/build-native.mjs')], true);
run('compiling', process.execPath, [join(ROOT, 'scripts/compile.mjs')], true);
run('bundling', process.execPath, [join(ROOT, 'scripts/bundle.mjs')], true);
await unlock();

function run(what, program, args, quiet = false) {
  if (!quiet) console.error(`wireguard-ts: ${what} ...`);
  // whatever it prints goes to stderr: our caller's output is its own
  const { status, error } = spawnSync(program, args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (error || status !== 0) fail(`${what} failed${error ? `: ${error.message}` : ''}.`);
}

function fail(message) {
  console.error(`wireguard-ts: ${message}`);
  process.exit(1);
}

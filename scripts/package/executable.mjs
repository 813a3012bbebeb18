#!/usr/bin/env node
// `executable.mjs ARCH OUT` writes the single executable for Linux on ARCH (x64 or arm64, with
// glibc 2.28 or newer) to the file OUT. It contains an official Node of a pinned version, the
// bundle (scripts/bundle.mjs), the prebuilt addon, and for x64 Debian's libIPSec_MB. The same
// commit gives the same bytes on every machine, because everything downloaded is pinned by SHA-256.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ipsecMb } from './ipsec-mb.mjs';
import { officialNode } from './node.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUNDLE = 'dist/program';
/**
 * The mark in a Node binary that postject changes, so that Node knows that it contains a program
 * (Node's documentation, "Single executable applications").
 */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const [arch, out] = process.argv.slice(2);
if (!['x64', 'arm64'].includes(arch) || out === undefined) fail('Usage: executable.mjs x64|arm64 OUT');
const addon = join(ROOT, `native/prebuilt/linux-${arch}-glibc.node`);
for (const [path, how] of [
  [join(ROOT, BUNDLE, 'THIRD-PARTY-LICENSES.txt'), 'npm run build'],
  [join(ROOT, 'node_modules/postject/dist/api.js'), 'npm ci'],
  [addon, 'npm run prebuild'],
])
  if (!existsSync(path)) fail(`${path} is missing; run: ${how}`);

const folder = mkdtempSync(join(tmpdir(), 'wireguard-ts-executable-'));
try {
  writeAtomically(resolve(out), await inject(readFileSync(await officialNode(arch)), await blob()));
} catch (error) {
  fail(error.message);
} finally {
  rmSync(folder, { recursive: true });
}

/**
 * Makes the blob that Node expects. Only a Node of exactly the executable's version can make it;
 * this one is for this machine's architecture.
 */
async function blob() {
  const names = readdirSync(join(ROOT, BUNDLE)).sort();
  const library = arch === 'x64' ? { 'libIPSec_MB.so.1': await ipsecMb() } : {};
  // `--version --verbose` prints the commit.
  const { stdout: commit = '' } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' });
  writeFileSync(join(folder, 'COMMIT'), commit);
  const config = {
    // Relative to ROOT, because this path is written into the executable.
    main: 'scripts/package/executable-main.cjs',
    output: join(folder, 'blob'),
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    useCodeCache: false,
    // No signal may open the debugger, not even at Node's start; see src/io/inspector-off.ts.
    execArgv: ['--disable-sigusr1', '--inspect-port=[fe80::1]:9229'],
    // Ignore NODE_OPTIONS: the environment must not add code to a program that root runs.
    execArgvExtension: 'none',
    assets: {
      ...Object.fromEntries(names.map(name => [`${BUNDLE}/${name}`, join(ROOT, BUNDLE, name)])),
      'package.json': join(ROOT, 'package.json'),
      LICENSE: join(ROOT, 'LICENSE'),
      COMMIT: join(folder, 'COMMIT'),
      'wireguard.node': addon,
      ...library,
    },
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const node = await officialNode(process.arch);
  const { status, stderr, error } = spawnSync(node, ['--experimental-sea-config', join(folder, 'config.json')], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (error || status !== 0) throw new Error(`${node} cannot make the blob: ${error?.message ?? stderr}`);
  return readFileSync(config.output);
}

async function inject(node, program) {
  const { inject } = await import('postject');
  const path = join(folder, 'node');
  writeFileSync(path, node);
  await quietly(() => inject(path, 'NODE_SEA_BLOB', program, { sentinelFuse: FUSE }));
  return readFileSync(path);
}

/** Silences LIEF, a part of postject, which warns about a section name in every Node. */
async function quietly(work) {
  const { log, warn, error } = console;
  Object.assign(console, { log() {}, warn() {}, error() {} });
  try {
    await work();
  } finally {
    Object.assign(console, { log, warn, error });
  }
}

function writeAtomically(path, bytes) {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, bytes);
  chmodSync(temporary, 0o755);
  renameSync(temporary, path);
  const hash = createHash('sha256').update(bytes).digest('hex');
  console.log(`${path}: ${(bytes.length / 1e6).toFixed(1)} MB, sha256 ${hash}`);
}

function fail(message) {
  console.error(`executable: ${message}`);
  process.exit(1);
}

/**
 * scripts/build-native.mjs compiles only if native/prebuilt does not work here, and says why if it
 * cannot.
 */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { prebuiltName } from '../../src/io/addon-file.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const NONE = '/nonexistent/cc';

let folder: string;
let compiler: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-build-native-'));
  for (const name of ['scripts/build-native.mjs', 'scripts/node-version.mjs', 'scripts/addon', 'native'])
    cpSync(join(ROOT, name), join(folder, name), {
      recursive: true,
      filter: path => path !== join(ROOT, 'native/build'),
    });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  compiler = join(folder, 'cc');
  // It writes to the path after -o.
  writeFileSync(
    compiler,
    '#!/bin/sh\nwhile [ $# -gt 0 ]; do [ "$1" != -o ] || { echo compiled >"$2"; exit; }; shift; done\n',
    { mode: 0o755 },
  );
});
afterEach(() => rmSync(folder, { recursive: true }));

const prebuilt = () => join(folder, `native/prebuilt/${prebuiltName()}.node`);
const built = () => existsSync(join(folder, 'native/build/wireguard.node'));

function build(cc: string, env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/build-native.mjs'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, WGTS_REBUILD: '', ...env, CC: cc },
  });
  return { status, said: stdout + stderr };
}

test('with a fitting prebuilt addon nothing is compiled or printed', () => {
  expect(build(compiler)).toEqual({ status: 0, said: '' });
  expect(build(NONE)).toEqual({ status: 0, said: '' });
  expect(existsSync(join(folder, 'native/build'))).toBe(false);
});

test.each([
  ['damaged', () => appendFileSync(prebuilt(), 'x'), /native\/prebuilt\/\S+ is damaged/],
  ['truncated', () => writeFileSync(prebuilt(), 'short'), /native\/prebuilt\/\S+ is damaged/],
  ['missing', () => rmSync(prebuilt()), /native\/prebuilt\/\S+ cannot be loaded \(ENOENT/],
  [
    'of other sources',
    () => appendFileSync(join(folder, 'native/sum.c'), '\n'),
    /not built from the current C sources/,
  ],
  ['without its manifest', () => rmSync(join(folder, 'native/prebuilt/manifest.json')), /cannot be read \(ENOENT/],
] as const)('with one that is %s the compiler makes another, or a message says what to do', (_, spoil, sentence) => {
  spoil();
  // The other libc's file for this processor does not load either, and must not be reported.
  const without = build(NONE);
  expect(without.status).toBe(0);
  expect(without.said).toMatch(sentence);
  expect(without.said).toMatch(/no C compiler \(`\/nonexistent\/cc'\).*\n.*apt-get install gcc libc6-dev/);
  expect(built()).toBe(false);
  expect(build(compiler)).toEqual({ status: 0, said: '' });
  expect(built()).toBe(true);
  // not built again
  expect(build(NONE)).toEqual({ status: 0, said: '' });
});

test('the prebuilt addon replaces one that was built from other sources', () => {
  mkdirSync(join(folder, 'native/build'));
  writeFileSync(join(folder, 'native/build/wireguard.node'), 'old');
  writeFileSync(join(folder, 'native/build/sources.sha256'), 'old\n');
  expect(build(NONE)).toEqual({ status: 0, said: '' });
  expect(built()).toBe(false);
});

test('WGTS_REBUILD=1 compiles in any case, and fails without a compiler', () => {
  const failed = build(NONE, { WGTS_REBUILD: '1' });
  expect(failed.status).toBe(1);
  expect(failed.said).toMatch(/WGTS_REBUILD=1 is set, and there is no C compiler/);
  expect(build(compiler, { WGTS_REBUILD: '1' })).toEqual({ status: 0, said: '' });
  expect(built()).toBe(true);
});

test('missing headers are reported in one sentence, instead of once per file by the compiler', () => {
  const bare = join(folder, 'bare-cc');
  writeFileSync(bare, '#!/bin/sh\n[ "$1" = --version ] || { echo "fatal error: stdio.h" >&2; exit 1; }\n', {
    mode: 0o755,
  });
  const system = build(bare, { WGTS_REBUILD: '1' });
  expect(system.status).toBe(1);
  expect(system.said).toMatch(
    /^wireguard-ts: .* headers of the C library or of Linux are missing\. Install .*libc6-dev.*\n$/,
  );
  rmSync(join(folder, 'node_modules'));
  const own = build(compiler, { WGTS_REBUILD: '1' });
  expect([own.status, own.said]).toEqual([
    1,
    "wireguard-ts: WGTS_REBUILD=1 is set, and to build the addon Node-API's headers are missing: run npm ci\n",
  ]);
  expect(built()).toBe(false);
});

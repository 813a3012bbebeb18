/**
 * The messages for an old Node: one sentence. Node 12, which Debian 11 and Ubuntu 22.04 have,
 * cannot parse today's syntax, so the first files it reads use none. Here a current Node pretends
 * to be old; whether an old one parses these files is tested by hand.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'wgts-old-node-'));
afterAll(() => rmSync(folder, { recursive: true }));

const PROGRAMS = [
  ['wgts', 'bin/wgts'],
  ['wireguard-ts', 'bin/wireguard-ts'],
  ['wireguard-ts', 'scripts/ready.mjs'],
  ['wireguard-ts', 'scripts/demo.mjs'],
  ['wireguard-ts', 'scripts/demo-calico.mjs'],
  ['wireguard-ts', 'scripts/build-native.mjs'],
] as const;

/** Runs a program with a `node` in PATH that reports this version. */
function runAs(version: string, file: string) {
  const pretend = join(folder, 'pretend.cjs');
  writeFileSync(pretend, `Object.defineProperty(process.versions, 'node', { value: '${version}' });\n`);
  writeFileSync(join(folder, 'node'), `#!/bin/sh\nexec '${process.execPath}' -r '${pretend}' "$@"\n`, { mode: 0o755 });
  const [program, ...args] = file.startsWith('bin/') ? [file, '--version'] : ['node', file];
  const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` };
  const { status, stdout, stderr } = spawnSync(program!, args, { cwd: ROOT, env, encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

describe.each(PROGRAMS)('%s: %s', (name, file) => {
  test.each(['12.22.12', '18.20.8', '20.18.3'])('Node %s is too old', version => {
    const { status, said } = runAs(version, file);
    expect([status, said]).toEqual([
      1,
      `${name}: Node ${version} is too old: 20.19 or newer is needed (npm install -g n && n lts, or https://nodejs.org)\n`,
    ]);
  });

  test('uses only syntax that Node 12 can parse', () => {
    expect(readFileSync(join(ROOT, file), 'utf8')).not.toMatch(/\?\?|\?\.|^await |\|\|=|&&=/m);
  });
});

test.each(['20.19.0', '22.1.0', '100.0.0'])('Node %s is new enough', version => {
  expect(runAs(version, 'bin/wgts')).toEqual({ status: 0, said: expect.stringMatching(/^wireguard-ts v/) });
  expect(runAs(version, 'scripts/node-version.mjs')).toEqual({ status: 0, said: '' });
});

test('the oldest is the one of package.json', () => {
  expect(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).engines.node).toBe('>=20.19');
});

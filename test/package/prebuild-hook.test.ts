/**
 * npm runs the script `prebuild` before `build`: building must not need the cross compiler, but
 * `npm run prebuild` must use it.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'wgts-prebuild-hook-'));
afterAll(() => rmSync(folder, { recursive: true }));

for (const name of ['scripts/prebuild.mjs', 'scripts/addon', 'native'])
  cpSync(join(ROOT, name), join(folder, name), { recursive: true });
symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
const scripts = { prebuild: 'node scripts/prebuild.mjs', build: 'echo built' };
writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'any', type: 'module', scripts }));
// Simulate a machine on which the compiler cannot be installed.
mkdirSync(join(folder, 'bin'));
writeFileSync(join(folder, 'bin/python3'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });

function npm(...args: string[]) {
  return spawnSync('npm', args, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${folder}/bin:${process.env['PATH']}`, XDG_CACHE_HOME: join(folder, 'cache') },
  });
}

test.each([
  ['run', 'build'],
  ['run', '--silent', 'build'],
  ['run-script', 'build'],
])('npm %s %s %s', (...args) => {
  const { status, stdout, stderr } = npm(...args.filter(Boolean));
  expect(stderr).not.toMatch(/could not be installed/);
  expect(stdout).toMatch(/built/);
  expect(status).toBe(0);
});

test.each([
  ['run', 'prebuild'],
  ['run', '-s', 'prebuild'],
  ['run', 'prebuild', '--', '--check'],
])('npm %s %s %s %s', (...args) => {
  const { status, stderr } = npm(...args.filter(Boolean));
  expect(stderr).toMatch(/prebuild: ziglang [\d.]+ could not be installed; it needs pip/);
  expect(status).toBe(1);
});

#!/usr/bin/env node
// Compiles src, bench and test into dist, and makes its programs executable, which tsc does not do.
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const { status, error } = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-b'], {
  cwd: ROOT,
  stdio: 'inherit',
});
if (error) console.error(`wireguard-ts: tsc could not be run (${error.message}); run: npm ci`);
if (error || status !== 0) process.exit(1);

const programs = join(ROOT, 'dist/cli');
for (const name of readdirSync(programs).filter(name => name.endsWith('.js'))) {
  const path = join(programs, name);
  const executable = (statSync(path).mode & 0o111) === 0o111;
  if (!executable && readFileSync(path, 'latin1').startsWith('#!')) chmodSync(path, 0o755);
}

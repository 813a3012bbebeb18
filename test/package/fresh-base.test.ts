/**
 * test/fresh/base makes a Debian once, however many tests need it at the same time, and again after
 * one that was interrupted. A stand-in takes the place of ../shared/tools/fresh.
 */
import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { testWith } from '../netns/needs.ts';

const BASE = fileURLToPath(new URL('../fresh/base', import.meta.url));
/** As the real one, it removes what is half made, and fails if another one works on it. */
const STAND_IN = `#!/bin/bash
set -e
base=$XDG_CACHE_HOME/fresh/$1
[ -e "$base/.ready" ] && exit 0
rm -rf "$base"
mkdir "$base"
echo made >>"$XDG_CACHE_HOME/log"
sleep 0.3
[ -d "$base" ]
touch "$base/.ready"
`;

let folder: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-fresh-'));
  env = { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') };
  for (const name of ['cache', 'shared/tools', 'main/test/fresh']) mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(BASE, join(folder, 'main/test/fresh/base'));
  writeFileSync(join(folder, 'shared/tools/fresh'), STAND_IN, { mode: 0o755 });
});
afterEach(() => rmSync(folder, { recursive: true }));

const base = () => join(folder, 'main/test/fresh/base');

test('two that need the same Debian wait for one another', async () => {
  await Promise.all([1, 2, 3].map(() => promisify(execFile)(base(), ['trixie'], { env })));
  expect(readFileSync(join(folder, 'cache/log'), 'utf8')).toBe('made\n');
  expect(existsSync(join(folder, 'cache/fresh/trixie/.ready'))).toBe(true);
});

testWith(['root', 'unshare'], 'one that was interrupted, with file systems mounted in it, is made again', () => {
  const proc = join(folder, 'cache/fresh/trixie/proc');
  mkdirSync(proc, { recursive: true });
  // in a mount namespace of its own; a file system that refuses to be emptied, as /proc does
  const commands = `mount -t proc proc ${proc} && mount -t proc proc ${proc} && exec ${base()} trixie`;
  execFileSync('unshare', ['--mount', '--pid', '--fork', 'bash', '-c', commands], { env });
  expect(existsSync(join(folder, 'cache/fresh/trixie/.ready'))).toBe(true);
});

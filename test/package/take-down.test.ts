/**
 * The script that a package runs before the program is removed (packaging/take-down), on a folder
 * instead of the system.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { testWith } from '../netns/needs.ts';

test('the command line of another user cannot send control sequences to the terminal of root', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'wgts-take-down-'));
  const program = join(folder, 'wgts');
  copyFileSync(realpathSync('/bin/sh'), program);
  const script = readFileSync(new URL('../../packaging/take-down', import.meta.url), 'utf8')
    .replaceAll('/usr/bin/wgts', program)
    .replaceAll(' /run/', ` ${folder}/run/`);
  const words = [
    '-c',
    'echo; read -r _',
    'wgts',
    'plain',
    '\x1b]0;owned\x07',
    '\x9b31m',
    '\\033[31m',
    '\nroot: all is well',
  ];
  const process = spawn(program, words, { stdio: ['pipe', 'pipe', 'ignore'] });
  try {
    await once(process.stdout, 'data');
    const { status, stdout, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
    const said = `wireguard-ts: process ${process.pid} still runs (${program} -c echo; read -r _ wgts plain `;
    expect([status, stdout, stderr.slice(0, said.length)]).toEqual([0, '', said]);
    expect(stderr).toContain('\\033[31m');
    expect(stderr).toMatch(/^[ -~]+\n$/);
  } finally {
    process.stdin.end();
    rmSync(folder, { recursive: true });
  }
});

testWith(
  ['root', 'unshare', 'namespaces'],
  'an interface in another network namespace is taken down there',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wgts-take-down-'));
    const program = join(folder, 'wgts');
    writeFileSync(program, `#!/bin/sh\necho "$(readlink /proc/self/ns/net) $*" >>${folder}/done\n`, { mode: 0o755 });
    const script = readFileSync(new URL('../../packaging/take-down', import.meta.url), 'utf8')
      .replaceAll('/usr/bin/wgts', program)
      .replaceAll(' /run/', ` ${folder}/run/`);
    const there = spawn('unshare', ['-n', 'sh', '-c', 'echo; read -r _'], { stdio: ['pipe', 'pipe', 'ignore'] });
    try {
      await once(there.stdout, 'data');
      const states = join(folder, 'run/wireguard-ts');
      mkdirSync(states, { recursive: true });
      const [ours, theirs] = ['self', there.pid].map(pid => readlinkSync(`/proc/${pid}/ns/net`));
      for (const [name, namespace] of [
        ['wg.0', theirs!],
        ['wg1', ours!],
        ['gone', 'net:[1]'],
      ] as const)
        writeFileSync(join(states, `${name}.${namespace.replace(/\D/g, '')}.json`), '');
      expect(spawnSync('sh', ['-c', script], { encoding: 'utf8' }).status).toBe(0);
      const done = readFileSync(join(folder, 'done'), 'utf8').trim().split('\n').sort();
      expect(done).toEqual([`${ours} down wg1`, `${theirs} down wg.0`].sort());
    } finally {
      there.stdin.end();
      rmSync(folder, { recursive: true });
    }
  },
);

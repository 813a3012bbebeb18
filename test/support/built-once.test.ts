/**
 * Two processes can fetch or build the same thing at the same time in an empty cache: it is made
 * once, and both get it complete (scripts/lock.mjs).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lock } from '../../scripts/lock.mjs';
import { until } from '../netns/command.ts';
import { builtOnce } from './built-once.ts';

const LOCK = fileURLToPath(new URL('../../scripts/lock.mjs', import.meta.url));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-once-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/**
 * Starts a process that takes the lock, prints that, and holds the lock until its input or the
 * process ends.
 */
function holder(): ChildProcess {
  const script = `
    import { lock } from ${JSON.stringify(LOCK)};
    const unlock = await lock(${JSON.stringify(folder)});
    console.log('held');
    for await (const _ of process.stdin);
    await unlock();
  `;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
}

test.each(['ends', 'SIGKILL'] as const)('the lock is released when its holder is gone: %s', async how => {
  const first = holder();
  await once(first.stdout!, 'data');
  const order: string[] = [];
  const second = holder();
  const held = once(second.stdout!, 'data').then(() => order.push('second'));
  const waiting = lock(folder).then(unlock => {
    order.push('third');
    return unlock();
  });
  // Both wait for the lock.
  await until('both to wait', () => waitersFor(first.pid!) >= 2);
  expect(order).toEqual([]);
  order.push('first ended');
  if (how === 'ends') first.stdin!.end();
  else first.kill('SIGKILL');
  second.stdin!.end();
  await Promise.all([held, waiting]);
  expect(order[0]).toBe('first ended');
  expect(order.slice(1).sort()).toEqual(['second', 'third']);
  expect(readdirSync(folder), 'left behind').toEqual([]);
});

test('four builders of one program build it once, and all get it complete', async () => {
  let builds = 0;
  const build = async (program: string): Promise<void> => {
    builds++;
    const writer = spawn('sh', ['-c', `for part in 1 2 3; do echo $part >>"$0"; sleep 0.1; done`, program]);
    await once(writer, 'close');
  };
  const programs = await Promise.all(Array.from({ length: 4 }, () => builtOnce('made', build, folder)));
  expect(new Set(programs)).toEqual(new Set([join(folder, 'made')]));
  expect([builds, readFileSync(programs[0]!, 'utf8')]).toEqual([1, '1\n2\n3\n']);
  expect(readdirSync(folder)).toEqual(['made']);
});

test('a failed build leaves no broken program behind, and the next one builds', async () => {
  const fails = (): never => {
    throw new Error('no compiler');
  };
  await expect(builtOnce('made', fails, folder)).rejects.toThrow('no compiler');
  expect(readdirSync(folder)).toEqual([]);
  const made = await builtOnce('made', async program => void (await once(spawn('touch', [program]), 'close')), folder);
  expect(existsSync(made)).toBe(true);
});

/**
 * Counts the processes that wait for a lock held by one of `pid`'s children: /proc/locks lists the
 * holder, then the waiting processes.
 */
function waitersFor(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  const lines = readFileSync('/proc/locks', 'utf8').split('\n');
  const held = lines.find(line => /^\d+: FLOCK/.test(line) && children.includes(line.split(/\s+/)[4]!));
  const number = held?.split(':')[0];
  return lines.filter(line => line.split(/: +-> /)[0] === number).length;
}

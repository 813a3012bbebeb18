/**
 * A program that does not end is killed with its children. Processes that it leaves behind on
 * purpose are not waited for.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { interruptChildren } from '../../src/host/child.ts';
import { runProgram } from '../../src/host/program.ts';

let folder: string;
let pid: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-program-'));
  pid = join(folder, 'pid');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const started = () => readFileSync(pid, 'utf8').trim();
/** Reports whether the process has ended, even if no parent has waited for it. */
const hasEnded = () =>
  !existsSync(`/proc/${started()}`) || /^State:\tZ/m.test(readFileSync(`/proc/${started()}/status`, 'utf8'));

test('a program is killed at its time limit', async () => {
  const hanging = runProgram('/bin/sh', ['-c', `sleep 1000 & echo $! >${pid}; wait`], { limit: 300 });
  await expect(hanging).rejects.toThrow(/^\/bin\/sh -c .* did not end within 0.3 s and was killed$/);
  await expect.poll(hasEnded).toBe(true);
});

test('an interrupt ends a program, also one that ignores SIGTERM', async () => {
  for (const trap of ['', "trap '' TERM; "]) {
    rmSync(pid, { force: true });
    const hanging = runProgram('/bin/sh', ['-c', `${trap}sleep 1000 & echo $! >${pid}; while :; do sleep 1; done`]);
    const ended = expect(hanging).rejects.toThrow(/ended with SIG(TERM|KILL)$/);
    await expect.poll(() => existsSync(pid) && started() !== '').toBe(true);
    interruptChildren();
    await ended;
    if (!hasEnded()) process.kill(Number(started()), 'SIGKILL');
  }
});

test('a program may ignore its input, be missing, or leave a process behind', async () => {
  await runProgram('/bin/sh', ['-c', `sleep 1000 & echo $! >${pid}`], { input: 'x'.repeat(200_000) });
  process.kill(Number(started()), 'SIGKILL');
  await expect(runProgram(join(folder, 'nothing'), [])).rejects.toMatchObject({ code: 'EPROGRAM' });
});

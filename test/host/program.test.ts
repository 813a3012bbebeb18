/** A program that does not end is ended, with what it started; what it leaves behind on purpose is not waited for. */
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
/** Also before anything waits for it. */
const hasEnded = () =>
  !existsSync(`/proc/${started()}`) || /^State:\tZ/m.test(readFileSync(`/proc/${started()}/status`, 'utf8'));

test('after its time', async () => {
  const hanging = runProgram('/bin/sh', ['-c', `sleep 1000 & echo $! >${pid}; wait`], { limit: 300 });
  await expect(hanging).rejects.toThrow(/^\/bin\/sh -c .* did not end within 0.3 s and was killed$/);
  await expect.poll(hasEnded).toBe(true);
});

test('when it is interrupted, and once more where it does not listen', async () => {
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

test('one that reads nothing, is not there, or leaves another behind', async () => {
  await runProgram('/bin/sh', ['-c', `sleep 1000 & echo $! >${pid}`], { input: 'x'.repeat(200_000) });
  process.kill(Number(started()), 'SIGKILL');
  await expect(runProgram(join(folder, 'nothing'), [])).rejects.toMatchObject({ code: 'EPROGRAM' });
});

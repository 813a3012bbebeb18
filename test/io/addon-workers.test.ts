/**
 * The addon in worker threads of a process whose main thread does not load it. When the last worker
 * that uses it ends, Node releases it, and the next worker loads it again. Its helper threads live
 * on. Whatever a worker left open is closed with it.
 *
 * @module-tag slow
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { addonPath } from '../../src/io/native-binding.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { HANG_MS } from '../support/patience.ts';

const PROGRAM = fileURLToPath(new URL('addon-worker.mjs', import.meta.url));
const ADDON = addonPath();
const LIMIT = HANG_MS;

interface State {
  /** TUN devices of workers. */
  readonly devices: number;
  readonly descriptors: number;
  readonly threads: number;
}

interface Outcome {
  readonly results: readonly string[];
  readonly before: State;
  readonly after: State;
}

/** Runs the program. @throws Error if it does not end by itself, or fails */
function run(how: string, count: number): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, ADDON, how, String(count)], { stdio: ['ignore', 'pipe', 'pipe'] });
    const end = setTimeout(() => child.kill('SIGKILL'), LIMIT);
    let [printed, errors] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.once('close', (code, signal) => {
      clearTimeout(end);
      if (code === 0) resolve(JSON.parse(printed) as Outcome);
      else reject(new Error(`${how}: ended with ${code ?? signal} ${printed}${errors}`));
    });
  });
}

inOwnNamespace(
  import.meta.url,
  [],
  () => {
    test.each([
      ['in-turn', 30, 'right'],
      ['at-once', 8, 'right'],
      ['terminate', 10, 'terminated'],
    ] as const)(
      'workers, %s: %i of them work and end, and leave nothing behind',
      async (how, count, said) => {
        const { results, before, after } = await run(how, count);
        expect(results).toEqual(new Array(count).fill(said));
        expect(after).toEqual(before);
        expect(after.devices).toBe(0);
      },
      LIMIT + 10_000,
    );

    test(
      'a process exits while workers are at work',
      async () => {
        expect((await run('exit', 4)).results).toEqual([]);
      },
      LIMIT + 10_000,
    );
  },
  { limit: 4 * LIMIT },
);

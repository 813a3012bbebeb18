/**
 * Runs tests that must open network devices in their own process inside a new network namespace.
 * Outside of one, the file's only test starts vitest again inside, for this file alone, and passes
 * if that run does.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'vitest';
import { describeWith } from '../netns/needs.ts';
import type { Need } from './machine.ts';

const VARIABLE = 'WGTS_OWN_NAMESPACE';
/**
 * A command line, as JSON, that runs vitest with workers of another architecture
 * (scripts/test-arm64.mjs).
 */
const EMULATED = 'WGTS_EMULATED_VITEST';
const LIMIT_MS = 600_000;

export interface OwnNamespaceOptions {
  /** Milliseconds. */
  readonly limit?: number;
  /** Output lines with this prefix are shown here too, for measurements. */
  readonly show?: string;
}

/** @param url the test file's import.meta.url */
export function inOwnNamespace(
  url: string,
  needs: readonly Need[],
  body: () => void,
  { limit = LIMIT_MS, show }: OwnNamespaceOptions = {},
): void {
  if (process.env[VARIABLE] === '1') {
    body();
    return;
  }
  describeWith(['tun', 'namespaces', 'ip', ...needs], 'in a network namespace of its own', () => {
    test(
      'all tests of this file',
      async () => {
        const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
        const root = process.getuid?.() === 0 ? [] : ['-Ur'];
        const emulated = process.env[EMULATED];
        const runner = emulated ? (JSON.parse(emulated) as string[]) : [process.execPath, vitest, 'run'];
        const args = [...root, '-n', ...runner, fileURLToPath(url)];
        const { status, output } = await ended('unshare', args, limit);
        const passed = /Tests\s.*?([0-9]+) passed/.exec(output);
        if (status !== 0 || !passed) throw new Error(`ended with ${status}\n${output}`);
        if (show !== undefined)
          for (const line of output.split('\n')) if (line.startsWith(show)) process.stderr.write(`${line}\n`);
        console.log(`${passed[1]} tests passed in there`);
      },
      limit + 10_000,
    );
  });
}

/** Does not block like spawnSync: vitest expects a message from us every minute. */
function ended(
  program: string,
  args: readonly string[],
  limit: number,
): Promise<{ readonly status: number | string; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, [VARIABLE]: '1', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    const end = setTimeout(() => child.kill(), limit);
    const kill = setTimeout(() => child.kill('SIGKILL'), limit + 5000);
    const forget = (): void => void process.off('exit', die);
    const die = (): void => void child.kill();
    process.once('exit', die);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(end);
      clearTimeout(kill);
      forget();
      resolve({ status: code ?? signal ?? 'nothing', output });
    });
  });
}

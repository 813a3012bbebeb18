/**
 * Tests that must open network devices in their own process run in a network namespace made for them: outside of one, the file's
 * only test starts vitest again inside, for this file alone, and is as good as what comes out.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'vitest';
import { describeWith } from '../netns/needs.ts';

const VARIABLE = 'WGTS_OWN_NAMESPACE';
const LIMIT = 120_000;

/** @param url the test file's import.meta.url */
export function inOwnNamespace(url: string, needs: readonly string[], body: () => void): void {
  if (process.env[VARIABLE] === '1') {
    body();
    return;
  }
  describeWith(['tun', 'unshare', 'ip', ...needs], 'in a network namespace of its own', () => {
    test(
      'all tests of this file',
      () => {
        const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
        const root = process.getuid?.() === 0 ? [] : ['-Ur'];
        const args = [...root, '-n', process.execPath, vitest, 'run', fileURLToPath(url)];
        const run = spawnSync('unshare', args, {
          env: { ...process.env, [VARIABLE]: '1', NO_COLOR: '1' },
          encoding: 'utf8',
          timeout: LIMIT,
        });
        const passed = /Tests\s.*?([0-9]+) passed/.exec(run.stdout ?? '');
        if (run.status !== 0 || !passed) throw new Error(`${run.error ?? ''}\n${run.stdout}\n${run.stderr}`);
        console.log(`${passed[1]} tests passed in there`);
      },
      LIMIT + 5000,
    );
  });
}

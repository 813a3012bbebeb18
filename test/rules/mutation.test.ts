/**
 * The tests that judge mutants (mutation/folders.mjs) run in the harness of mutation/, which has
 * only a part of vitest. The mutants themselves need hours: docs/mutation.md.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { REPOSITORY } from '../support/guide.ts';

const MUTATION = join(REPOSITORY, 'mutation');
const folder = mkdtempSync(join(tmpdir(), 'wgts-mutation-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the tests of two folders pass in the harness', () => {
  const { status, stdout, stderr } = node([join(MUTATION, 'dry-run.mjs'), 'routing', 'packet']);
  expect([stderr, status]).toEqual(['', 0]);
  const counts = [...stdout.matchAll(/^(routing|packet): (\d+) tests/gm)].map(([, name, count]) => [
    name,
    Number(count),
  ]);
  expect(counts).toEqual([
    ['routing', expect.any(Number)],
    ['packet', expect.any(Number)],
  ]);
  expect(counts.every(([, count]) => Number(count) > 10)).toBe(true);
});

test('the harness finds a failing test, and runs it again', () => {
  const file = join(folder, 'odd.test.ts');
  writeFileSync(
    file,
    `import { beforeEach, describe, expect, test } from 'vitest';
let calls: number = 0;
describe('a suite', () => {
  beforeEach(() => { calls++; });
  test.each([1, 9])('call %i', wanted => expect(calls).toBe(wanted));
  test('slow', { tags: ['slow'] }, () => {});
});
`,
  );
  const script = `import { importTypeScript } from '${pathToFileURL(join(MUTATION, 'typescript-hooks.mjs'))}';
importTypeScript();
const { loadTests, runTest } = await import('${pathToFileURL(join(MUTATION, 'harness.mjs'))}');
const tests = await loadTests('odd', '${pathToFileURL(file)}');
for (const test of [...tests, ...tests]) console.log(test.id, (await runTest(test)) === undefined);
`;
  const { stdout, stderr } = node(['--input-type=module', '-e', script]);
  expect(stderr).toBe('');
  expect(stdout.trim().split('\n')).toEqual([
    'odd#a suite > call 1 [0] true',
    'odd#a suite > call 9 [1] false',
    'odd#a suite > call 1 [0] false',
    'odd#a suite > call 9 [1] false',
  ]);
});

function node(args: readonly string[]) {
  return spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } });
}

/**
 * The summary of tests that a run skipped (test/support/skip-summary.ts) lists every test that
 * lacks something.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../support/built-once.ts';
import { HANG_MS } from '../support/patience.ts';
import { type Counts, summaryOf } from '../support/skip-summary.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');
const CONFIG = join(ROOT, 'vitest.config.ts');
/** One test of each kind. */
const TESTS = `
import { describe, expect, test } from 'vitest';
import { describeWith, testWith } from '../../../test/netns/needs.ts';
test('passes', () => {});
test('is slow', { tags: 'slow' }, () => {});
test('says so itself', context => context.skip('the moon is wrong'));
describeWith(['tcpdump', 'tshark'], 'a suite', () => {
  test('one', () => expect(1).toBe(2));
  describe('deeper', () => test('two', () => {}));
});
describeWith(['socat', 'qemu-system-x86_64'], 'a machine', () => test('three', () => {}));
testWith(['go'], 'four', () => expect(1).toBe(2));
`;
let folder: string;
beforeAll(() => {
  folder = temporaryFolder('skip-summary');
  mkdirSync(join(folder, 'test'));
  writeFileSync(join(folder, 'test/made-up.test.ts'), TESTS);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `npm test` for the file above, on a machine that has only Node. */
function runAlone(env: NodeJS.ProcessEnv): {
  readonly status: number | null;
  readonly lines: string[];
  readonly counts: Counts;
} {
  const file = join(folder, 'counts');
  const args = [VITEST, 'run', '--project', 'most', '--tags-filter', '!slow', '--root', folder, '--config', CONFIG];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    encoding: 'utf8',
    env: { PATH: folder, NO_COLOR: '1', TEST_COUNTS: file, ...env },
    timeout: HANG_MS,
  });
  try {
    return { status, lines: stdout.split('\n'), counts: JSON.parse(readFileSync(file, 'utf8')) as Counts };
  } catch {
    throw new Error(`ended with ${status} and no counts:\n${stdout}${stderr}`);
  }
}

test('a machine without tools: status 0, the groups, what is missing, and one line that installs it all', () => {
  const { status, lines, counts } = runAlone({});
  expect(status).toBe(0);
  const summary = lines.slice(lines.indexOf(' Not run here:'));
  expect(summary.map(line => line.replace(/ {2,}/g, ' | ')).slice(0, 8)).toEqual([
    ' Not run here:',
    ' | slow by nature | 1 test in 1 file | npm run test:all',
    ' | network namespaces | 2 tests in 1 file | missing: tcpdump, tshark',
    ' | by the test itself | 1 test in 1 file | missing: the moon is wrong',
    ' | real kernel module (qemu) | 1 test in 1 file | missing: socat, qemu-system-x86_64',
    " | Go's libraries as reference | 1 test in 1 file | missing: go",
    expect.stringMatching(/^ \| real kernel module \(qemu\) \| \d+ files \| npm run test:kernel$/),
    expect.stringMatching(/^ \| Kubernetes' servers \| \d+ files \| npm run test:kubernetes$/),
  ]);
  const install = summary.filter(line => line.includes('apt-get'));
  expect(install).toHaveLength(1);
  expect(install[0]).toMatch(/^ To run everything: apt-get install [a-z0-9 -]+ && npm run test:all$/);
  for (const name of ['golang-go', 'socat', 'iperf3', 'tshark', 'qemu-system-x86', 'tcpdump', 'wireguard-tools'])
    expect(install[0]!.split(' ')).toContain(name);
  expect(counts).toMatchObject({ passed: 1, failed: 0 });
  // Selected tests that did not run: CI counts each as a failure.
  expect(counts.skipped.map(name => name.replace(/^.* > /, '')).sort()).toEqual(
    ['four', 'one', 'says so itself', 'three', 'two'].sort(),
  );
});

test('in CI missing needs are failures', () => {
  const { status, counts } = runAlone({ CI: 'true' });
  expect(status).toBe(1);
  expect(counts).toMatchObject({ passed: 1, failed: 3 });
});

test('without missing needs the line has no packages', () => {
  const notRun = [{ title: 'slow by nature', tests: 2, files: 1, note: 'npm run test:all' }];
  expect(summaryOf(notRun, { packages: [], others: [] })).toBe(
    ' Not run here:\n   slow by nature  2 tests in 1 file       npm run test:all\n To run everything: npm run test:all\n',
  );
  expect(summaryOf(notRun, { packages: ['a', 'b'], others: ['run as root'] })).toContain(
    ' To run everything: apt-get install --no-install-recommends a b && npm run test:all\n Beside packages: run as root.\n',
  );
});

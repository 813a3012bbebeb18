/** The record of who runs each device: on disk, read each time, hostile content ignored. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RunnerFile } from '../../../../src/calico/apply/state/runner.ts';
import { StateDirectory } from '../../../../src/calico/apply/state/state-directory.ts';

let folder: string;
let directory: StateDirectory;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-runner-'));
  directory = new StateDirectory(folder, () => {});
});
afterEach(() => rmSync(folder, { recursive: true }));

test('another agent reads what one wrote, and the first one what the second wrote', () => {
  const [first, second] = [new RunnerFile(directory, 'a'), new RunnerFile(directory, 'b')];
  expect(first.read('wg0')).toBeUndefined();
  first.write('wg0', first.own);
  first.write('wg1', first.own);
  expect(second.read('wg0')).toBe('a');
  second.write('wg0', second.own);
  expect([first.read('wg0'), first.read('wg1')]).toEqual(['b', 'a']);
});

test.each(['', 'null', '[]', '{"wg0": 7, "a/b": "a"}', '{'])('%j in the file is no record', text => {
  writeFileSync(join(folder, 'runners.json'), text, { mode: 0o600 });
  const runners = new RunnerFile(directory, 'a');
  expect([runners.read('wg0'), runners.read('a/b'), runners.read('__proto__')]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  runners.write('wg0', 'a');
  expect(runners.read('wg0')).toBe('a');
});

test('a failure is news until it repeats, or the device was taken over', () => {
  const runners = new RunnerFile(directory, 'a');
  const news = ['busy', 'busy', 'gone'].map(failure => runners.isNews('wg0', failure));
  runners.write('wg0', 'a');
  expect([...news, runners.isNews('wg0', 'gone')]).toEqual([true, false, true, true]);
});

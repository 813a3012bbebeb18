/** `wgts logs` reads a file that another process writes and that may be long. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readLogLines } from '../../src/cli/log-lines.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-log-'));
  path = join(folder, 'log');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('returns a line only once it is complete', () => {
  writeFileSync(path, 'one\ntw');
  const first = readLogLines(path);
  expect(first).toEqual({ lines: ['one'], rest: 'tw', end: 4 });
  appendFileSync(path, 'o\nthree\n');
  expect(readLogLines(path, first.end)).toEqual({ lines: ['two', 'three'], rest: '', end: 14 });
});

test('reads only the end of a long file, and only complete lines', () => {
  writeFileSync(path, `${'x'.repeat(100)}\nlast but one\nlast\n`);
  const size = 101 + 13 + 5;
  expect(readLogLines(path, 0, 30)).toEqual({ lines: ['last but one', 'last'], rest: '', end: size });
  expect(readLogLines(path, 0, 10)).toEqual({ lines: ['last'], rest: '', end: size });
  // One line that is longer than the part that is read.
  writeFileSync(path, 'y'.repeat(100));
  expect(readLogLines(path, 0, 10).lines).toEqual([]);
});

test('does not cut multi-byte characters', () => {
  writeFileSync(path, 'größe\nü');
  const { lines, rest, end } = readLogLines(path);
  expect({ lines, rest }).toEqual({ lines: ['größe'], rest: 'ü' });
  expect(end).toBe(Buffer.byteLength('größe\n'));
});

test('reads nothing past the end', () => {
  writeFileSync(path, 'one\n');
  expect(readLogLines(path, 100).lines).toEqual([]);
});

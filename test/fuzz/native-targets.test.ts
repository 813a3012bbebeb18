/**
 * The fuzz targets of `npm run fuzz:native`: the table names every file of test/fuzz/native, each
 * target has a corpus that can be read, and each C file of native/ has a target or a reason to have
 * none. The command itself runs the targets.
 */
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { corpusOf, TARGETS, WITHOUT_TARGET } from '../../scripts/addon/fuzz-targets.mjs';

const NATIVE = fileURLToPath(new URL('../../native/', import.meta.url));
const FOLDER = fileURLToPath(new URL('native/', import.meta.url));
const names = Object.keys(TARGETS);
/** Bytes. A corpus has seeds and past findings, not what a long run collects. */
const LARGEST_INPUT = 4096;

test('the table has every C file and every corpus', () => {
  const files = readdirSync(FOLDER).filter(name => name.endsWith('.c'));
  const used = Object.entries(TARGETS).flatMap(([name, { own }]) => [`${name}.c`, ...own]);
  expect([...new Set(used)].sort()).toEqual(files.sort());
  expect(readdirSync(`${FOLDER}corpus`).sort()).toEqual(names.map(name => `${name}.hex`).sort());
});

test('each C file of native/ has a target, or a reason to have none', () => {
  const files = readdirSync(NATIVE).filter(name => name.endsWith('.c'));
  const run = new Set(Object.values(TARGETS).flatMap(({ native }) => native));
  expect(files.filter(name => run.has(name) === Object.hasOwn(WITHOUT_TARGET, name))).toEqual([]);
  expect(Object.keys(WITHOUT_TARGET).filter(name => !files.includes(name))).toEqual([]);
  for (const reason of Object.values(WITHOUT_TARGET)) expect(reason).toMatch(/\w+ \w+/);
});

describe.each(names)('%s', name => {
  test('runs files of native/', () => {
    for (const file of TARGETS[name]!.native) expect(existsSync(NATIVE + file), file).toBe(true);
  });

  test('has a corpus without doubles', () => {
    const inputs = corpusOf(name).map(bytes => bytes.toString('hex'));
    expect(inputs.length).toBeGreaterThan(0);
    expect(new Set(inputs).size).toBe(inputs.length);
    for (const input of inputs) expect(input.length).toBeLessThanOrEqual(2 * LARGEST_INPUT);
  });
});

/**
 * Every test that `npm run test:arm64` excludes by name exists: a renamed one would run, and fail,
 * under emulation.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { NOT_EMULATED_FILES, NOT_EMULATED_TESTS } from '../../scripts/addon/not-emulated.mjs';

const ROOT = join(import.meta.dirname, '../..');
const CONTRACT = join(ROOT, 'test/contract');

test.each(NOT_EMULATED_FILES)('%s exists', path => {
  expect(existsSync(join(ROOT, path))).toBe(true);
});

test.each(NOT_EMULATED_TESTS)('a test is named: %s %s', (...parts) => {
  const sources = readdirSync(CONTRACT).map(name => readFileSync(join(CONTRACT, name), 'utf8'));
  for (const part of parts) {
    if (part === undefined) continue;
    // the suite's title has the program's name, `ours`, from a table
    const [text = part] = part.split('ours, ');
    expect(sources.filter(source => source.includes(text)).length, text).toBeGreaterThan(0);
  }
});

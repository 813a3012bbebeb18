/**
 * native/lanes.c alone, with eight threads, under ThreadSanitizer and under AddressSanitizer:
 * lanes-threads.c says what it checks.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { testSeed } from '../support/random.ts';

const NATIVE = fileURLToPath(new URL('../../native', import.meta.url));
const HARNESS = fileURLToPath(new URL('lanes-threads.c', import.meta.url));
const SOURCES = ['lanes.c', 'lanes-work.c', 'lane.c', 'key-table.c', 'offload.c', 'sum.c'].map(name =>
  join(NATIVE, name),
);
const directory = mkdtempSync(join(tmpdir(), 'wireguard-lanes-'));
afterAll(() => rmSync(directory, { recursive: true }));

function built(sanitizer: string, ...more: string[]): string {
  const program = join(directory, `${sanitizer}${more.length}`);
  const flags = ['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-Werror', `-fsanitize=${sanitizer}`, `-I${NATIVE}`];
  execFileSync('gcc', [...flags, ...more, HARNESS, ...SOURCES, '-o', program, '-lpthread']);
  return program;
}

test.for(['thread', 'address,undefined'])(
  'batches come out once, in order and whole, under -fsanitize=%s',
  { timeout: 120_000 },
  sanitizer => {
    const program = built(sanitizer);
    for (let i = 0; i < 3; i++) {
      const seed = String(testSeed());
      const { status, stderr } = spawnSync(program, [seed, '500'], { encoding: 'utf8', timeout: 60_000 });
      expect({ seed, status, stderr }).toEqual({ seed, status: 0, stderr: '' });
    }
  },
);

test('a key that changes while lanes use it is found', () => {
  const { status, stderr } = spawnSync(built('thread', '-DWITHOUT_REST'), ['1', '500'], { encoding: 'utf8' });
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/data race|is false/);
});

/** Each folder of src says what it is for, and each file is large enough to be one. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));
/** A smaller file says in its header why it is one. */
const FEWEST_LINES = 15;
const MOST_FILES = 12;
/** A reader finds each file of a large folder in the first lines of its README.md. */
const MOST_LINES = 20;

const entries = readdirSync(SRC, { recursive: true, withFileTypes: true }).map(entry => ({
  name: join(entry.parentPath, entry.name).slice(SRC.length),
  isFolder: entry.isDirectory(),
}));

describe('a folder says what it is for', () => {
  test.each(entries.filter(({ isFolder }) => isFolder))('$name', ({ name }) => {
    const own = join(SRC, name, 'README.md');
    if (!existsSync(own)) {
      // a nested folder may be explained by the one around it
      expect(
        readOr(join(SRC, dirname(name), 'README.md')) + readOr(join(SRC, dirname(dirname(name)), 'README.md')),
      ).toContain(`${name.slice(name.lastIndexOf('/') + 1)}/\``);
      return;
    }
    const lines = readFileSync(own, 'utf8').split('\n');
    expect(lines[0]).toBe(`# ${name}`);
    const count = lines.filter(line => line !== '').length;
    expect(count, 'lines').toBeGreaterThanOrEqual(3);
    expect(count, 'lines').toBeLessThanOrEqual(MOST_LINES);
  });
});

describe('a large folder lists its files', () => {
  const folders = entries.filter(({ name, isFolder }) => isFolder && existsSync(join(SRC, name, 'README.md')));
  const large = folders
    .map(({ name }) => ({ name, files: readdirSync(join(SRC, name)).filter(file => file.endsWith('.ts')) }))
    .filter(({ files }) => files.length > MOST_FILES);

  test.each(large)('$name', ({ name, files }) => {
    const listed = [...readOr(join(SRC, name, 'README.md')).matchAll(/`([\w-]+\.ts)`/g)].map(([, file]) => file!);
    expect([...new Set(listed)].sort()).toEqual(files.sort());
  });
});

test('each file that a README.md of src names is in its folder or below', () => {
  const names = entries.filter(({ name }) => name.endsWith('.ts')).map(({ name }) => name);
  const absent = entries
    .filter(({ name }) => name.endsWith('README.md'))
    .flatMap(({ name }) =>
      [...readOr(join(SRC, name)).matchAll(/`(?:src\/)?((?:[\w-]+\/)*[\w-]+\.ts)`/g)]
        .map(([, file]) => file!)
        .filter(file => !names.includes(file) && !isBelow(names, dirname(name), file))
        .map(file => `${name}: ${file}`),
    );
  expect(absent).toEqual([]);
});

test('a file of a few lines says why it is one', () => {
  const unexplained = entries
    .filter(({ name }) => name.endsWith('.ts'))
    .filter(({ name }) => {
      const text = readFileSync(join(SRC, name), 'utf8');
      const isExplained = /[Aa] file of (?:its|their) own|its own file/.test(text.replace(/\n \* /g, ' '));
      return text.split('\n').length - 1 < FEWEST_LINES && !isExplained;
    })
    .map(({ name }) => name);
  expect(unexplained).toEqual([]);
});

test('a folder of src/calico has at most 12 files', () => {
  const files = entries.filter(({ name, isFolder }) => !isFolder && name.startsWith('calico/') && name.endsWith('.ts'));
  const counts = new Map<string, number>();
  for (const { name } of files) counts.set(dirname(name), (counts.get(dirname(name)) ?? 0) + 1);
  expect(counts.size).toBeGreaterThan(10);
  expect([...counts].filter(([, count]) => count > MOST_FILES)).toEqual([]);
});

function isBelow(names: readonly string[], folder: string, file: string): boolean {
  return names.some(name => name.startsWith(`${folder}/`) && name.endsWith(`/${file}`));
}

function readOr(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/**
 * examples/: short, commented, and the same programs as in the README and the guide of the library.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fences, page, REPOSITORY } from '../support/guide.ts';

const FOLDER = join(REPOSITORY, 'examples');
const LONGEST = 59;
const examples = new Map(readdirSync(FOLDER).map(name => [name, readFileSync(join(FOLDER, name), 'utf8')]));
const shown = (path: string) => fences(page(path).text, 'js');

describe.each([...examples])('%s', (name, text) => {
  test(`has at most ${LONGEST} lines, and begins with its purpose and how to run it`, () => {
    expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(LONGEST);
    expect(text).toMatch(/^\/\/ /);
    expect(/^(\/\/ .*\n)+/.exec(text)![0]).toContain(`node examples/${name}`);
  });

  test('imports the package by its name', () => {
    const imported = [...text.matchAll(/ from '([^']+)'/g)].map(([, from]) => from!);
    expect(imported.filter(from => !/^(node:|wireguard-ts\/)/.test(from))).toEqual([]);
  });

  test.each(['docs/en/library.md', 'docs/zh/library.md'])('%s shows it', path => {
    expect(shown(path)).toContain(text);
  });
});

test.each(['README.md', 'README.zh.md'])('%s shows one complete example', path => {
  expect(shown(path).length).toBe(1);
  expect([...examples.values()]).toContain(shown(path)[0]);
});

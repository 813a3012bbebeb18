/** dist/program, what users run (scripts/bundle.mjs). */
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const PROGRAM = join(import.meta.dirname, '../../dist/program');
/**
 * `node:sea` has no name without `node:`; the package `debug` only checks whether the other exists.
 */
const OPTIONAL = ['sea', 'supports-color'];
/** Newer Nodes print warnings about these on standard error. */
const DEPRECATED = ['punycode', 'sys'];

const files = readdirSync(PROGRAM).filter(name => name.endsWith('.cjs'));

test('the bundle needs only itself and modules of Node that are not deprecated', () => {
  expect(files).toEqual(expect.arrayContaining(['wgts.cjs', 'wireguard-ts.cjs']));
  const wanted = new Set<string>();
  for (const name of files)
    for (const [, id] of readFileSync(join(PROGRAM, name), 'utf8').matchAll(/\brequire\("([^"]+)"\)/g)) wanted.add(id!);
  const outside = [...wanted]
    .filter(id => !files.includes(id.replace(/^\.\//, '')))
    .map(id => id.replace(/^node:/, ''));
  expect(outside).toContain('fs');
  expect(outside.filter(id => !builtinModules.includes(id) && !OPTIONAL.includes(id))).toEqual([]);
  expect(outside.filter(id => DEPRECATED.includes(id))).toEqual([]);
});

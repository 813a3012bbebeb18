/**
 * Data from ../shared: each test that reads it states the need, .ci/run checks for all of it at its
 * start, and vectors/README.md says where it comes from.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/built-once.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');
const tests = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts') && name !== 'rules/shared-data.test.ts')
  .map(name => ({ name, text: read(join('test', name)) }));

/** Files whose tests all start through the named function, which states the need for them. */
const READERS: Readonly<Record<string, string>> = { 'cluster/calico-crds.ts': 'cluster/control-plane.ts' };

test('every reader of ../shared states the need', () => {
  const readers = tests.filter(({ text }) => /import \{ shared\w+.* \} from '.*support\/shared\.ts'/.test(text));
  expect(readers.length).toBeGreaterThanOrEqual(5);
  for (const { name, text } of readers) {
    const stated = READERS[name] ? read(join('test', READERS[name])) : text;
    for (const folder of ['Vectors', 'Calico'].filter(each => text.includes(`shared${each}(`)))
      expect(stated, name).toMatch(new RegExp(`(describe|test)With\\(\\[.*'\\.\\./shared/${folder.toLowerCase()}'`));
  }
});

test('no other file locates the folder itself', () => {
  const finders = tests.filter(({ text }) => /['"`](\.\.\/)+shared\/(?!vectors'|calico')/.test(text));
  expect(finders.map(({ name }) => name)).toEqual(['support/shared.ts']);
});

test('without it .ci/run prints one sentence that names everything missing, and stops', () => {
  const folder = temporaryFolder('shared-data');
  try {
    mkdirSync(join(folder, 'clone/.ci'), { recursive: true });
    mkdirSync(join(folder, 'path'));
    copyFileSync(join(ROOT, '.ci/run'), join(folder, 'clone/.ci/run'));
    // the only program that it needs to get that far
    symlinkSync('/usr/bin/dirname', join(folder, 'path/dirname'));
    const { status, stdout, stderr } = spawnSync('/bin/bash', [join(folder, 'clone/.ci/run')], {
      encoding: 'utf8',
      env: { PATH: join(folder, 'path') },
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^\.ci\/run skips nothing and needs [^\n]+; vectors\/README\.md says how to get it\.\n$/);
    const names = stderr.match(/\.\.\/shared\/[\w./-]*\w/g)!;
    expect(names).toEqual(expect.arrayContaining(['../shared/vectors/captures', '../shared/tools/fresh']));
    for (const name of names) expect(read('vectors/README.md')).toContain(`| \`${name.replace('../shared/', '')}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('.ci/run names everything that it uses', () => {
  const script = read('.ci/run') + read('test/fresh/demos') + read('test/fresh/package');
  const used = new Set([...script.matchAll(/\.\.\/shared\/(tools\/[\w/-]+)/g)].map(([, name]) => name!));
  const demanded = /for name in ([\s\S]*?); do/.exec(read('.ci/run'))![1]!.split(/[\s\\]+/);
  expect(demanded).toEqual(expect.arrayContaining([...used]));
  const content = [...read('test/support/shared.ts').matchAll(/^ {2}(vectors|calico): \[(.*)\],$/gm)].flatMap(
    ([, folder, list]) => list!.split(', ').map(name => `${folder}/${name.replaceAll("'", '')}`),
  );
  expect(demanded).toEqual(expect.arrayContaining(content));
});

/**
 * docs/en/library.md: its programs are type-checked, the first one runs, and the names in its table
 * are exported.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fences, guides, REPOSITORY } from '../support/guide.ts';

const [ENGLISH, CHINESE] = (['en', 'zh'] as const).map(
  language => guides(language).find(({ name }) => name === 'library.md')!,
);
const [program = ''] = fences(ENGLISH!.text, 'js');
const LONGEST_PROGRAM = 60;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-library-'));
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
  symlinkSync(REPOSITORY, join(folder, 'node_modules/wireguard-ts'));
  symlinkSync(join(REPOSITORY, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'));
  for (const [index, text] of fences(ENGLISH!.text, 'js').entries())
    writeFileSync(join(folder, `program-${index}.mjs`), text);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the first program', () => {
  test('prints the output in the guide', () => {
    const { stdout, stderr } = spawnSync(process.execPath, ['program-0.mjs'], { cwd: folder, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(stdout).toBe(fences(ENGLISH!.text, 'text')[0]);
  });

  test(`is shorter than ${LONGEST_PROGRAM} lines`, () => {
    expect(program.trimEnd().split('\n').length).toBeLessThan(LONGEST_PROGRAM);
  });
});

test('all programs type-check against the package', () => {
  const options = [
    '--noEmit',
    '--allowJs',
    '--checkJs',
    '--skipLibCheck',
    '--module',
    'nodenext',
    '--target',
    'es2023',
  ];
  const types = ['--types', 'node', '--lib', 'es2023', '--strict', 'false'];
  const files = fences(ENGLISH!.text, 'js').map((_, index) => `program-${index}.mjs`);
  const { stdout } = spawnSync(
    process.execPath,
    [join(REPOSITORY, 'node_modules/typescript/bin/tsc'), ...options, ...types, ...files],
    { cwd: folder, encoding: 'utf8' },
  );
  expect(stdout).toBe('');
});

test('Chinese has the same programs, with the same output', () => {
  for (const language of ['js', 'text'])
    expect(fences(CHINESE!.text, language)).toEqual(fences(ENGLISH!.text, language));
});

test('every name in the table is exported', () => {
  const index = readFileSync(join(REPOSITORY, 'src/index.ts'), 'utf8');
  const exported = new Set([...index.matchAll(/\b[A-Za-z_]\w*\b/g)].map(([name]) => name));
  for (const { text } of [ENGLISH!, CHINESE!]) {
    const table = text.slice(text.lastIndexOf('\n## '));
    const names = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => cell!.match(/\w+/g)!);
    expect(names.length).toBeGreaterThan(30);
    for (const name of names) expect(exported, name).toContain(name);
  }
});

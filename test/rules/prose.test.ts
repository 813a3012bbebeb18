/**
 * Plain English, and lines that a reader takes in at once (CONTRIBUTING.md, test/support/prose.ts).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bannedWords, type ProseFault, wideComments, wideMarkdown } from '../support/prose.ts';

const ROOT = join(import.meta.dirname, '../..');
const FILES = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .stdout.split('\n')
  .filter(name =>
    /\.(ts|mts|mjs|cjs|c|h|sh|md|ya?ml|service|default|svg)$|^(bin|\.ci|packaging)\/|Dockerfile/.test(name),
  )
  .filter(name => !/\.svg$|(licence|copyright)$/.test(name));
/** The rules and their test name the words. */
const ABOUT_WORDS = ['test/support/prose.ts', 'test/rules/prose.test.ts'];
const CODE = FILES.filter(name => !name.endsWith('.md'));
const MARKDOWN = FILES.filter(name => name.endsWith('.md'));

test('there are files to read', () => {
  expect(CODE.length).toBeGreaterThan(700);
  expect(MARKDOWN.length).toBeGreaterThan(25);
});

test('no word of another grammar', () => {
  expect(
    report(
      FILES.filter(name => !ABOUT_WORDS.includes(name)),
      bannedWords,
    ),
  ).toEqual([]);
});

test('comments have at most 100 columns', () => {
  expect(report(CODE, wideComments)).toEqual([]);
});

test('Markdown has at most 120 columns', () => {
  expect(report(MARKDOWN, wideMarkdown)).toEqual([]);
});

describe('the rules themselves', () => {
  test.each([
    'nobody reads it',
    'Somebody reads it',
    'const isNobody = 1',
    'it shall end',
    '// it is\n// told twice',
    ' * what was\n * said',
    'meanwhile',
    'whoever comes',
  ])('%j is found', text => expect(bannedWords(text)).toHaveLength(1));

  test.each(['a shallow copy', 'it is an island', 'the kernel tells', 'so body', 'the user `nobody`'])(
    '%j is not',
    text => expect(bannedWords(text)).toEqual([]),
  );

  test.each([
    `// ${'word '.repeat(20)}`,
    `  /** ${'word '.repeat(20)}*/`,
    ` * ${'word '.repeat(20)}`,
    `# ${'word '.repeat(20)}`,
    `const a = 1; // ${'word '.repeat(18)}`,
  ])('%j is too wide', text => expect(wideComments(text)).toHaveLength(1));

  test.each([`// https://example.com/${'x'.repeat(100)}`, `const a = f('${'word '.repeat(20)}');`, '// short'])(
    '%j is not',
    text => expect(wideComments(text)).toEqual([]),
  );

  test('Markdown: prose counts, Chinese by two columns; tables and fences do not', () => {
    const wide = 'word '.repeat(25);
    expect(wideMarkdown(`${wide}\n| ${wide} |\n\`\`\`\n${wide}\n\`\`\`\n- ${wide}`).map(({ line }) => line)).toEqual([
      1, 6,
    ]);
    expect(wideMarkdown('字'.repeat(61))).toHaveLength(1);
    expect(wideMarkdown('字'.repeat(60))).toEqual([]);
  });
});

function report(names: readonly string[], find: (text: string) => ProseFault[]): string[] {
  return names.flatMap(name =>
    find(readFileSync(join(ROOT, name), 'utf8')).map(({ line, text }) => `${name}:${line}: ${text}`),
  );
}

/**
 * README.md and README.zh.md: equal in both languages, a test for every command, and figures that
 * match the generated tables.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { frontPageTable } from '#dist/bench/front-page.js';
import { fences, guides, page, REPOSITORY } from '../support/guide.ts';
import { brokenLinks, problemsOf, scripts, shape, testNames } from '../support/guide-checks.ts';

const [ENGLISH, CHINESE] = [page('README.md'), page('README.zh.md')];
const BENCHMARKS = page('docs/benchmarks.md');

describe('both front pages', () => {
  test('every command is run by a test, or has a reason why not', () => {
    expect(ENGLISH.commands.length).toBeGreaterThanOrEqual(6);
    expect(problemsOf(ENGLISH, testNames())).toEqual([]);
  });

  test('Chinese has the same commands, headings, tables and links', () => {
    expect(shape(CHINESE)).toEqual(shape(ENGLISH));
    expect(fences(CHINESE.text, 'text')).toEqual(fences(ENGLISH.text, 'text'));
    // links to guides lead to those in its own language
    expect(CHINESE.links.slice(1).map(link => link.replace(/#.*/, ''))).toEqual(
      ENGLISH.links.slice(1).map(link => link.replace('docs/en/', 'docs/zh/').replace(/#.*/, '')),
    );
  });

  test('Chinese is Chinese', () => {
    const { han, latin } = scripts(CHINESE);
    expect(han).toBeGreaterThan(latin * 2);
  });

  test('the first link of each page leads to the other one', () => {
    expect(ENGLISH.links[0]).toBe('README.zh.md');
    expect(CHINESE.links[0]).toBe('README.md');
  });

  test.each(['README.md', 'README.zh.md', 'docs/benchmarks.md'])('links of %s lead somewhere', path => {
    expect(brokenLinks(path)).toEqual([]);
  });
});

test('the first 40 lines show what it is, one command and its output', () => {
  const screen = ENGLISH.text.split('\n').slice(0, 40).join('\n');
  expect(screen).toContain('npm run demo');
  expect(screen).toMatch(/^ {2}ok .*handshake/m);
});

test('a block that a guide repeats is equal there', () => {
  const blocks = guides('en').flatMap(({ commands }) => commands);
  for (const { marker, text } of ENGLISH.commands)
    for (const other of blocks.filter(block => block.marker?.says === marker?.says)) expect(other.text).toBe(text);
});

test('a marker that names a test file names one that runs the script', () => {
  for (const { marker, text } of ENGLISH.commands) {
    if (!marker?.says.endsWith('.test.ts')) continue;
    const script = /^npm run (\S+)$/.exec(text)?.[1]?.replace(':', '-');
    expect(readFileSync(join(REPOSITORY, marker.says), 'utf8')).toContain(`'${script}'`);
  }
});

describe('figures', () => {
  test('of the front pages match the generator: six rows of the full table', () => {
    expect(bench(CHINESE.text)).toBe(bench(ENGLISH.text));
    expect(bench(ENGLISH.text)).toBe(frontPageTable(BENCHMARKS.text).trim());
    const [header, ...shown] = rows(ENGLISH.text);
    const [columns, ...all] = rows(BENCHMARKS.text);
    expect(shown).toHaveLength(6);
    for (const row of shown) {
      const whole = all.find(([title]) => title === row[0])!;
      expect(row).toEqual(header!.map(name => whole[columns!.indexOf(name)]));
    }
  });

  test('name the machine and the commit', () => {
    for (const { text } of [ENGLISH, BENCHMARKS]) {
      const notes = bench(text).replaceAll('\n', ' ');
      expect(notes).toMatch(/Both ends on one machine: .+ cores, .+ GiB, .+Linux .+, Node /);
      expect(notes).toMatch(/wireguard-ts [0-9.]+ \([0-9a-f]{7}\)/);
    }
  });

  test('in the text match the table', () => {
    const ratio = /\| TCP, one stream \(Gbit\/s\) .* ([0-9.]+)x \|[^|]*\|$/m.exec(bench(ENGLISH.text))![1]!;
    expect(ENGLISH.text).toContain(`${Number(ratio).toFixed(1)} times the throughput of \`wireguard-go\``);
    expect(CHINESE.text).toContain(`\`wireguard-go\` 的 ${Number(ratio).toFixed(1)} 倍`);
  });

  test('of lines match the example in the library', () => {
    const [program = ''] = fences(guides('en').find(({ name }) => name === 'library.md')!.text, 'js');
    const lines = program.trimEnd().split('\n').length;
    expect(ENGLISH.text).toContain(`in ${lines} lines`);
    expect(CHINESE.text).toContain(`${lines} 行代码`);
  });
});

function bench(text: string): string {
  return /<!-- bench -->\n\n([\s\S]*?)\n\n<!-- \/bench -->/.exec(text)?.[1] ?? '';
}

/** Returns the cells of a page's table, header first. */
function rows(text: string): string[][] {
  const lines = bench(text)
    .match(/^\|.*/gm)!
    .filter(line => !line.includes('---'));
  return lines.map(line => line.split('|').map(cell => cell.trim())).map(cells => cells.slice(1, -1));
}

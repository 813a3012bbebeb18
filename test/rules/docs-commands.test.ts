/**
 * The guides promise that a test runs every command in them, or that they say why not, and that
 * both languages agree. test/support/guide-checks.ts names the tests that run a guide's own text.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Guide, guides, parse, REPOSITORY } from '../support/guide.ts';
import { brokenLinks, problemsOf, scripts, shape, testNames } from '../support/guide-checks.ts';

const ENGLISH = guides('en');
const CHINESE = guides('zh');
const WGTS = join(REPOSITORY, 'dist/program/wgts.cjs');

test('guides exist, with the same names in both languages', () => {
  expect(ENGLISH.length).toBeGreaterThanOrEqual(5);
  expect(CHINESE.map(({ name }) => name)).toEqual(ENGLISH.map(({ name }) => name));
});

describe.each(ENGLISH.map((guide, index) => [guide.name, guide, CHINESE[index]!] as const))('%s', (_, en, zh) => {
  test('every command is run by a test, or has a reason why not', () => {
    expect(problemsOf(en, testNames())).toEqual([]);
  });

  test('Chinese has the same commands in the same order, under as many headings', () => {
    expect(shape(zh)).toEqual(shape(en));
  });

  test('Chinese is Chinese', () => {
    const { han, latin } = scripts(zh);
    expect(han).toBeGreaterThan(latin * 3);
  });

  test.each(['en', 'zh'])('links of %s lead somewhere', language => {
    expect(brokenLinks(join('docs', language, en.name))).toEqual([]);
  });
});

describe('commands of wgts', () => {
  const usage = help();

  test('each command that a guide or a manifest names exists, with the named options', () => {
    const used = [...ENGLISH.flatMap(usesOf), ...manifestUses()];
    // At least those of the guide, the labeller and the agent.
    expect(used.map(({ command }) => command)).toEqual(expect.arrayContaining(['doctor', 'calico', 'verify', 'show']));
    for (const { command, options } of used) {
      expect(usage, command).toMatch(new RegExp(`^  ${command} `, 'm'));
      for (const option of options) expect(help(...command.split(' ')), command).toContain(option);
    }
  });

  test('the table of options lists exactly those of the agent', () => {
    const known = help('calico').match(/--[a-z][a-z0-9-]+/g)!;
    for (const guide of [ENGLISH, CHINESE].map(all => all.find(({ name }) => name === 'calico.md')!)) {
      const rows = guide.text.split('\n').filter(line => line.startsWith('| `--'));
      const options = rows.flatMap(row => row.split(' | ')[0]!.match(/--[a-z0-9-]+/g) ?? []);
      expect(options.sort()).toEqual([...new Set(known)].filter(name => name !== '--help').sort());
    }
  });
});

describe('these checks find', () => {
  const names = new Set(['a test']);
  const block = (marker: string) => parse('x.md', `text\n${marker}\n\`\`\`sh\ntrue\n\`\`\`\n`);

  test.each([
    ['a block without a marker', '', /no marker/],
    ['a test that does not exist', '<!-- run: no such test -->', /no test is called/],
    ['a reason that is too short', '<!-- not run: no -->', /says no reason/],
  ])('%s', (_, marker, problem) => {
    expect(problemsOf(block(marker), names).join()).toMatch(problem);
  });

  test('no problem in valid blocks', () => {
    expect(problemsOf(block('<!-- run: a test -->'), names)).toEqual([]);
    expect(problemsOf(block('<!-- not run: needs two machines -->'), names)).toEqual([]);
  });

  test('the options of commands in text and blocks', () => {
    const guide = parse('x.md', 'See `wgts doctor --json`.\n\n```sh\nkubectl x --y | wgts show --z\n```\n');
    expect(usesOf(guide)).toEqual([
      { command: 'show', options: ['--z'] },
      { command: 'doctor', options: ['--json'] },
    ]);
    expect(usesOf(parse('x.md', '`wgts calico install --diff` and `wgts calico --once`'))).toEqual([
      { command: 'calico install', options: ['--diff'] },
      { command: 'calico', options: ['--once'] },
    ]);
  });
});

interface Use {
  readonly command: string;
  readonly options: readonly string[];
}

function usesOf({ commands, text }: Guide): Use[] {
  const inline = [...text.replace(/```[\s\S]*?```/g, '').matchAll(/`(wgts [^`\n]+)`/g)].map(([, code]) => code!);
  return [...commands.flatMap(block => block.text.split('\n')), ...inline].flatMap(line =>
    [...line.matchAll(/\bwgts ((?:calico (?:un)?install\b)|[a-z]+)([^|;&\n]*)/g)].map(([, command, rest]) => ({
      command: command!,
      options: rest!.match(/--[a-z][a-z0-9-]*/g) ?? [],
    })),
  );
}

/** Returns the commands of the agent (base and components) and the labeller. */
function manifestUses(): Use[] {
  const folder = join(REPOSITORY, 'deploy');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.yaml'));
  const texts = files.map(name => readFileSync(join(folder, name), 'utf8'));
  const values = texts.flatMap(text => [...text.matchAll(/^ +(?:- | *- \{ op: add, .*value: )(--[a-z-]+)(?: \})?$/gm)]);
  const calico = values
    .map(([, option]) => option!)
    .filter(option => option !== '--eval' && !option.startsWith('--max-'));
  return [
    { command: 'calico', options: calico },
    { command: 'doctor', options: ['--label'] },
  ];
}

function help(...command: string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, [WGTS, ...command, '--help'], { encoding: 'utf8' });
  return `${stdout}${stderr}`;
}

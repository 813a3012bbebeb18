/**
 * The guides promise that every command in them is run by a test, or that they say why not; and that both languages say the same. What
 * runs them, with the guide's own text, is in RUNNERS.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Guide, guides, parse, REPOSITORY } from '../support/guide.ts';

const ENGLISH = guides('en');
const CHINESE = guides('zh');
const WGTS = join(REPOSITORY, 'dist/program/wgts.cjs');
/** Each has a table by the names that the markers say, and fails if one of its names has no block. */
const RUNNERS = ['cluster/guide.test.ts', 'netns/quick-start.test.ts'];

test('there are guides, and the same in both languages', () => {
  expect(ENGLISH.length).toBeGreaterThanOrEqual(5);
  expect(CHINESE.map(({ name }) => name)).toEqual(ENGLISH.map(({ name }) => name));
});

describe.each(ENGLISH.map((guide, index) => [guide.name, guide, CHINESE[index]!] as const))('%s', (_, en, zh) => {
  test('every command is run by a test or says why it is not', () => {
    expect(problemsOf(en, testNames())).toEqual([]);
  });

  test('Chinese has the same commands in the same order, under as many headings', () => {
    expect(zh.commands.map(({ text, marker }) => ({ text, marker }))).toEqual(
      en.commands.map(({ text, marker }) => ({ text, marker })),
    );
    expect(levels(zh)).toEqual(levels(en));
    expect(zh.links.length).toBe(en.links.length);
    expect(tableRows(zh)).toEqual(tableRows(en));
  });

  test('Chinese is Chinese', () => {
    // code, commands and names aside
    const prose = zh.text.replace(/```[\s\S]*?```|`[^`\n]*`|<!--.*?-->|\]\([^)]*\)/g, '');
    const han = (prose.match(/\p{Script=Han}/gu) ?? []).length;
    const latin = (prose.match(/[a-z]{2,}/gi) ?? []).length;
    expect(han).toBeGreaterThan(latin * 3);
  });

  test.each([en, zh].map(guide => [guide === en ? 'en' : 'zh', guide] as const))(
    'links of %s lead somewhere',
    (language, guide) => {
      const all = language === 'en' ? ENGLISH : CHINESE;
      for (const link of guide.links) {
        if (/^https?:/.test(link)) continue;
        const [path = '', fragment] = link.split('#');
        const target = path === '' ? join('docs', language, guide.name) : normalize(join('docs', language, path));
        expect(existsSync(join(REPOSITORY, target)), link).toBe(true);
        if (fragment === undefined) continue;
        const named = all.find(({ name }) => join('docs', language, name) === target);
        expect([...(named?.anchors ?? [])], link).toContain(decodeURIComponent(fragment));
      }
    },
  );
});

describe('commands of wgts', () => {
  const usage = help();

  test('each that a guide or a manifest names exists, with the options that are named', () => {
    const used = [...ENGLISH.flatMap(usesOf), ...manifestUses()];
    // the guide, the labeller and the agent at least
    expect(used.map(({ command }) => command)).toEqual(expect.arrayContaining(['doctor', 'calico', 'verify', 'show']));
    for (const { command, options } of used) {
      expect(usage, command).toMatch(new RegExp(`^  ${command} `, 'm'));
      for (const option of options) expect(help(command), command).toContain(option);
    }
  });

  test('the table of options has all that the agent knows, and no other', () => {
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
    ['a reason that is none', '<!-- not run: no -->', /says no reason/],
  ])('%s', (_, marker, problem) => {
    expect(problemsOf(block(marker), names).join()).toMatch(problem);
  });

  test('nothing in good ones', () => {
    expect(problemsOf(block('<!-- run: a test -->'), names)).toEqual([]);
    expect(problemsOf(block('<!-- not run: needs two machines -->'), names)).toEqual([]);
  });

  test('options of commands in text and blocks', () => {
    const guide = parse('x.md', 'See `wgts doctor --json`.\n\n```sh\nkubectl x --y | wgts show --z\n```\n');
    expect(usesOf(guide)).toEqual([
      { command: 'show', options: ['--z'] },
      { command: 'doctor', options: ['--json'] },
    ]);
  });
});

function problemsOf(guide: Guide, names: ReadonlySet<string>): string[] {
  return guide.commands.flatMap(({ marker, text, line }) => {
    const where = `${guide.name}:${line} (${text.split('\n')[0]})`;
    if (!marker) return [`${where}: no marker above it`];
    if (marker.kind === 'not run') return marker.says.split(' ').length >= 3 ? [] : [`${where}: says no reason`];
    if (names.has(marker.says)) return [];
    return [`${where}: no test is called "${marker.says}"`];
  });
}

/** Those in the tables that run blocks of the guides. */
function testNames(): Set<string> {
  const files = RUNNERS.map(name => readFileSync(join(REPOSITORY, 'test', name), 'utf8'));
  const names = files.flatMap(file => [...file.matchAll(/^ {2}'([^']+)': /gm)].map(([, name]) => name!));
  return new Set(names);
}

interface Use {
  readonly command: string;
  readonly options: readonly string[];
}

function usesOf({ commands, text }: Guide): Use[] {
  const inline = [...text.replace(/```[\s\S]*?```/g, '').matchAll(/`(wgts [^`\n]+)`/g)].map(([, code]) => code!);
  return [...commands.flatMap(block => block.text.split('\n')), ...inline].flatMap(line =>
    [...line.matchAll(/\bwgts ([a-z]+)([^|;&\n]*)/g)].map(([, command, rest]) => ({
      command: command!,
      options: rest!.match(/--[a-z][a-z0-9-]*/g) ?? [],
    })),
  );
}

/** Of the agent (base and components) and the labeller. */
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

function levels({ text }: Guide): string[] {
  return text.replace(/^```[\s\S]*?^```$/gm, '').match(/^#+(?= )/gm) ?? [];
}

function tableRows({ text }: Guide): number {
  return text.match(/^\|/gm)?.length ?? 0;
}

/**
 * Checks for every page: a test runs its commands or they say why not, its links are valid, and
 * both languages agree.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { type Guide, page, REPOSITORY } from './guide.ts';

/** Tests with a table of the names in markers. They fail if one of their names has no block. */
const RUNNERS = [
  'cluster/guide.test.ts',
  'netns/quick-start.test.ts',
  'netns/library-guide.test.ts',
  'netns/moving.test.ts',
];

/** Returns the names in the tables of the tests that run the guides' blocks. */
export function testNames(): Set<string> {
  const files = RUNNERS.map(name => readFileSync(join(REPOSITORY, 'test', name), 'utf8'));
  const names = files.flatMap(file => [...file.matchAll(/^ {2}'([^']+)': /gm)].map(([, name]) => name!));
  return new Set(names);
}

/**
 * Returns the command blocks that no test runs and that do not say why. A marker may also name a
 * test file.
 */
export function problemsOf(guide: Guide, names: ReadonlySet<string>): string[] {
  return guide.commands.flatMap(({ marker, text, line }) => {
    const where = `${guide.name}:${line} (${text.split('\n')[0]})`;
    if (!marker) return [`${where}: no marker above it`];
    if (marker.kind === 'not run') return marker.says.split(' ').length >= 3 ? [] : [`${where}: says no reason`];
    if (names.has(marker.says)) return [];
    if (marker.says.endsWith('.test.ts') && existsSync(join(REPOSITORY, marker.says))) return [];
    return [`${where}: no test is called "${marker.says}"`];
  });
}

/** Returns the properties that must be equal in both languages. */
export function shape(guide: Guide): object {
  return {
    commands: guide.commands.map(({ text, marker }) => ({ text, marker })),
    levels: guide.text.replace(/^```[\s\S]*?^```$/gm, '').match(/^#+(?= )/gm) ?? [],
    links: guide.links.length,
    tableRows: guide.text.match(/^\|/gm)?.length ?? 0,
  };
}

/**
 * Returns links to missing files and headings. @param path the page's path from the repository's
 * root
 */
export function brokenLinks(path: string): string[] {
  return page(path).links.filter(link => {
    if (/^https?:/.test(link)) return false;
    const [target = '', fragment] = link.split('#');
    const named = target === '' ? path : normalize(join(dirname(path), target));
    if (!existsSync(join(REPOSITORY, named))) return true;
    return fragment !== undefined && !page(named).anchors.has(decodeURIComponent(fragment));
  });
}

/** Counts the letters of prose, without code, file names and generated tables. */
export function scripts({ text }: Guide): { han: number; latin: number } {
  const prose = text
    .replace(/<!-- bench -->[\s\S]*<!-- \/bench -->/g, '')
    .replace(/```[\s\S]*?```|`[^`\n]*`|<!--.*?-->|\]\([^)]*\)/g, '');
  return { han: (prose.match(/\p{Script=Han}/gu) ?? []).length, latin: (prose.match(/[a-z]{2,}/gi) ?? []).length };
}

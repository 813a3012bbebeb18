/** What holds of every page: its commands are run by a test or say why not, its links lead somewhere, and both languages say the same. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { type Guide, page, REPOSITORY } from './guide.ts';

/** Each has a table by the names that the markers say, and fails if one of its names has no block. */
const RUNNERS = [
  'cluster/guide.test.ts',
  'netns/quick-start.test.ts',
  'netns/library-guide.test.ts',
  'netns/moving.test.ts',
];

/** Those in the tables that run blocks of the guides. */
export function testNames(): Set<string> {
  const files = RUNNERS.map(name => readFileSync(join(REPOSITORY, 'test', name), 'utf8'));
  const names = files.flatMap(file => [...file.matchAll(/^ {2}'([^']+)': /gm)].map(([, name]) => name!));
  return new Set(names);
}

/** Blocks of commands that no test runs, and that do not say why. A marker may also name the test's own file. */
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

/** What must be equal in two languages. */
export function shape(guide: Guide): object {
  return {
    commands: guide.commands.map(({ text, marker }) => ({ text, marker })),
    levels: guide.text.replace(/^```[\s\S]*?^```$/gm, '').match(/^#+(?= )/gm) ?? [],
    links: guide.links.length,
    tableRows: guide.text.match(/^\|/gm)?.length ?? 0,
  };
}

/** Links to files and headings that are not there. @param path the page's own, from the repository's root */
export function brokenLinks(path: string): string[] {
  return page(path).links.filter(link => {
    if (/^https?:/.test(link)) return false;
    const [target = '', fragment] = link.split('#');
    const named = target === '' ? path : normalize(join(dirname(path), target));
    if (!existsSync(join(REPOSITORY, named))) return true;
    return fragment !== undefined && !page(named).anchors.has(decodeURIComponent(fragment));
  });
}

/** Letters in prose, code, names of files and generated tables aside. */
export function scripts({ text }: Guide): { han: number; latin: number } {
  const prose = text
    .replace(/<!-- bench -->[\s\S]*<!-- \/bench -->/g, '')
    .replace(/```[\s\S]*?```|`[^`\n]*`|<!--.*?-->|\]\([^)]*\)/g, '');
  return { han: (prose.match(/\p{Script=Han}/gu) ?? []).length, latin: (prose.match(/[a-z]{2,}/gi) ?? []).length };
}

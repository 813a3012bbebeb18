/**
 * Writes the READMEs' table: six rows of docs/benchmarks.md, without the variants of this program.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { between, contentIn } from './marks.ts';
import { ROOT } from './results.ts';
import { table, wrapped } from './table.ts';

export const BENCHMARKS = 'docs/benchmarks.md';
const FRONT_PAGES = ['README.md', 'README.zh.md'];

/** The rows that matter most for choosing a program. Other programs are better in some of them. */
const TITLES = [
  'TCP, one stream',
  'CPU for a gigabit, both ends',
  'Peak memory of a daemon',
  'UDP 64 bytes, under 1 % lost',
  'Ping, idle, median',
  'Handshakes answered',
];
const VARIANT = /^wireguard-ts \(/;
const VARIANT_VERSION = /wireguard-ts \([^)]*\) [^;]*; /g;

/** Writes the table into both READMEs. */
export function writeFrontPages(): void {
  const content = frontPageTable(readFileSync(join(ROOT, BENCHMARKS), 'utf8'));
  for (const name of FRONT_PAGES) {
    const path = join(ROOT, name);
    writeFileSync(path, between(readFileSync(path, 'utf8'), content, name));
  }
}

/**
 * Returns the table and its notes as Markdown.
 * @param page the text of docs/benchmarks.md
 * @throws Error if the page lacks one of the rows
 */
export function frontPageTable(page: string, titles: readonly string[] = TITLES): string {
  const lines = contentIn(page, BENCHMARKS).split('\n');
  const rows = lines.filter(line => line.startsWith('|')).map(cells);
  const [header = [], , ...body] = rows;
  const shown = header.flatMap((name, column) => (VARIANT.test(name) ? [] : [column]));
  const chosen = titles.map(title => {
    const row = body.find(([name]) => name!.startsWith(`${title} (`));
    if (!row) throw new Error(`${BENCHMARKS} has no row "${title}"`);
    return row;
  });
  const [, ...notes] = lines.join('\n').split('\n\n');
  const texts = notes.map(note => `\n${wrapped(note.replaceAll('\n', ' ').replace(VARIANT_VERSION, ''))}\n`);
  return `${table([header, ...chosen].map(row => shown.map(column => row[column]!)))}${texts.join('')}`;
}

/** Splits a line of a table into its cells. */
function cells(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map(text => text.trim());
}

/** What is made of results: the table on standard output, files in bench/results, and, when that is wanted, front pages and docs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from './machine.ts';
import type { BenchOptions } from './options.ts';
import { plotBars } from './plots/bars.ts';
import { RESULTS, type Results, ROOT, save } from './results.ts';
import { markdown, summary } from './table.ts';

const BEGIN = '<!-- bench -->';
const END = '<!-- /bench -->';

export function report(results: Results, options: Pick<BenchOptions, 'from' | 'publish'>): void {
  const table = markdown(results);
  const plot = plotBars(results);
  process.stdout.write(table);
  const stem = join(RESULTS, `tunnel-${results.date.slice(0, 19).replaceAll(':', '')}`);
  if (options.from === undefined) save(`${stem}.json`, `${JSON.stringify(results, null, 1)}\n`);
  save(`${stem}.md`, table);
  save(`${stem}.svg`, plot);
  process.stderr.write(`\n${stem}.json, .md, .svg\n`);
  if (options.publish) publish(results, plot);
}

/** What a benchmark of parts measured, with the machine that it was measured on. */
export function saveRows(benchmark: string, rows: readonly unknown[]): void {
  const date = new Date().toISOString();
  const path = join(RESULTS, `${benchmark}-${date.slice(0, 19).replaceAll(':', '')}.json`);
  save(path, `${JSON.stringify({ machine: describeMachine(), date, rows }, null, 1)}\n`);
  process.stderr.write(`\n${path}\n`);
}

/** The whole table for docs/benchmarks.md, the rows that matter most for the front pages. */
function publish(results: Results, plot: string): void {
  const tables = {
    'docs/benchmarks.md': markdown(results),
    'README.md': summary(results),
    'README.zh.md': summary(results),
  };
  for (const [name, table] of Object.entries(tables)) {
    const path = join(ROOT, name);
    writeFileSync(path, between(readFileSync(path, 'utf8'), table, name));
  }
  save(join(ROOT, 'docs/bench.svg'), plot);
}

/** @throws Error when the text has no place for it */
export function between(text: string, content: string, name: string): string {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${name} has no ${BEGIN} and ${END}, between which the table belongs`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${content.trim()}\n\n${text.slice(end)}`;
}

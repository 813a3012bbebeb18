/**
 * Writes the outputs of a run: the table on stdout, files in bench/results and, on request, the
 * tables of the READMEs and docs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BENCHMARKS, writeFrontPages } from './front-page.ts';
import { describeMachine } from './machine.ts';
import { between } from './marks.ts';
import type { BenchOptions } from './options.ts';
import { plotBars } from './plots/bars.ts';
import { RESULTS, type Results, ROOT, save } from './results.ts';
import { markdown } from './table.ts';

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

/** Saves the rows of a benchmark and a description of the machine that it ran on. */
export function saveRows(benchmark: string, rows: readonly unknown[]): void {
  const date = new Date().toISOString();
  const path = join(RESULTS, `${benchmark}-${date.slice(0, 19).replaceAll(':', '')}.json`);
  save(path, `${JSON.stringify({ machine: describeMachine(), date, rows }, null, 1)}\n`);
  process.stderr.write(`\n${path}\n`);
}

/**
 * Writes the full table into docs/benchmarks.md, six of its rows into the READMEs, and the plot
 * into docs/bench.svg.
 */
function publish(results: Results, plot: string): void {
  const path = join(ROOT, BENCHMARKS);
  writeFileSync(path, between(readFileSync(path, 'utf8'), markdown(results), BENCHMARKS));
  writeFrontPages();
  save(join(ROOT, 'docs/bench.svg'), plot);
}

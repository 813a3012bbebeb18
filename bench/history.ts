/**
 * Keeps the ratios to wireguard-go of short runs, one line of JSON each, in a file that is
 * committed: a slow loss of speed shows there, although no single run on a busy machine proves it.
 * Nothing asserts these figures. A run fails only if a figure could not be measured.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cell, RESULTS, type Results } from './results.ts';
import { isNumber, median, ratio } from './statistics.ts';

const HISTORY = join(RESULTS, 'speed.jsonl');
const OURS = 'wireguard-ts';
const OTHER = 'wireguard-go';

/**
 * Returns the line of a run.
 * @param commit the commit that was measured
 * @throws Error that names the figures which could not be measured
 */
export function historyLine(results: Results, commit: string): string {
  const missing: string[] = [];
  const figures = results.figures.map(({ name }) => {
    const [ours, theirs] = [cell(results, name, OURS), cell(results, name, OTHER)];
    const measured = ratio(ours, theirs);
    if (!measured) missing.push(name);
    const values = { ours: rounded(ours), other: rounded(theirs), ratio: round(measured?.paired ?? Number.NaN) };
    return [name, values] as const;
  });
  if (figures.length === 0) missing.push('everything');
  if (missing.length > 0)
    throw new Error(`not measured against ${OTHER}: ${missing.join(', ')}; ${results.notes.join('; ')}`);
  const { machine, date, runs, seconds } = results;
  const versions = results.contenders.map(({ name, version }) => `${name} ${version}`);
  const processor = `${machine.cpu}, ${machine.cores} cores`;
  return JSON.stringify({ date, commit, processor, runs, seconds, versions, ...Object.fromEntries(figures) });
}

/** Appends a line to the history, and prints it. */
export function keep(line: string): void {
  mkdirSync(dirname(HISTORY), { recursive: true });
  appendFileSync(HISTORY, `${line}\n`);
  process.stdout.write(`${line}\n`);
}

function rounded(values: readonly (number | undefined)[]): number {
  return round(median(values.filter(isNumber)));
}

/** Four significant digits. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}

/**
 * Formats the machine's results as Markdown: each contender's median and its ratio to the kernel
 * module.
 */
import { machineLine } from '../machine.ts';
import { cell, type Figure, type Results } from '../results.ts';
import { ratio } from '../statistics.ts';
import { cellMedian, table } from '../table.ts';

const DIGITS = 3;

export function againstKernel(results: Results): string {
  const kernel = results.contenders.find(({ kind }) => kind === 'kernel');
  const tables = results.figures.map(figure => oneFigure(results, figure, kernel?.name));
  return `${tables.join('\n')}\n${footnotes(results, kernel !== undefined).join('\n\n')}\n`;
}

function oneFigure(results: Results, figure: Figure, kernel: string | undefined): string {
  const title = `${figure.title}${figure.better === 'less' ? ' (less is better)' : ''}`;
  const rows = results.contenders.map(({ name }) => [
    name,
    shown(cellMedian(results, figure.name, name)),
    spread(cell(results, figure.name, name)),
    kernel === undefined ? '' : share(results, figure, name, kernel),
  ]);
  return table([[title, figure.unit, 'lowest and highest', 'ratio to the kernel'], ...rows]);
}

/** Formats the median of the ratios, one ratio per run. */
function share(results: Results, figure: Figure, name: string, kernel: string): string {
  const found = ratio(cell(results, figure.name, name), cell(results, figure.name, kernel));
  return found ? `${found.paired.toFixed(2)}x` : '';
}

function spread(values: readonly (number | undefined)[]): string {
  const known = values.filter(value => value !== undefined);
  return known.length === 0 ? '' : `${shown(Math.min(...known))} - ${shown(Math.max(...known))}`;
}

function shown(value: number | undefined): string {
  return value === undefined ? '' : value.toPrecision(DIGITS);
}

function footnotes({ machine, contenders, date, runs, seconds, notes }: Results, kernel: boolean): string[] {
  const versions = contenders.flatMap(({ name, version }) => (version === '' ? [] : `${name} ${version}`));
  return [
    `An emulated machine, where only ratios are meaningful: ${machineLine(machine)}. ${runs} runs, one contender after the other in each, ${seconds} s a transfer; medians, and medians of the ratios run by run. ${date.slice(0, 10)}.`,
    `Versions: ${versions.join('; ')}.`,
    ...(kernel ? [] : ['The kernel module did not take part.']),
    ...notes,
  ];
}

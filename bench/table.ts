/**
 * Formats the results as a Markdown table: the median of every contender, and the ratios of this
 * program to wireguard-go and to the best of the others.
 */
import { machineLine } from './machine.ts';
import { type ContenderFacts, cell, type Figure, type Results } from './results.ts';
import { isNumber, median, type Ratio, ratio } from './statistics.ts';

/** The contender that every row compares with, if it took part. */
const BASELINE = 'wireguard-go';

/** Maximum columns of prose in Markdown. */
const PROSE = 120;

/** Returns the contender whose ratios the table shows: the first one of ours. */
function ourContender(results: Results): ContenderFacts | undefined {
  return results.contenders.find(({ kind }) => kind === 'ours');
}

/** Returns the median of a cell, or undefined if no run succeeded. */
export function cellMedian(results: Results, figure: string, contender: string): number | undefined {
  const values = cell(results, figure, contender).filter(isNumber);
  return values.length === 0 ? undefined : median(values);
}

export function ratioTo(results: Results, figure: Figure, other: string): Ratio | undefined {
  const ours = ourContender(results);
  return ours && ratio(cell(results, figure.name, ours.name), cell(results, figure.name, other));
}

/** Returns the contender with the best value for a figure, except wireguard-go and our own. */
export function bestOther(results: Results, figure: Figure): ContenderFacts | undefined {
  let best: ContenderFacts | undefined;
  let value = 0;
  for (const contender of results.contenders) {
    if (contender.kind !== 'other' || contender.name === BASELINE) continue;
    const own = cellMedian(results, figure.name, contender.name);
    if (own === undefined || (best && (figure.better === 'more' ? own <= value : own >= value))) continue;
    best = contender;
    value = own;
  }
  return best;
}

export function markdown(results: Results): string {
  const { contenders, figures } = results;
  const go = contenders.some(({ name }) => name === BASELINE);
  const rest = contenders.some(({ kind, name }) => kind === 'other' && name !== BASELINE);
  const header = [
    '',
    ...contenders.map(({ name }) => name),
    ...(go ? [`ratio to ${BASELINE}`] : []),
    ...(rest ? ['ratio to the best other'] : []),
  ];
  const rows = figures.map(figure => [
    `${figure.title} (${figure.unit}${figure.better === 'less' ? ', less is better' : ''})`,
    ...contenders.map(({ name }) => formatValue(cellMedian(results, figure.name, name), figure)),
    ...(go ? [formatRatio(ratioTo(results, figure, BASELINE))] : []),
    ...(rest ? [formatBest(results, figure)] : []),
  ]);
  return `${table([header, ...rows])}${footnotes(results)}`;
}

/** Formats rows as a table with aligned columns; the first row is the header. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(3, ...rows.map(row => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text, i) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return `${[line(rows[0]!), rule, ...rows.slice(1).map(line)].join('\n')}\n`;
}

export function formatValue(value: number | undefined, figure: Figure): string {
  return value === undefined ? '' : value.toLocaleString('en', fixed(figure.digits));
}

function formatRatio(value: Ratio | undefined): string {
  return value === undefined ? '' : `${value.paired.toLocaleString('en', fixed(2))}x`;
}

function formatBest(results: Results, figure: Figure): string {
  const best = bestOther(results, figure);
  return best ? `${formatRatio(ratioTo(results, figure, best.name))} ${best.name}`.trim() : '';
}

function footnotes({ machine, contenders, date, runs, seconds, quick, notes }: Results): string {
  const versions = contenders.flatMap(({ name, version }) => (version === '' ? [] : `${name} ${version}`));
  return [
    `${runs} runs, one contender after the other in each, ${seconds} s a transfer; medians, and medians of the ratios run by run. Both ends on one machine: ${machineLine(machine)}. ${date.slice(0, 10)}.`,
    `Versions: ${versions.join('; ')}.`,
    ...(quick ? ['A quick run: it shows that everything works, not how fast.'] : []),
    ...notes,
  ]
    .map(text => `\n${wrapped(text)}\n`)
    .join('');
}

/** Wraps text at the maximum width of prose. */
export function wrapped(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + 1 + word.length > PROSE) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}

function fixed(digits: number): Intl.NumberFormatOptions {
  return { minimumFractionDigits: digits, maximumFractionDigits: digits };
}

/**
 * Draws results as bars: one panel per figure, each with its own scale, and one bar per contender.
 * The colours have medium lightness and the background is transparent, so that the plot is legible
 * on light and dark pages.
 */
import { machineLine } from '../machine.ts';
import type { ContenderFacts, Figure, Results } from '../results.ts';
import { cellMedian, formatValue } from '../table.ts';
import { bar, label, picture } from './svg.ts';

const WIDTH = 920;
const MARGIN = 16;
const COLUMNS = 2;
const GAP = 36;
const PANEL = (WIDTH - 2 * MARGIN - GAP) / COLUMNS;
const NAMES = 142;
const VALUES = 66;
const LINE = 15;
const BAR = 10;
const HEADING = 22;
const BELOW = 14;
const TOP = 62;

const OURS = ['#2f81f7', '#79b0f9', '#b3d1fb'];
const OTHERS = ['#d9822b', '#9a7bd0', '#5ba35b', '#c2607f'];
const KERNEL = '#8a8f98';

const FONT = 'font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif';
const STYLE = [
  `text{${FONT};font-size:11.5px;fill:#7d8590}`,
  '.title{font-size:16px;font-weight:600}.figure{font-size:12.5px;font-weight:600}.value{font-variant-numeric:tabular-nums}',
  '@media (prefers-color-scheme:dark){text{fill:#9aa4af}.title,.figure{fill:#e6edf3}}',
  '@media (prefers-color-scheme:light){text{fill:#59636e}.title,.figure{fill:#1f2328}}',
].join('');

export function plotBars(results: Results): string {
  const contenders = results.contenders.filter(({ kind }) => kind !== 'bare');
  const colors = colorsOf(contenders);
  const headlines = results.figures.filter(({ headline }) => headline === true);
  const figures = headlines.length > 0 ? headlines : results.figures;
  const bottoms = Array<number>(COLUMNS).fill(TOP);
  const shapes: string[] = [];
  const heights = figures.map(figure => panelHeight(results, figure, contenders));
  const half = heights.reduce((sum, height) => sum + height, 0) / COLUMNS;
  let column = 0;
  for (const [i, figure] of figures.entries()) {
    // Fill one column after the other, in the order of the table.
    const bottom = bottoms[column]! - TOP + heights[i]! / 2;
    if (bottom > half && column < COLUMNS - 1) column++;
    shapes.push(...panel(results, figure, contenders, colors, MARGIN + column * (PANEL + GAP), bottoms[column]!));
    bottoms[column]! += heights[i]!;
  }
  const title = 'WireGuard programs side by side, both ends on one machine';
  const facts = `${machineLine(results.machine)}; ${results.date.slice(0, 10)}; medians of ${results.runs}`;
  const head = [label(MARGIN, 26, title, 'title'), label(MARGIN, 44, facts, 'facts')];
  return picture(WIDTH, Math.ceil(Math.max(...bottoms)), title, STYLE, [...head, ...shapes]);
}

function panelHeight(results: Results, figure: Figure, contenders: readonly ContenderFacts[]): number {
  const present = contenders.filter(({ name }) => cellMedian(results, figure.name, name) !== undefined);
  return HEADING + present.length * LINE + BELOW;
}

function panel(
  results: Results,
  figure: Figure,
  contenders: readonly ContenderFacts[],
  colors: ReadonlyMap<string, string>,
  x: number,
  top: number,
): string[] {
  const values = contenders.flatMap(({ name }) => {
    const value = cellMedian(results, figure.name, name);
    return value === undefined ? [] : [{ name, value }];
  });
  const longest = Math.max(...values.map(({ value }) => value));
  const room = PANEL - NAMES - VALUES;
  const unit = `${figure.unit}${figure.better === 'less' ? ', less is better' : ''}`;
  const lines = values.flatMap(({ name, value }, i) => {
    const y = top + HEADING + i * LINE;
    const width = longest > 0 ? Math.max(1, (value / longest) * room) : 1;
    return [
      label(x + NAMES - 8, y + BAR - 1, name, 'name', 'end'),
      bar(x + NAMES, y, width, BAR, colors.get(name)!),
      label(x + NAMES + width + 6, y + BAR - 1, formatValue(value, figure), 'value'),
    ];
  });
  return [label(x, top + 12, `${figure.title} (${unit})`, 'figure'), ...lines];
}

function colorsOf(contenders: readonly ContenderFacts[]): Map<string, string> {
  const colors = new Map<string, string>();
  const left = { ours: [...OURS], other: [...OTHERS] };
  for (const { name, kind } of contenders) {
    const color = kind === 'ours' || kind === 'other' ? left[kind].shift() : KERNEL;
    colors.set(name, color ?? KERNEL);
  }
  return colors;
}

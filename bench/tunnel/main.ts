/**
 * `npm run bench -- tunnel`: compares all WireGuard programs found on this machine, each between
 * two namespaces.
 */
import { historyLine, keep } from '../history.ts';
import { describeMachine } from '../machine.ts';
import type { BenchOptions } from '../options.ts';
import { Progress } from '../progress.ts';
import { report } from '../report.ts';
import { loadResults, type Results } from '../results.ts';
import { type Contender, commitOf, findContenders } from './contenders.ts';
import { enter, isInside, watchOutside } from './enter.ts';
import { USUAL_CONGESTION } from './iperf.ts';
import { makeLab } from './lab.ts';
import type { Measure } from './measure.ts';
import { MEASURES } from './measures/all.ts';
import { carryOut, countSteps, type Plan } from './schedule.ts';

/** This contender takes part only if --contenders names it. */
const ONLY_WHEN_NAMED = 'wireguard-ts (pure)';

const CONGESTION = `TCP uses ${USUAL_CONGESTION}, Linux's default, unless a row says BBR.`;

export async function runTunnel(options: BenchOptions): Promise<void> {
  if (options.from !== undefined) return report(loadResults(options.from), options);
  if (!isInside()) {
    process.exitCode = await enter();
    return;
  }
  watchOutside();
  const lab = await makeLab();
  const found = await findContenders();
  if (options.list) return list(found);
  const contenders = choose(found, options.contenders);
  const wanted = wantedFigures(options.only);
  const measures: Measure[] = [];
  const notes: string[] = [];
  for (const measure of MEASURES) {
    const figures = measure.figures.filter(({ name }) => wanted.has(name));
    if (figures.length === 0) continue;
    const why = await measure.unavailable?.(lab);
    if (why === undefined) measures.push(measure);
    else notes.push(`${figures.map(({ title }) => title).join(', ')}: not measurable here, ${why}`);
  }
  const effort = { seconds: options.seconds, quick: options.quick };
  const plan: Plan = { lab, contenders, measures, runs: options.runs, effort, wanted };
  const progress = new Progress(countSteps(plan));
  const date = new Date().toISOString();
  for (const note of notes) progress.remark(note);
  const { values, failures } = await carryOut(plan, progress);
  progress.finish();
  const results: Results = {
    machine: describeMachine(),
    date,
    runs: options.runs,
    seconds: options.seconds,
    quick: options.quick,
    contenders: contenders.map(({ name, kind, version }) => ({ name, kind, version })),
    figures: measures.flatMap(({ figures }) => figures.filter(({ name }) => wanted.has(name))),
    values,
    notes: [CONGESTION, ...notes, ...failures],
  };
  const nothing = Object.values(values).every(row =>
    Object.values(row)
      .flat()
      .every(value => value === null),
  );
  if (nothing) throw new Error(`nothing could be measured: ${failures.join('; ')}`);
  report(results, options);
  if (options.keep) keep(historyLine(results, commitOf()));
  process.stdout.write('', () => process.exit(0));
}

function list(found: readonly Contender[]): void {
  for (const { name, version } of found) console.log(`${name.padEnd(24)}${version}`);
  console.log();
  for (const { figures } of MEASURES)
    for (const { name, title, unit } of figures) console.log(`${name.padEnd(24)}${title}, ${unit}`);
  process.stdout.write('', () => process.exit(0));
}

function choose(found: readonly Contender[], names: readonly string[]): Contender[] {
  if (names.length === 0) return found.filter(({ name }) => name !== ONLY_WHEN_NAMED);
  const missing = names.filter(name => !found.some(contender => contender.name === name));
  if (missing.length > 0)
    throw new Error(`not found here: ${missing.join(', ')}; there are: ${found.map(({ name }) => name).join(', ')}`);
  return found.filter(({ name }) => names.includes(name));
}

function wantedFigures(only: readonly string[]): Set<string> {
  const all = MEASURES.flatMap(({ figures }) => figures.map(({ name }) => name));
  const unknown = only.filter(name => !all.includes(name));
  if (unknown.length > 0) throw new Error(`no such measure: ${unknown.join(', ')}; there are: ${all.join(', ')}`);
  return new Set(only.length === 0 ? all : only);
}

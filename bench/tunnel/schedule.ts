/**
 * Carries out the measurements. Each run of a measure takes all contenders in turn, so that a slow
 * minute of the machine affects all of them.
 */
import type { Progress } from '../progress.ts';
import type { Contender } from './contenders.ts';
import type { Lab } from './lab.ts';
import type { Effort, Measure, Taken } from './measure.ts';
import { Tunnel } from './tunnel.ts';

export interface Plan {
  readonly lab: Lab;
  readonly contenders: readonly Contender[];
  readonly measures: readonly Measure[];
  readonly runs: number;
  readonly effort: Effort;
  /** Names of figures. */
  readonly wanted: ReadonlySet<string>;
}

export interface Measured {
  /** By figure, then contender, then run; null where it failed. */
  readonly values: Record<string, Record<string, (number | null)[]>>;
  readonly failures: string[];
}

/** Returns the contenders that a measure applies to. */
function participants(plan: Plan, measure: Measure): Contender[] {
  return plan.contenders.filter(contender => measure.kinds.includes(contender.kind));
}

function runsOf(plan: Plan, measure: Measure): number {
  return Math.min(plan.runs, measure.mostRuns ?? plan.runs);
}

export function countSteps(plan: Plan): number {
  return plan.measures.reduce((sum, measure) => sum + participants(plan, measure).length * runsOf(plan, measure), 0);
}

export async function carryOut(plan: Plan, progress: Progress): Promise<Measured> {
  const values = emptyValues(plan);
  const failures = new Failures();
  for (const measure of plan.measures)
    for (let run = 0; run < runsOf(plan, measure); run++)
      for (const contender of participants(plan, measure)) {
        const what = `run ${run + 1}, ${contender.name}`;
        progress.begin(`${what}: ${measure.figures[0]!.title}`);
        const taken = await attempt(plan, measure, contender);
        const figures = measure.figures.filter(({ name }) => plan.wanted.has(name));
        for (const { name } of figures) {
          if (typeof taken !== 'string') values[name]![contender.name]![run] = finite(taken[name]);
        }
        if (typeof taken === 'string') failures.add(`${contender.name}, ${measure.figures[0]!.name}: ${taken}`);
        progress.end(what, typeof taken === 'string' ? `failed: ${taken}` : outcome(figures, taken));
      }
  return { values, failures: failures.lines() };
}

/** Collects failure messages, and lists each once with its count. */
class Failures {
  readonly #counts = new Map<string, number>();

  add(text: string): void {
    this.#counts.set(text, (this.#counts.get(text) ?? 0) + 1);
  }

  lines(): string[] {
    return [...this.#counts].map(([text, count]) => `Failed${count > 1 ? ` ${count} times` : ''}: ${text}`);
  }
}

/** Returns a table of cells, all filled with null. */
function emptyValues(plan: Plan): Measured['values'] {
  const values: Measured['values'] = {};
  for (const measure of plan.measures)
    for (const { name } of measure.figures)
      if (plan.wanted.has(name))
        values[name] = Object.fromEntries(
          participants(plan, measure).map(contender => [
            contender.name,
            Array<number | null>(runsOf(plan, measure)).fill(null),
          ]),
        );
  return values;
}

/**
 * Takes a measure. @returns an error message if it fails, so that one contender's failure does not
 * end the whole run
 */
async function attempt(plan: Plan, measure: Measure, contender: Contender): Promise<Taken | string> {
  try {
    if (measure.needs === 'lab') return await measure.take(contender, plan.lab, plan.effort);
    const tunnel = await Tunnel.open(contender, plan.lab);
    try {
      return await measure.take(tunnel, plan.effort, plan.wanted);
    } finally {
      await tunnel.close();
    }
  } catch (error) {
    return (error as Error).message.replaceAll('\n', ' ').slice(0, 300);
  }
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

function outcome(figures: Measure['figures'], taken: Taken): string {
  return figures
    .flatMap(({ name, unit, digits }) =>
      taken[name] === undefined ? [] : `${name} ${taken[name].toFixed(digits)} ${unit}`,
    )
    .join(', ');
}

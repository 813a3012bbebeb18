/** Computes and formats the results of the micro-benchmarks. */
import { table } from '../table.ts';
import type { Contest, Subject } from './contest.ts';
import type { Timing } from './stopwatch.ts';

export interface MicroRow {
  /** The name of the subject. */
  readonly subject: string;
  /** The name of the contest. */
  readonly contest: string;
  readonly contender: string;
  /** The unit of work: 'packet', 'call', ... */
  readonly unit: string;
  /** Microseconds per unit. */
  readonly microseconds: number;
  readonly perSecond: number;
  readonly gigabitsPerSecond?: number;
  /** Half of the 95 % confidence interval, as a share of the mean. */
  readonly margin: number;
  readonly samples: number;
}

/** @param overhead seconds to subtract from each run */
export function makeRow(
  subject: Subject,
  contest: Contest,
  contender: string,
  timing: Timing,
  overhead: number,
): MicroRow {
  // Keep the result positive despite noise.
  const seconds = Math.max(timing.seconds - overhead, timing.seconds / 100);
  const perSecond = contest.units / seconds;
  return {
    subject: subject.name,
    contest: contest.name,
    contender,
    unit: subject.unit,
    microseconds: 1e6 / perSecond,
    perSecond,
    ...(contest.bytes !== undefined && { gigabitsPerSecond: (contest.bytes * 8) / seconds / 1e9 }),
    margin: (timing.margin * timing.seconds) / seconds,
    samples: timing.samples,
  };
}

/** Returns a heading and a table for each subject. */
export function markdown(subjects: readonly Subject[], rows: readonly MicroRow[]): string {
  return subjects.map(subject => section(subject, rows)).join('\n');
}

function section({ name, title, unit }: Subject, all: readonly MicroRow[]): string {
  const rows = all.filter(({ subject }) => subject === name);
  const bits = rows.some(({ gigabitsPerSecond }) => gigabitsPerSecond !== undefined);
  const header = ['', 'by', `µs/${unit}`, `${unit}s/s`, ...(bits ? ['Gbit/s'] : []), '±'];
  const body = rows.map((row, i) => [
    // Show the contest's name only in its first row.
    rows[i - 1]?.contest === row.contest ? '' : row.contest,
    row.contender,
    significant(row.microseconds),
    Math.round(row.perSecond).toLocaleString('en'),
    ...(bits ? [row.gigabitsPerSecond === undefined ? '' : significant(row.gigabitsPerSecond)] : []),
    `${(row.margin * 100).toFixed(1)} %`,
  ]);
  return `### ${title}\n\n${table([header, ...body])}`;
}

/** Formats a number with three significant digits. */
export function significant(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}

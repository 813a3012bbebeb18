/** Describes the results of a run: facts about machine and contenders, and all measured values. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Machine } from './machine.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const RESULTS = join(ROOT, 'bench/results');

/** One measured quantity: a row of the table. */
export interface Figure {
  /** The name for --only and the JSON. */
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  /** Decimal places. */
  readonly digits: number;
  /** Whether the plot shows this figure. The plot does not have room for all of them. */
  readonly headline?: boolean;
}

export type Kind = 'ours' | 'other' | 'kernel' | 'bare';

export interface ContenderFacts {
  readonly name: string;
  readonly kind: Kind;
  readonly version: string;
}

export interface Results {
  readonly machine: Machine;
  readonly date: string;
  readonly runs: number;
  readonly seconds: number;
  /** Whether the run used --quick. A quick run shows that everything works, not how fast it is. */
  readonly quick: boolean;
  readonly contenders: readonly ContenderFacts[];
  readonly figures: readonly Figure[];
  /** Values by figure, then by contender: one value per run, null where the run failed. */
  readonly values: Readonly<Record<string, Readonly<Record<string, readonly (number | null)[]>>>>;
  /** Remarks for readers of the table: which values could not be measured, and why. */
  readonly notes: readonly string[];
}

/** Returns the values of one cell, with undefined where a run failed. */
export function cell(results: Results, figure: string, contender: string): (number | undefined)[] {
  return (results.values[figure]?.[contender] ?? []).map(value => value ?? undefined);
}

export function loadResults(path: string): Results {
  return JSON.parse(readFileSync(path, 'utf8')) as Results;
}

export function save(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

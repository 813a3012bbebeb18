/**
 * Defines a measure: a group of figures, and how to take them together. Each file in measures/
 * defines one or more.
 */
import type { Figure, Kind } from '../results.ts';
import type { Contender } from './contenders.ts';
import type { Lab } from './lab.ts';
import type { Tunnel } from './tunnel.ts';

export interface Effort {
  /** Seconds of one transfer. */
  readonly seconds: number;
  readonly quick: boolean;
}

/** Values by name of figure. */
export type Taken = Readonly<Record<string, number>>;

interface Common {
  readonly figures: readonly Figure[];
  /** The kinds of contenders that the measure applies to. */
  readonly kinds: readonly Kind[];
  /** Upper bound for the number of runs, for measures that take long or hardly vary. */
  readonly mostRuns?: number;
  /** Returns why this machine cannot take the measure, or undefined if it can. */
  unavailable?(lab: Lab): Promise<string | undefined>;
}

/** A measure that is given an open tunnel. */
export interface TunnelMeasure extends Common {
  readonly needs: 'tunnel';
  /** @param wanted names of figures; others may be omitted */
  take(tunnel: Tunnel, effort: Effort, wanted: ReadonlySet<string>): Promise<Taken>;
}

/** A measure that creates its own devices. */
export interface LabMeasure extends Common {
  readonly needs: 'lab';
  take(contender: Contender, lab: Lab, effort: Effort): Promise<Taken>;
}

export type Measure = TunnelMeasure | LabMeasure;

export const ALL_KINDS: readonly Kind[] = ['ours', 'other', 'kernel', 'bare'];
export const TUNNELS: readonly Kind[] = ['ours', 'other', 'kernel'];

/** What a measure is: figures that are taken together, and how. Each file in measures/ is one. */
import type { Figure, Kind } from '../results.ts';
import type { Contender } from './contenders.ts';
import type { Lab } from './lab.ts';
import type { Tunnel } from './tunnel.ts';

export interface Effort {
  /** Of one transfer. */
  readonly seconds: number;
  readonly quick: boolean;
}

/** By name of figure. */
export type Taken = Readonly<Record<string, number>>;

interface Common {
  readonly figures: readonly Figure[];
  /** Of whom it can be taken. */
  readonly kinds: readonly Kind[];
  /** No more runs than this: it takes long, or hardly differs. */
  readonly mostRuns?: number;
  /** Why it cannot be taken on this machine at all. */
  unavailable?(lab: Lab): Promise<string | undefined>;
}

/** Taken of a tunnel that is up. */
export interface TunnelMeasure extends Common {
  readonly needs: 'tunnel';
  /** @param wanted names of figures; the others may be left out */
  take(tunnel: Tunnel, effort: Effort, wanted: ReadonlySet<string>): Promise<Taken>;
}

/** Makes what it needs itself. */
export interface LabMeasure extends Common {
  readonly needs: 'lab';
  take(contender: Contender, lab: Lab, effort: Effort): Promise<Taken>;
}

export type Measure = TunnelMeasure | LabMeasure;

export const EVERYBODY: readonly Kind[] = ['ours', 'other', 'kernel', 'bare'];
export const TUNNELS: readonly Kind[] = ['ours', 'other', 'kernel'];

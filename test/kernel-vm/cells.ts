/**
 * The combinations that are tested against the kernel module: each program as initiator, each outer
 * family, with and without a preshared key. Every pair of these occurs in half of the eight
 * combinations, and a cell takes most of a minute in the emulated machine, so the other half needs
 * WG_KERNEL_CELLS=all.
 */
import type { Family } from '../../src/base/family.ts';
import { PROGRAM, type Program } from '../netns/device.ts';

export interface Cell {
  readonly name: string;
  readonly initiator: Program;
  readonly responder: Program;
  readonly outer: Family;
  readonly psk: boolean;
  /** Bytes of TCP to move, half of the cells in each direction; the emulated machine is slow. */
  readonly bytes: number;
}

/** The guest's line of output for one cell. */
export interface CellResult {
  readonly name: string;
  readonly error?: string;
  readonly seconds: number;
  readonly megabitsPerSecond?: number;
}

const THIRTY_MB = 30_000_000;
const TEN_MB = 10_000_000;

const ALL_CELLS: readonly Cell[] = ([4, 6] as const).flatMap(outer =>
  [false, true].flatMap(psk =>
    [
      ['kernel', PROGRAM],
      [PROGRAM, 'kernel'],
    ].map(([initiator, responder]) => ({
      name: `${initiator} to ${responder}, IPv${outer} outside, ${psk ? 'with' : 'without'} PSK`,
      initiator: initiator!,
      responder: responder!,
      outer,
      psk,
      bytes: outer === 4 && !psk ? THIRTY_MB : TEN_MB,
    })),
  ),
);

export const CELLS =
  process.env['WG_KERNEL_CELLS'] === 'all'
    ? ALL_CELLS
    : ALL_CELLS.filter(({ initiator, outer, psk }) => (initiator === 'kernel') === ((outer === 6) === psk));

/** The device of this program is handed over while numbered datagrams go to the module. */
export const HAND_OVER = {
  name: `hand-overs of ${PROGRAM} beside the module`,
  count: 3,
  /**
   * Datagrams a second. In the emulated machine a pause is hundreds of times as long, and all that
   * waited must fit into the receiver's socket.
   */
  rate: 30,
} as const;

export interface HandOverResult {
  readonly name: string;
  readonly error?: string;
  readonly sent?: number;
  readonly received?: number;
  readonly doubled?: number;
  /** Milliseconds without a process. */
  readonly pauses?: readonly number[];
  readonly isSessionKept?: boolean;
}

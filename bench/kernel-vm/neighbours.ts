/**
 * Measures the CPU time that other programs took on the host while the machine ran. If the emulated
 * CPU has to wait, some contenders slow down more than others, and nothing inside the machine shows
 * it.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { machineCpuSeconds } from '../tunnel/usage.ts';

/** USER_HZ, the unit of /proc/self/stat. */
const TICKS_PER_SECOND = 100;
/** Ignore smaller shares: they are the host's own housekeeping. */
const WORTH_A_NOTE = 0.05;

export class Neighbours {
  readonly #started = performance.now();
  readonly #busy = machineCpuSeconds();
  readonly #ours = ownCpuSeconds();

  /**
   * Returns the share of CPU time that other programs took since construction. Call it only after
   * all child processes have ended and been waited for.
   */
  share(): number {
    const seconds = ((performance.now() - this.#started) / 1000) * availableParallelism();
    const others = machineCpuSeconds() - this.#busy - (ownCpuSeconds() - this.#ours);
    return Math.min(1, Math.max(0, others / seconds));
  }
}

/** @returns a warning for readers of the table, or undefined if the share is negligible */
export function noteOn(share: number): string | undefined {
  if (share < WORTH_A_NOTE) return undefined;
  return `Other programs took ${Math.round(share * 100)} % of the host's CPU time during the run: the ratios are not reliable.`;
}

/** Returns the CPU seconds used by this process and all its descendants that have ended. */
function ownCpuSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  const [utime, stime, childUtime, childStime] = fields.slice(11, 15).map(Number);
  return (utime! + stime! + childUtime! + childStime!) / TICKS_PER_SECOND;
}

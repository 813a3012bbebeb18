/**
 * How much of the host's processors other programs took while the machine ran: an emulated processor that has to wait is slower for
 * some contenders than for others, and nothing inside the machine shows it.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { machineCpuSeconds } from '../tunnel/usage.ts';

/** Of /proc/self/stat: USER_HZ. */
const TICKS_PER_SECOND = 100;
/** Below this it is the host's own housekeeping. */
const WORTH_A_NOTE = 0.05;

export class Neighbours {
  readonly #started = performance.now();
  readonly #busy = machineCpuSeconds();
  readonly #ours = ownCpuSeconds();

  /** What share of the processors' time was others', since this was made. All children must have been waited for. */
  share(): number {
    const seconds = ((performance.now() - this.#started) / 1000) * availableParallelism();
    const others = machineCpuSeconds() - this.#busy - (ownCpuSeconds() - this.#ours);
    return Math.min(1, Math.max(0, others / seconds));
  }
}

/** @returns what a reader of the table must know, if there is anything */
export function noteOn(share: number): string | undefined {
  if (share < WORTH_A_NOTE) return undefined;
  return `Other programs took ${Math.round(share * 100)} % of the host's processors meanwhile: ratios are not reliable.`;
}

/** Of this process and of all children, and theirs, that have ended. */
function ownCpuSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  const [utime, stime, childUtime, childStime] = fields.slice(11, 15).map(Number);
  return (utime! + stime! + childUtime! + childStime!) / TICKS_PER_SECOND;
}

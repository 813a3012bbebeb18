/**
 * Holds back Problems that may pass by themselves: while a node joins or a tunnel gets its address,
 * two objects contradict each other until both have arrived. Until then neither is believed, so
 * only the report waits.
 */
import type { TimerClock } from '../../../base/clock.ts';
import { type Problem, problemKey } from '../../model/problem.ts';

/** Far above the time between two writes of calico-node, and that of a busy API server. */
const SETTLE_MS = 10_000;

export class SettlingProblems {
  readonly #clock: Pick<TimerClock, 'now'>;
  /** When each Problem was seen first, by its key. */
  #since = new Map<string, number>();

  constructor(clock: Pick<TimerClock, 'now'>) {
    this.#clock = clock;
  }

  /**
   * Returns the Problems that have lasted, and those that need not.
   * @returns also the milliseconds after which another one will have lasted
   */
  filter(problems: readonly Problem[]): { readonly lasting: readonly Problem[]; readonly nextMs?: number } {
    const settling = problems.filter(each => each.settling);
    if (settling.length === 0) {
      this.#since.clear();
      return { lasting: problems };
    }
    const now = this.#clock.now();
    this.#since = new Map(settling.map(each => [problemKey(each), this.#since.get(problemKey(each)) ?? now] as const));
    const left = (problem: Problem): number => this.#since.get(problemKey(problem))! + SETTLE_MS - now;
    const waiting = settling.map(left).filter(each => each > 0);
    const lasting = problems.filter(each => !each.settling || left(each) <= 0);
    return { lasting, ...(waiting.length > 0 && { nextMs: Math.min(...waiting) }) };
  }
}

/**
 * Counts how often this virtual machine was copied, or restored from a snapshot: the kernel then
 * draws new randomness, and writes that into its log. Programs have no other way to learn it. The
 * count is a clock's, so that it begins before a device is taken over, and is looked at before
 * anything is sealed.
 */
import { type KernelLog, watchKernelLog } from '../io/kernel-log.ts';
import type { Clock } from '../io/ports.ts';
import { hasGeneration } from './vm-generation.ts';

/** What drivers/char/random.c logs (Linux 5.18 and later). */
const RESEEDED = 'random: crng reseeded due to virtual machine fork';
/**
 * Lost messages may have been about a copy. But hosts that make the kernel log much must not be
 * able to end all sessions more often than this.
 */
const LOSS_EVERY_MS = 60_000;
/**
 * A look at the log is a system call, and a busy tunnel asks with every packet. The event loop
 * reports what is logged as well, and a kernel takes longer than this to notice a copy.
 */
const LOOK_EVERY_MS = 1;

export interface CopyCounterOptions {
  readonly isVirtual?: () => boolean;
  readonly watch?: typeof watchKernelLog;
  /** Returns milliseconds since any time. */
  readonly now?: () => number;
}

export class CopyCounter {
  /** Why copies cannot be noticed; undefined if they can, or if the machine is not virtual. */
  readonly problem: string | undefined;
  /** Called soon after a copy, unless count() finds it. */
  onCopied = (): void => {};
  readonly #log: KernelLog | undefined;
  readonly #now: () => number;
  #lostAt = Number.NEGATIVE_INFINITY;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #count = 0;
  #isAsked = false;

  /** Opens the kernel's log. Never throws. */
  constructor({
    isVirtual = hasGeneration,
    watch = watchKernelLog,
    now = () => performance.now(),
  }: CopyCounterOptions = {}) {
    this.#now = now;
    if (!isVirtual()) return;
    try {
      this.#log = watch({
        onMessage: text => text === RESEEDED && this.#add(),
        onLost: () => this.#onLost(),
        // what made it fail may have cost a message too
        onEnd: () => this.#add(),
      });
    } catch (error) {
      this.problem = (error as Error).message;
    }
  }

  /**
   * Returns the number of copies until now.
   * @param now milliseconds since any time: looks only once a millisecond
   */
  count(now = Number.POSITIVE_INFINITY): number {
    if (now - this.#lookedAt < LOOK_EVERY_MS) return this.#count;
    if (now !== Number.POSITIVE_INFINITY) this.#lookedAt = now;
    this.#isAsked = true;
    this.#log?.check();
    this.#isAsked = false;
    return this.#count;
  }

  /** Idempotent. */
  close(): void {
    this.#log?.close();
  }

  #onLost(): void {
    if (this.#now() - this.#lostAt < LOSS_EVERY_MS) return;
    this.#lostAt = this.#now();
    this.#add();
  }

  #add(): void {
    this.#count++;
    if (!this.#isAsked) this.onCopied();
  }
}

/** Returns a clock that also counts copies, and that is disturbed by them. */
export function withCopies(clock: Clock, counter: CopyCounter): Clock {
  return {
    ...clock,
    copies: now => counter.count(now),
    onDisturbed: callback => {
      const stop = clock.onDisturbed?.(callback);
      counter.onCopied = callback;
      return () => {
        stop?.();
        counter.onCopied = () => {};
      };
    },
  };
}

/**
 * The memory that staged packets of all peers share. Each queue may hold as much as is free, so n
 * busy peers get one part of n + 1 each, and a part stays free for the next one (the dynamic
 * threshold of shared-memory switches). Without this, 20,000 peers could hold 20 GB.
 */
import { DEFAULT_STAGED_BYTES } from './constants.ts';

/** Memory of a staged packet beside its bytes, measured in Node 20. */
export const STAGED_OVERHEAD = 512;

export class StagedBudget {
  /** Bytes, with overhead. After a reduction, `used` may be above it until queues were trimmed. */
  limit: number;
  #used = 0;

  constructor(limit = DEFAULT_STAGED_BYTES) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /** Reports whether a queue that holds `own` bytes may hold `more`. */
  allows(own: number, more: number): boolean {
    return own + more <= this.limit - this.#used;
  }

  take(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}

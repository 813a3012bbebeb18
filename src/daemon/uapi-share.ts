/** State that the connections of one control socket share, for limits on all of them together. */

/** A connection, as the others see it. */
export interface Sharing {
  /** Characters of requests that are unfinished, or wait. */
  readonly pending: number;
  /** Whether a request has begun to arrive, or its answer has not been written completely. */
  readonly isBusy: boolean;
  destroy(): void;
}

export class UapiShare {
  readonly connections = new Set<Sharing>();
  /** When each connection last made progress, oldest first. */
  readonly answers = new Map<Sharing, number>();
  /** Settles after the last `set`. One is parsed at a time: the result is larger than its text. */
  setting: Promise<unknown> = Promise.resolve();

  get pending(): number {
    let sum = 0;
    for (const { pending } of this.connections) sum += pending;
    return sum;
  }

  get isBusy(): boolean {
    for (const { isBusy } of this.connections) if (isBusy) return true;
    return false;
  }
}

/**
 * Publishes this node's public keys in its Node's annotations
 * (docs/reference/calico-felix.md#node-annotations, #nodes-written, #publishing,
 * #when-felix-clears-it). A merge patch changes only the one annotation.
 *
 * Other programs overwrite it: Felix clears the key once per start, and a program that rewrites the
 * whole Node may restore an old value. The publisher therefore compares every observed version of
 * the Node with the desired key. It corrects the first difference at once, and backs off
 * exponentially while another program keeps reverting the key or the API refuses the change.
 *
 * The two families are independent. The publisher removes a key only if this node published it,
 * because another agent may have published a key of its own by then.
 */
import { pauseAfter } from '../../base/back-off.ts';
import type { TimerClock } from '../../base/clock.ts';
import type { Family } from '../../base/family.ts';
import { KEY_ANNOTATION } from '../model/annotations.ts';

/** Changes to `metadata.annotations`; null removes an annotation. */
export type AnnotationPatch = Readonly<Record<string, string | null>>;

export interface NodePatcher {
  /**
   * Merges the annotations into the Node.
   * @throws Error with the API's message
   */
  patchNode(name: string, annotations: AnnotationPatch): Promise<unknown>;
}

export interface PublisherOptions {
  readonly node: string;
  readonly api: NodePatcher;
  readonly clock: TimerClock;
  log(text: string): void;
  /** Called for every request that the API refuses. */
  warn(text: string): void;
}

const FIRST_PAUSE_MS = 100;
/** Longest pause while the API refuses. */
const MAX_REFUSED_PAUSE_MS = 5_000;
/**
 * Longest pause while another program reverts the key. It is short because peers send plaintext
 * while the key is absent. Felix may revert the key repeatedly.
 */
const MAX_REVERTED_PAUSE_MS = 900;
/** If no correction was needed for this long, the next one is made at once again. */
const STABLE_AFTER_MS = 30_000;
const WITHDRAW_TIMEOUT_MS = 10_000;

export class Publisher {
  readonly #keys: Readonly<Record<Family, PublishedKey>>;

  constructor(options: PublisherOptions) {
    this.#keys = { 4: new PublishedKey(4, options), 6: new PublishedKey(6, options) };
  }

  /** Publishes a key. Call it only once the tunnel is ready. Repeated calls have no effect. */
  publish(family: Family, publicKey: string): void {
    this.#keys[family].publish(publicKey);
  }

  /**
   * Removes the key. Resolves to true once the last observed Node does not contain a key of ours.
   * Await the result before taking the tunnel down.
   * @param options `previousKey` is a key that an earlier run of the agent may have published.
   * After `timeoutMs` the promise resolves to false, and the publisher keeps trying.
   */
  withdraw(
    family: Family,
    {
      previousKey,
      timeoutMs = WITHDRAW_TIMEOUT_MS,
    }: { readonly previousKey?: string; readonly timeoutMs?: number } = {},
  ): Promise<boolean> {
    return this.#keys[family].withdraw(previousKey, timeoutMs);
  }

  /**
   * Processes a new version of this node's Node.
   * @param annotations undefined if the Node does not exist
   */
  observe(annotations: Readonly<Record<string, string>> | undefined): void {
    for (const family of [4, 6] as const)
      this.#keys[family].observe(annotations && (annotations[KEY_ANNOTATION[family]] || null));
  }

  /**
   * Sets the listener that is called when our key is back on the Node after it was absent, no
   * matter which program removed or restored it.
   */
  onRestored(listener: (family: Family) => void): void {
    for (const family of [4, 6] as const) this.#keys[family].onRestored = () => listener(family);
  }

  /** Returns whether the last observed Node contains our key. */
  isPublished(family: Family): boolean {
    return this.#keys[family].isPublished;
  }

  /** Stops sending and leaves the published keys in place. Idempotent. */
  close(): void {
    for (const key of Object.values(this.#keys)) key.close();
  }
}

class PublishedKey {
  readonly #family: Family;
  readonly #options: PublisherOptions;
  /** Every key that this agent or an earlier run published. */
  readonly #ownKeys = new Set<string>();
  /**
   * The desired key. null: no key. undefined: neither {@link publish} nor {@link withdraw} was
   * called yet.
   */
  #desired: string | null | undefined;
  /** The observed key. null: no key. undefined: unknown. */
  #observed: string | null | undefined;
  /** Whether the Node does not exist. */
  #isNodeAbsent = false;
  #isSending = false;
  /**
   * Whether the Node was observed during the current request. The observed version may be from
   * before or after the change.
   */
  #wasObservedWhileSending = false;
  #hasSent = false;
  #isClosed = false;
  #cancelRetry: (() => void) | undefined;
  #wasRefused = false;
  /** Requests sent since the key was last stable. */
  #attempts = 0;
  #lastSentAt = Number.NEGATIVE_INFINITY;
  #waiters: ((isDone: boolean) => void)[] = [];
  /** Whether the Node was observed without the desired key. */
  #wasMissing = false;
  onRestored: () => void = () => {};

  constructor(family: Family, options: PublisherOptions) {
    this.#family = family;
    this.#options = options;
  }

  get isPublished(): boolean {
    return typeof this.#desired === 'string' && this.#observed === this.#desired;
  }

  publish(publicKey: string): void {
    this.#ownKeys.add(publicKey);
    if (this.#desired === publicKey) return;
    this.#desired = publicKey;
    this.#resolveWaiters(false);
    this.#restart();
  }

  withdraw(previousKey: string | undefined, timeoutMs: number): Promise<boolean> {
    if (previousKey !== undefined) this.#ownKeys.add(previousKey);
    if (this.#desired !== null) {
      this.#desired = null;
      this.#restart();
    } else this.#reconcile();
    if (this.#isConverged() && !this.#isSending) return Promise.resolve(true);
    return new Promise(resolve => {
      const cancelTimeout = this.#options.clock.after(timeoutMs, () => {
        this.#waiters = this.#waiters.filter(each => each !== waiter);
        resolve(false);
      });
      const waiter = (isDone: boolean): void => {
        cancelTimeout();
        resolve(isDone);
      };
      this.#waiters.push(waiter);
    });
  }

  /** @param value null: the Node has no key. undefined: the Node does not exist. */
  observe(value: string | null | undefined): void {
    this.#observed = value;
    this.#isNodeAbsent = value === undefined;
    this.#wasObservedWhileSending = true;
    this.#reconcile();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelRetry?.();
    this.#resolveWaiters(false);
  }

  /** Acts on a new desired key without back-off: the change is ours, not another program's. */
  #restart(): void {
    this.#attempts = 0;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#reconcile();
  }

  #isConverged(): boolean {
    if (this.#desired === undefined || this.#isNodeAbsent) return true;
    if (this.#desired !== null) return this.#observed === this.#desired;
    if (this.#observed === undefined) return this.#ownKeys.size === 0;
    return this.#observed === null || !this.#ownKeys.has(this.#observed);
  }

  /**
   * Tracks whether the key is missing and reports its return. Until the Node was observed, the key
   * counts neither as missing nor as present.
   */
  #trackMissing(): void {
    if (typeof this.#desired !== 'string') this.#wasMissing = false;
    else if (this.#isNodeAbsent || (this.#observed !== undefined && this.#observed !== this.#desired))
      this.#wasMissing = true;
    else if (this.#wasMissing && this.isPublished) {
      this.#wasMissing = false;
      this.onRestored();
    }
  }

  #reconcile(): void {
    if (this.#isClosed) return;
    this.#trackMissing();
    if (this.#isSending) return;
    if (this.#isConverged()) {
      this.#cancelRetry?.();
      this.#cancelRetry = undefined;
      this.#resolveWaiters(true);
      return;
    }
    // Do not remove a key before the Node was observed: the key may be another agent's. The
    // exception is a key that we sent and that may have arrived.
    if (this.#cancelRetry || (this.#desired === null && this.#observed === undefined && !this.#hasSent)) return;
    const { clock } = this.#options;
    if (clock.now() - this.#lastSentAt > STABLE_AFTER_MS) this.#attempts = 0;
    const longest = this.#wasRefused ? MAX_REFUSED_PAUSE_MS : MAX_REVERTED_PAUSE_MS;
    const pause = pauseAfter(this.#attempts, FIRST_PAUSE_MS, longest);
    const remaining = this.#lastSentAt + pause - clock.now();
    if (remaining <= 0) {
      void this.#send();
      return;
    }
    this.#cancelRetry = clock.after(remaining, () => {
      this.#cancelRetry = undefined;
      this.#reconcile();
    });
  }

  async #send(): Promise<void> {
    const { node, api, clock, log, warn } = this.#options;
    const desired = this.#desired ?? null;
    const annotation = KEY_ANNOTATION[this.#family];
    this.#isSending = true;
    this.#hasSent = true;
    this.#wasObservedWhileSending = false;
    this.#attempts++;
    log(`node ${node}: ${desired === null ? `removing ${annotation}` : `setting ${annotation} to ${desired}`}`);
    try {
      await api.patchNode(node, { [annotation]: desired });
      if (!this.#wasObservedWhileSending) this.#observed = desired;
      this.#wasRefused = false;
    } catch (error) {
      this.#wasRefused = true;
      const verb = desired === null ? 'remove' : 'set';
      warn(`node ${node}: cannot ${verb} ${annotation}, trying again: ${(error as Error).message}`);
    }
    this.#isSending = false;
    this.#lastSentAt = clock.now();
    this.#reconcile();
  }

  #resolveWaiters(isDone: boolean): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve(isDone);
  }
}

/** The clock of the system. */
export const systemTimerClock: TimerClock = {
  now: () => performance.now(),
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds);
    timer.unref?.();
    return () => clearTimeout(timer);
  },
};

/**
 * Our public keys on our Node (docs/reference/calico-felix.md#node-annotations, #nodes-written, #publishing, #when-felix-clears-it): a merge patch that touches one annotation of ours and nothing else. Felix clears the
 * key once per start, and whoever rewrites the whole Node may bring back what was there before; so each new view of the Node is looked at, and what is
 * not as it shall be is put right: the first time at once, ever slower while somebody keeps changing it back or the API refuses.
 *
 * The two families know nothing of each other. A key is taken away only if it is one of ours: by then another may have it for its own.
 */
import type { Family } from '../../base/family.ts';
import { KEY_ANNOTATION } from '../model/annotations.ts';

/** Of `metadata.annotations`; null removes one. */
export type AnnotationPatch = Readonly<Record<string, string | null>>;

export interface NodePatcher {
  /** @throws what the API says, as an Error; nothing else is changed */
  patchNode(name: string, annotations: AnnotationPatch): Promise<unknown>;
}

export interface PublishClock {
  now(): number;
  /** @returns what forgets it */
  after(milliseconds: number, action: () => void): () => void;
}

export interface PublisherOptions {
  readonly node: string;
  readonly api: NodePatcher;
  readonly clock: PublishClock;
  log(text: string): void;
  /** What the API refused, each time. */
  warn(text: string): void;
}

const FIRST_PAUSE = 100;
/** While the API refuses. */
const LONGEST_PAUSE = 5_000;
/** While somebody keeps changing it back: peers send in the clear as long as it is not there, and Felix in doubt comes again. */
const LONGEST_FIGHT = 900;
/** So long without a change by others, and the next one is put right at once again. */
const PEACE = 30_000;

export class Publisher {
  readonly #keys: Readonly<Record<Family, PublishedKey>>;

  constructor(options: PublisherOptions) {
    this.#keys = { 4: new PublishedKey(4, options), 6: new PublishedKey(6, options) };
  }

  /** To be called when the tunnel is ready, and not before; the same again costs nothing. */
  publish(family: Family, publicKey: string): void {
    this.#keys[family].want(publicKey);
  }

  /**
   * Resolves when the key is gone from the Node, as far as we know, or somebody else's is there; to be awaited before the tunnel is taken away.
   * @param ours a key that an agent before this one may have published
   * @param patience milliseconds; then it resolves to false, and goes on trying
   */
  withdraw(
    family: Family,
    { ours, patience = 10_000 }: { readonly ours?: string; readonly patience?: number } = {},
  ): Promise<boolean> {
    return this.#keys[family].withdraw(ours, patience);
  }

  /** Each new view of our Node. @param annotations undefined if there is no such Node (any more) */
  see(annotations: Readonly<Record<string, string>> | undefined): void {
    for (const family of [4, 6] as const)
      this.#keys[family].see(annotations && (annotations[KEY_ANNOTATION[family]] || null));
  }

  /** Calls back each time that a key of ours is on the Node again after it was not, whoever took it away and whoever put it there. */
  onRestored(listener: (family: Family) => void): void {
    for (const family of [4, 6] as const) this.#keys[family].onRestored = () => listener(family);
  }

  /** Whether the Node has it, as far as we know. */
  isPublished(family: Family): boolean {
    return this.#keys[family].isPublished;
  }

  /** Nothing is sent after this. The keys stay where they are. Idempotent. */
  close(): void {
    for (const key of Object.values(this.#keys)) key.close();
  }
}

class PublishedKey {
  readonly #family: Family;
  readonly #options: PublisherOptions;
  /** Every key that this or an earlier agent published. */
  readonly #ours = new Set<string>();
  /** undefined: nothing was said yet; null: it shall be gone. */
  #wanted: string | null | undefined;
  /** undefined: not known. */
  #there: string | null | undefined;
  /** There is no such Node. */
  #absent = false;
  #sending = false;
  /** Whether a view came while something was sent: it may be from before or after. */
  #seenMeanwhile = false;
  #sent = false;
  #closed = false;
  #forget: (() => void) | undefined;
  #refused = false;
  /** How often it was sent without peace in between. */
  #fights = 0;
  #lastSent = Number.NEGATIVE_INFINITY;
  #waiting: ((done: boolean) => void)[] = [];
  /** Whether the Node was seen without the key that it shall have. */
  #isMissing = false;
  onRestored: () => void = () => {};

  constructor(family: Family, options: PublisherOptions) {
    this.#family = family;
    this.#options = options;
  }

  get isPublished(): boolean {
    return typeof this.#wanted === 'string' && this.#there === this.#wanted;
  }

  want(publicKey: string): void {
    this.#ours.add(publicKey);
    if (this.#wanted === publicKey) return;
    this.#wanted = publicKey;
    this.#settle(false);
    this.#newIntent();
  }

  withdraw(ours: string | undefined, patience: number): Promise<boolean> {
    if (ours !== undefined) this.#ours.add(ours);
    if (this.#wanted !== null) {
      this.#wanted = null;
      this.#newIntent();
    } else this.#next();
    if (this.#isRight() && !this.#sending) return Promise.resolve(true);
    return new Promise(resolve => {
      const forget = this.#options.clock.after(patience, () => {
        this.#waiting = this.#waiting.filter(each => each !== done);
        resolve(false);
      });
      const done = (gone: boolean): void => {
        forget();
        resolve(gone);
      };
      this.#waiting.push(done);
    });
  }

  see(value: string | null | undefined): void {
    this.#there = value;
    this.#absent = value === undefined;
    this.#seenMeanwhile = true;
    this.#next();
  }

  close(): void {
    this.#closed = true;
    this.#forget?.();
    this.#settle(false);
  }

  /** What we want is new: that is no fight. */
  #newIntent(): void {
    this.#fights = 0;
    this.#forget?.();
    this.#forget = undefined;
    this.#next();
  }

  #isRight(): boolean {
    if (this.#wanted === undefined || this.#absent) return true;
    if (this.#wanted !== null) return this.#there === this.#wanted;
    if (this.#there === undefined) return this.#ours.size === 0;
    return this.#there === null || !this.#ours.has(this.#there);
  }

  /** What nobody has looked at yet is not known to be missing. */
  #noteWhetherMissing(): void {
    if (typeof this.#wanted !== 'string') this.#isMissing = false;
    else if (this.#absent || (this.#there !== undefined && this.#there !== this.#wanted)) this.#isMissing = true;
    else if (this.#isMissing && this.isPublished) {
      this.#isMissing = false;
      this.onRestored();
    }
  }

  #next(): void {
    if (this.#closed) return;
    this.#noteWhetherMissing();
    if (this.#sending) return;
    if (this.#isRight()) {
      this.#forget?.();
      this.#forget = undefined;
      this.#settle(true);
      return;
    }
    // whose key is there must be known before it is removed, unless we sent one that may have arrived
    if (this.#forget || (this.#wanted === null && this.#there === undefined && !this.#sent)) return;
    const { clock } = this.#options;
    if (clock.now() - this.#lastSent > PEACE) this.#fights = 0;
    const longest = this.#refused ? LONGEST_PAUSE : LONGEST_FIGHT;
    const pause = this.#fights === 0 ? 0 : Math.min(longest, FIRST_PAUSE * 2 ** (this.#fights - 1));
    const left = this.#lastSent + pause - clock.now();
    if (left <= 0) {
      void this.#send();
      return;
    }
    this.#forget = clock.after(left, () => {
      this.#forget = undefined;
      this.#next();
    });
  }

  async #send(): Promise<void> {
    const { node, api, clock, log, warn } = this.#options;
    const wanted = this.#wanted ?? null;
    const annotation = KEY_ANNOTATION[this.#family];
    this.#sending = true;
    this.#sent = true;
    this.#seenMeanwhile = false;
    this.#fights++;
    log(`node ${node}: ${annotation} ${wanted === null ? 'removed' : `set to ${wanted}`}`);
    try {
      await api.patchNode(node, { [annotation]: wanted });
      if (!this.#seenMeanwhile) this.#there = wanted;
      this.#refused = false;
    } catch (error) {
      this.#refused = true;
      warn(`node ${node}: ${annotation} cannot be ${wanted === null ? 'removed' : 'set'}: ${(error as Error).message}`);
    }
    this.#sending = false;
    this.#lastSent = clock.now();
    this.#next();
  }

  #settle(done: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) each(done);
  }
}

/** Real time. */
export const systemPublishClock: PublishClock = {
  now: () => performance.now(),
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds);
    timer.unref?.();
    return () => clearTimeout(timer);
  },
};

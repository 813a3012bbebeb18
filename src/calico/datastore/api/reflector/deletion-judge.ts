/**
 * Decides whether objects of a kind were deleted by somebody, or are going with their definition. The server deletes the objects of a definition one by one
 * before the definition itself, so their deletions look alike. But a definition that is being deleted takes no new objects, which discovery tells; and
 * one that is made anew at once ends the watches of the one before. Discovery is a moment behind, and another server of the cluster may be more so.
 */

import type { CalicoGroup } from '../../resource-kinds.ts';
import { ApiError, type ReadFailure } from '../error.ts';
import type { ApiGroup } from '../group.ts';
import type { Pace } from './back-off.ts';
import type { KnownObjects } from './known-objects.ts';

export interface DeletionJudgeOptions {
  readonly known: KnownObjects;
  readonly group: ApiGroup;
  readonly plural: string;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  /** Objects or `failure` may be others. */
  readonly changed: () => void;
}

/** Until discovery is asked, and until it is asked again. */
const LOOKS_MS = [100, 1900];
/** For how long a watch must have been open: what it cannot go on from is said at once. */
const STEADY_MS = 500;
const RETRY_MS = 1000;

export class DeletionJudge {
  readonly #options: DeletionJudgeOptions;
  /** Since when the watch is open. */
  #openSince: number | undefined;
  /** How often all were listed, and in which group last: what is known is of that one. */
  #lists = 0;
  #group: CalicoGroup | undefined;
  #failure: ReadFailure | undefined;
  #judging: Promise<void> | undefined;

  constructor(options: DeletionJudgeOptions) {
    this.#options = options;
  }

  /** Why deletions wait, where it cannot be found out. */
  get failure(): ReadFailure | undefined {
    return this.#failure;
  }

  get done(): Promise<void> | undefined {
    return this.#judging;
  }

  watching(isOpen: boolean): void {
    this.#openSince = isOpen ? this.#options.pace.now() : undefined;
  }

  listed(group: CalicoGroup): void {
    this.#lists++;
    this.#group = group;
  }

  /** Of the deletions that are known. Idempotent. */
  judge(): void {
    this.#judging ??= this.#run().finally(() => {
      this.#judging = undefined;
    });
  }

  /** Whether the definition is there to stay, now. Rejects as a request does. */
  async stands(group: CalicoGroup): Promise<boolean> {
    try {
      return !['going', 'absent'].includes(await this.#options.group.definition(group, this.#options.plural));
    } catch (error) {
      // who may not ask has to take what is listed
      if (error instanceof ApiError && error.status === 403) return true;
      throw error;
    }
  }

  /** Whether it is there to stay, asked for as long as discovery may be behind. Rejects as a request does. */
  async standsFor(group: CalicoGroup, signal: AbortSignal): Promise<boolean> {
    const { pace } = this.#options;
    for (const pause of LOOKS_MS) {
      await pace.sleep(pause, signal);
      if (signal.aborted || !(await this.stands(group))) return false;
    }
    return true;
  }

  async #run(): Promise<void> {
    const { known, group, pace, signal, changed } = this.#options;
    while (known.deletions.size > 0 && !signal.aborted) {
      const [deletions, lists, own] = [known.deletions, this.#lists, this.#group];
      if (!own) return;
      // a list is the last word on them, of this group or of the one that Calico has moved to
      const isSame = (): boolean => !signal.aborted && lists === this.#lists;
      try {
        const stands = await this.standsFor(own, signal);
        if (!isSame()) continue;
        this.#failure = undefined;
        if (!stands) {
          known.orphan();
          void group.look().catch(() => undefined);
          return changed();
        }
      } catch (error) {
        if (isSame()) this.#fail(error as Error);
        await pace.sleep(RETRY_MS, signal);
        continue;
      }
      while (isSame() && !this.#isSteady()) await pace.sleep(STEADY_MS, signal);
      if (!isSame()) continue;
      known.confirm(deletions);
      changed();
    }
    this.#failure = undefined;
  }

  #isSteady(): boolean {
    return this.#openSince !== undefined && this.#options.pace.now() - this.#openSince >= STEADY_MS;
  }

  #fail({ message }: Error): void {
    const { plural, pace, changed } = this.#options;
    this.#failure = {
      since: this.#failure?.since ?? pace.now(),
      message: `${plural} were deleted, but it cannot be found out whether by somebody or with their definition: ${message}`,
    };
    changed();
  }
}

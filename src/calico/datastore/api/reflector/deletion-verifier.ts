/**
 * Decides whether objects were deleted on purpose or because their CRD was deleted. The two look
 * alike, because the server deletes a CRD's objects one by one before the CRD itself. Two signs
 * distinguish them: discovery reports that a CRD which is being deleted accepts no new objects, and
 * re-creating a CRD ends the watches of the old CRD. Discovery lags by a moment, and by more if
 * another server of the cluster answers.
 */

import type { CalicoGroup } from '../../resource-kinds.ts';
import { ApiError, type ReadFailure } from '../error.ts';
import type { ApiGroup } from '../group.ts';
import type { Pace } from './back-off.ts';
import type { KnownObjects } from './known-objects.ts';

export interface DeletionVerifierOptions {
  readonly known: KnownObjects;
  readonly group: ApiGroup;
  readonly plural: string;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  /** Called when objects or `failure` may have changed. */
  readonly onChange: () => void;
}

/** Delays before the first and before the second discovery request. */
const CHECK_DELAYS_MS = [100, 1900];
/** A watch that stayed open this long is valid: the server rejects an invalid watch at once. */
const STABLE_WATCH_MS = 500;
const RETRY_MS = 1000;

export class DeletionVerifier {
  readonly #options: DeletionVerifierOptions;
  /** When the current watch opened; undefined while none is open. */
  #openSince: number | undefined;
  #listCount = 0;
  /** The group of the last list; the known objects belong to it. */
  #listedGroup: CalicoGroup | undefined;
  #failure: ReadFailure | undefined;
  #verifying: Promise<void> | undefined;

  constructor(options: DeletionVerifierOptions) {
    this.#options = options;
  }

  /** Why pending deletions cannot be verified; undefined while they can. */
  get failure(): ReadFailure | undefined {
    return this.#failure;
  }

  get done(): Promise<void> | undefined {
    return this.#verifying;
  }

  onWatch(isOpen: boolean): void {
    this.#openSince = isOpen ? this.#options.pace.now() : undefined;
  }

  onListed(group: CalicoGroup): void {
    this.#listCount++;
    this.#listedGroup = group;
  }

  /** Starts to verify the pending deletions, unless verification is already running. */
  verify(): void {
    this.#verifying ??= this.#run().finally(() => {
      this.#verifying = undefined;
    });
  }

  /**
   * Returns whether the CRD exists and is not being deleted. Rejects with the error of a failed
   * request.
   */
  async isEstablished(group: CalicoGroup): Promise<boolean> {
    try {
      return !['terminating', 'absent'].includes(await this.#options.group.definition(group, this.#options.plural));
    } catch (error) {
      // Without permission for discovery, trust the list.
      if (error instanceof ApiError && error.status === 403) return true;
      throw error;
    }
  }

  /**
   * Like `isEstablished`, but checks twice, because discovery lags. Rejects with the error of a
   * failed request.
   */
  async staysEstablished(group: CalicoGroup, signal: AbortSignal): Promise<boolean> {
    const { pace } = this.#options;
    for (const pause of CHECK_DELAYS_MS) {
      await pace.sleep(pause, signal);
      if (signal.aborted || !(await this.isEstablished(group))) return false;
    }
    return true;
  }

  async #run(): Promise<void> {
    const { known, group, pace, signal, onChange } = this.#options;
    while (known.deletions.size > 0 && !signal.aborted) {
      const [deletions, listCount, listedGroup] = [known.deletions, this.#listCount, this.#listedGroup];
      if (!listedGroup) return;
      // A newer list supersedes these deletions, whether it comes from this group or from Calico's
      // new group.
      const isCurrent = (): boolean => !signal.aborted && listCount === this.#listCount;
      try {
        const isEstablished = await this.staysEstablished(listedGroup, signal);
        if (!isCurrent()) continue;
        this.#failure = undefined;
        if (!isEstablished) {
          known.orphanAll();
          void group.refresh().catch(() => undefined);
          return onChange();
        }
      } catch (error) {
        if (isCurrent()) this.#fail(error as Error);
        await pace.sleep(RETRY_MS, signal);
        continue;
      }
      while (isCurrent() && !this.#isWatchStable()) await pace.sleep(STABLE_WATCH_MS, signal);
      if (!isCurrent()) continue;
      known.confirmDeletions(deletions);
      onChange();
    }
    this.#failure = undefined;
  }

  #isWatchStable(): boolean {
    return this.#openSince !== undefined && this.#options.pace.now() - this.#openSince >= STABLE_WATCH_MS;
  }

  #fail({ message }: Error): void {
    const { plural, pace, onChange } = this.#options;
    this.#failure = {
      since: this.#failure?.since ?? pace.now(),
      message: `${plural} were deleted, but the agent cannot tell whether on purpose or with their CRD, so they stay in effect: ${message}`,
    };
    onChange();
  }
}

/**
 * Remembers what earlier states of the cluster have shown, across restarts:
 *
 * - Who published each key first. The datastore knows the order; this class only stores it.
 * - IPPools that are gone. When an administrator deletes a pool, its pods run on, and Felix routes
 *   their blocks until they are gone. Such blocks stay believed as long as one is left.
 */
import type { TimerClock } from '../../../base/clock.ts';
import { covers, formatPrefix } from '../../../base/prefix.ts';
import type { Datastore, Snapshot } from '../../datastore/datastore.ts';
import type { Cluster, PoolRange } from '../../model/cluster.ts';
import type { TrustStore } from '../dependencies.ts';

/** A change reaches the disk this much later: while a cluster starts, each node adds one. */
const WRITE_DELAY_MS = 5000;
/** Pools are few; the limit only bounds what a broken cluster can add. */
const MOST_FORMER_POOLS = 64;

export interface TrustMemoryOptions {
  readonly store: TrustStore;
  readonly datastore: Pick<Datastore, 'rememberKeyOwners'>;
  readonly clock: TimerClock;
  warn(text: string): void;
}

export class TrustMemory {
  readonly #options: TrustMemoryOptions;
  #pools: Cluster['ipPools'] | undefined;
  #known: readonly PoolRange[];
  #formerPools: readonly PoolRange[] = [];
  #keyOwners: Snapshot['keyOwners'];
  #isDirty = false;
  /** Cancels the pending write. */
  #cancelWrite: (() => void) | undefined;

  /** Reads the store, and passes the owners of keys to the datastore. */
  constructor(options: TrustMemoryOptions) {
    this.#options = options;
    const { keyOwners, pools } = options.store.read();
    options.datastore.rememberKeyOwners(keyOwners);
    this.#known = pools;
  }

  /** Pools that are gone, and of which blocks remain; the same array until they change. */
  get formerPools(): readonly PoolRange[] {
    return this.#formerPools;
  }

  /** Processes a state of the cluster. @param full also forgets pools whose last block is gone */
  observe({ cluster, keyOwners }: Snapshot, full: boolean): void {
    if (keyOwners !== this.#keyOwners) {
      this.#keyOwners = keyOwners;
      this.#markDirty();
    }
    if (cluster.ipPools === this.#pools && !(full && this.#formerPools.length > 0)) return;
    this.#pools = cluster.ipPools;
    const current = new Map([...cluster.ipPools.values()].map(each => [textOf(each), each]));
    const blocks = [...cluster.ipamBlocks.values()];
    const former = this.#known
      .filter(each => !current.has(textOf(each)) && blocks.some(({ cidr }) => covers(each.cidr, cidr)))
      .slice(-MOST_FORMER_POOLS);
    const known = [...former, ...current.values()];
    if (listOf(known) !== listOf(this.#known)) this.#markDirty();
    this.#known = known;
    if (listOf(former) !== listOf(this.#formerPools)) this.#formerPools = former;
  }

  /** Writes what has not been written. */
  close(): void {
    this.#cancelWrite?.();
    this.#cancelWrite = undefined;
    this.#write();
  }

  #markDirty(): void {
    this.#isDirty = true;
    this.#cancelWrite ??= this.#options.clock.after(WRITE_DELAY_MS, () => {
      this.#cancelWrite = undefined;
      this.#write();
    });
  }

  #write(): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    try {
      this.#options.store.write({ keyOwners: this.#keyOwners ?? {}, pools: this.#known });
    } catch (error) {
      this.#options.warn(`cannot store what this agent remembers of the cluster: ${(error as Error).message}`);
    }
  }
}

function textOf({ cidr, blockSize }: PoolRange): string {
  return `${formatPrefix(cidr)} ${blockSize}`;
}

function listOf(ranges: readonly PoolRange[]): string {
  return ranges.map(textOf).sort().join();
}

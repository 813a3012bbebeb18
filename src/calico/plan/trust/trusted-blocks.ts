/**
 * Decides which IPAM blocks are believed, and finds the block of an address. Blocks are the truth
 * about pods, but only within what the administrator gave: a block counts if an IPPool contains it,
 * if Calico makes blocks of its size, and if its name is that of its CIDR, so that one object
 * speaks for a CIDR. A block within another node's block is refused. A wider block around others
 * keeps its other addresses, because the longest prefix wins everywhere.
 *
 * Where blocks exceed a limit, the oldest ones count: hostile blocks are the newer ones.
 *
 * Each update processes the blocks that are new or gone, which it compares by identity.
 */

import { formatPrefix, makePrefix, type Prefix, prefixKey } from '../../../base/prefix.ts';
import { changedKeys } from '../../../base/versioned-map.ts';
import { oldestFirst } from '../../model/age.ts';
import type { IpamBlock } from '../../model/cluster.ts';
import type { Problem } from '../../model/problem.ts';
import type { PoolRanges } from './pool-ranges.ts';
import { RefusedBlocks } from './refused-blocks.ts';

export type BlockKey = number | string;
/** The keys of the blocks that an update changed; `all` if there may be others. */
export type ChangedBlocks = 'all' | ReadonlySet<BlockKey>;

export interface BlockLimits {
  /** Of one owner. Calico's smallest blocks have one address, and a node has a few hundred pods. */
  readonly blocks: number;
  /** Addresses that blocks lend to other nodes, in the whole cluster: each one is a route. */
  readonly borrowed: number;
}

const BLOCK_LIMITS: BlockLimits = { blocks: 2048, borrowed: 65_536 };

const NO_BLOCKS: ReadonlyMap<string, IpamBlock> = new Map();
const NO_KEYS: ReadonlySet<BlockKey> = new Set();

export class TrustedBlocks {
  readonly #limits: BlockLimits;
  #pools: PoolRanges | undefined;
  #blocks = NO_BLOCKS;
  /** Blocks in a pool, by the bytes of an address, their length and their key. */
  readonly #byLength: Readonly<Record<number, Map<number, Map<BlockKey, IpamBlock>>>> = { 4: new Map(), 16: new Map() };
  readonly #byOwner = new Map<string, Set<IpamBlock>>();
  /** Owners of more blocks than the limit. */
  readonly #crowded = new Set<string>();
  readonly #lending = new Set<IpamBlock>();
  #borrowed = 0;
  /** Blocks in a pool that are not of its size: nearly always none. */
  readonly #odd = new Set<IpamBlock>();
  /** Blocks that lie in no pool or are misnamed. */
  readonly #foreign = new RefusedBlocks();
  /** Blocks that are refused, or reported, because of others: none in a usual cluster. */
  readonly #conflicting = new RefusedBlocks();
  #refused: ReadonlySet<IpamBlock> = new Set();
  #unlent: ReadonlySet<IpamBlock> = new Set();

  constructor(limits: BlockLimits = BLOCK_LIMITS) {
    this.#limits = limits;
  }

  /** Replaces the blocks of the last update. @returns which blocks are judged differently */
  update(blocks: ReadonlyMap<string, IpamBlock>, pools: PoolRanges): ChangedBlocks {
    const isReset = pools !== this.#pools;
    if (!isReset && blocks === this.#blocks) return NO_KEYS;
    if (isReset) for (const block of this.#blocks.values()) this.#remove(block);
    const before = isReset ? NO_BLOCKS : this.#blocks;
    this.#pools = pools;
    this.#blocks = blocks;
    let isOddChanged = false;
    const changed = new Set<BlockKey>();
    const note = (block: IpamBlock): void => {
      isOddChanged ||= this.#odd.has(block);
      changed.add(prefixKey(block.cidr));
    };
    for (const name of changedKeys(before, blocks)) {
      const old = before.get(name);
      const block = blocks.get(name);
      if (old) {
        note(old);
        this.#remove(old);
      }
      if (block) {
        this.#add(block);
        note(block);
      }
    }
    const hasConflicts = this.#judgeTogether();
    return isReset || isOddChanged || hasConflicts ? 'all' : changed;
  }

  isTrusted(block: IpamBlock): boolean {
    return !this.#foreign.has(block) && !this.#refused.has(block);
  }

  /** Returns whether the addresses that other nodes have in a trusted block are routed to them. */
  isLending(block: IpamBlock): boolean {
    return !this.#unlent.has(block);
  }

  /** Returns the smallest trusted block that contains the address. */
  blockOf(address: Uint8Array): IpamBlock | undefined {
    let found: IpamBlock | undefined;
    for (const [length, blocks] of this.#byLength[address.length]!) {
      if (found && found.cidr.length > length) continue;
      const block = blocks.get(prefixKey(makePrefix(address, length)));
      if (block && !this.#refused.has(block)) found = block;
    }
    return found;
  }

  get problems(): readonly Problem[] {
    return [...this.#foreign.problems, ...this.#conflicting.problems];
  }

  #add(block: IpamBlock): void {
    const { cidr, owner, name } = block;
    const pool = this.#pools!.poolOf(cidr);
    if (!pool || name !== nameOf(cidr)) {
      this.#foreign.add(block, pool ? 'misnamed' : 'outside');
      return;
    }
    if (pool.blockSize !== cidr.length) this.#odd.add(block);
    const lengths = this.#byLength[cidr.address.length]!;
    const blocks = lengths.get(cidr.length) ?? new Map<BlockKey, IpamBlock>();
    lengths.set(cidr.length, blocks);
    blocks.set(prefixKey(cidr), block);
    const lent = lentBy(block);
    this.#borrowed += lent;
    if (lent > 0) this.#lending.add(block);
    if (owner === undefined) return;
    const owned = this.#byOwner.get(owner) ?? new Set();
    this.#byOwner.set(owner, owned);
    owned.add(block);
    if (owned.size > this.#limits.blocks) this.#crowded.add(owner);
  }

  #remove(block: IpamBlock): void {
    const { cidr, owner } = block;
    if (this.#foreign.has(block)) {
      this.#foreign.delete(block);
      return;
    }
    this.#odd.delete(block);
    const lengths = this.#byLength[cidr.address.length]!;
    const blocks = lengths.get(cidr.length)!;
    blocks.delete(prefixKey(cidr));
    if (blocks.size === 0) lengths.delete(cidr.length);
    if (this.#lending.delete(block)) this.#borrowed -= lentBy(block);
    if (owner === undefined) return;
    const owned = this.#byOwner.get(owner)!;
    owned.delete(block);
    if (owned.size <= this.#limits.blocks) this.#crowded.delete(owner);
    if (owned.size === 0) this.#byOwner.delete(owner);
  }

  /** Judges what depends on several blocks. @returns whether any block is or was affected */
  #judgeTogether(): boolean {
    const had = this.#refused.size + this.#unlent.size > 0;
    const refused = new Set<IpamBlock>();
    this.#conflicting.clear();
    for (const owner of this.#crowded)
      for (const block of oldestFirst(this.#byOwner.get(owner)!).slice(this.#limits.blocks)) {
        refused.add(block);
        this.#conflicting.add(block, 'surplus');
      }
    if (this.#odd.size > 0) this.#judgeNested(refused);
    this.#unlent = this.#borrowed > this.#limits.borrowed ? this.#beyondLimit(refused) : new Set();
    this.#refused = refused;
    return had || refused.size + this.#unlent.size > 0;
  }

  #judgeNested(refused: Set<IpamBlock>): void {
    for (const lengths of Object.values(this.#byLength))
      for (const [length, blocks] of lengths)
        for (const block of blocks.values())
          for (const [outerLength, others] of lengths) {
            const outer = outerLength < length && others.get(prefixKey(makePrefix(block.cidr.address, outerLength)));
            if (!outer || outer.owner === block.owner) continue;
            if (this.#odd.has(block)) {
              refused.add(block);
              this.#conflicting.add(block, 'nested');
            } else this.#conflicting.add(outer, 'wide');
          }
  }

  #beyondLimit(refused: ReadonlySet<IpamBlock>): ReadonlySet<IpamBlock> {
    let left = this.#limits.borrowed;
    const unlent = new Set<IpamBlock>();
    for (const block of oldestFirst(this.#lending)) {
      if (refused.has(block)) continue;
      left -= lentBy(block);
      if (left >= 0) continue;
      unlent.add(block);
      this.#conflicting.add(block, 'unlent');
    }
    return unlent;
  }
}

/** Returns the name that Calico gives the block of a CIDR: `192-168-1-64-26`. */
function nameOf(cidr: Prefix): string {
  return formatPrefix(cidr).replaceAll(/[.:/]/g, '-');
}

/** Returns the number of addresses of a block that other nodes have. */
function lentBy({ owner, allocations }: IpamBlock): number {
  let count = 0;
  for (const { node } of allocations) if (node !== owner) count++;
  return count;
}

/**
 * The ranges that the administrator gave for pods: the cluster's IPPools, and pools that are gone
 * while blocks of theirs remain (agent/cluster/trust-memory.ts). An IPAM block is believed only
 * within one.
 */
import { covers, formatPrefix, type Prefix } from '../../../base/prefix.ts';
import type { IpPool, PoolRange } from '../../model/cluster.ts';

/** Calico's largest blocks, by the bytes of an address. */
const SHORTEST_BLOCK: Readonly<Record<number, number>> = { 4: 20, 16: 116 };

export class PoolRanges {
  /** Equal for equal ranges. */
  readonly text: string;
  readonly #ranges: readonly PoolRange[];
  /** Block sizes by the bytes of an address, the longest first. */
  readonly blockSizes: Readonly<Record<4 | 16, readonly number[]>>;

  /** Pools that exist come first, so that their block size counts where a former pool overlaps. */
  constructor(pools: Iterable<IpPool>, former: readonly PoolRange[]) {
    const byText = (ranges: Iterable<PoolRange>): (readonly [string, PoolRange])[] =>
      [...ranges]
        .map(each => [`${formatPrefix(each.cidr)} ${each.blockSize}`, each] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1));
    const ranges = [...byText(pools), ...byText(former)];
    this.text = ranges.map(([text]) => text).join();
    this.#ranges = ranges.map(([, range]) => range);
    const sizes = (bytes: number): readonly number[] => {
      const found = this.#ranges.filter(({ cidr }) => cidr.address.length === bytes).map(({ blockSize }) => blockSize);
      return [...new Set(found)].sort((a, b) => b - a);
    };
    this.blockSizes = { 4: sizes(4), 16: sizes(16) };
  }

  /**
   * Returns the pool to which a block can belong. Returns undefined if no pool contains it, or if
   * Calico makes no blocks of its size.
   */
  poolOf(block: Prefix): PoolRange | undefined {
    if (block.length < SHORTEST_BLOCK[block.address.length]!) return undefined;
    const holding = this.#ranges.filter(({ cidr }) => covers(cidr, block));
    return holding.find(({ blockSize }) => blockSize === block.length) ?? holding[0];
  }

  /** Returns whether a pool contains the prefix, whatever its size. */
  contains(prefix: Prefix): boolean {
    return this.#ranges.some(({ cidr }) => covers(cidr, prefix));
  }
}

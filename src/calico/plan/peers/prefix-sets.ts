/** Converts addresses to prefixes, and subtracts prefixes from a prefix. */
import { covers, makePrefix, type Prefix } from '../../../base/prefix.ts';

/** Returns the prefix that contains only this address: a /32 or /128. */
export function addressPrefix(address: Uint8Array): Prefix {
  return { address, length: address.length * 8 };
}

/** Returns whether the prefix contains a single address. */
export function isSingleAddress({ address, length }: Prefix): boolean {
  return length === address.length * 8;
}

/**
 * Returns the smallest set of prefixes that covers `prefix` without `holes`, in order of address.
 */
export function subtractPrefixes(prefix: Prefix, holes: readonly Prefix[]): readonly Prefix[] {
  if (holes.some(hole => covers(hole, prefix))) return [];
  const inside = holes.filter(hole => covers(prefix, hole));
  if (inside.length === 0) return [prefix];
  return halves(prefix).flatMap(half => subtractPrefixes(half, inside));
}

function halves({ address, length }: Prefix): readonly [Prefix, Prefix] {
  const upper = address.slice();
  upper[length >> 3]! |= 0x80 >> (length & 7);
  return [makePrefix(address, length + 1), { address: upper, length: length + 1 }];
}

/** Single addresses as prefixes, and what is left of a prefix without others. */
import { covers, makePrefix, type Prefix } from '../../../base/prefix.ts';

/** An address alone. */
export function single(address: Uint8Array): Prefix {
  return { address, length: address.length * 8 };
}

export function isSingle({ address, length }: Prefix): boolean {
  return length === address.length * 8;
}

/** The fewest prefixes that make up the first without the others, in the order of their addresses. */
export function without(prefix: Prefix, holes: readonly Prefix[]): readonly Prefix[] {
  if (holes.some(hole => covers(hole, prefix))) return [];
  const inside = holes.filter(hole => covers(prefix, hole));
  if (inside.length === 0) return [prefix];
  return halves(prefix).flatMap(half => without(half, inside));
}

function halves({ address, length }: Prefix): readonly [Prefix, Prefix] {
  const upper = address.slice();
  upper[length >> 3]! |= 0x80 >> (length & 7);
  return [makePrefix(address, length + 1), { address: upper, length: length + 1 }];
}

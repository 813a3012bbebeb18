/** Merges prefixes into address ranges, because sets of nf_tables reject ranges that overlap. */
import type { Prefix } from '../../../base/prefix.ts';
import type { NfRange } from '../../../netlink/nftables.ts';

/**
 * Returns sorted ranges, in which overlapping and adjacent prefixes are merged.
 * @param prefixes prefixes of one family
 */
export function rangesOf(prefixes: readonly Prefix[]): NfRange[] {
  const sorted = [...prefixes].sort((a, b) => compare(a.address, b.address) || a.length - b.length);
  const ranges: { first: Uint8Array; end?: Uint8Array }[] = [];
  for (const { address, length } of sorted) {
    const end = addressAfter(address, length);
    const last = ranges.at(-1);
    if (!last || (last.end && compare(last.end, address) < 0)) ranges.push({ first: address, ...(end && { end }) });
    else if (!end) delete last.end;
    else if (last.end && compare(last.end, end) < 0) last.end = end;
  }
  return ranges;
}

/**
 * Returns the first address after the prefix, or undefined if the prefix ends the address space.
 */
function addressAfter(address: Uint8Array, length: number): Uint8Array | undefined {
  if (length === 0) return undefined;
  const end = address.slice();
  const bit = length - 1;
  let carry = 0x80 >> (bit & 7);
  for (let i = bit >> 3; i >= 0 && carry > 0; i--) {
    const sum = end[i]! + carry;
    end[i] = sum;
    carry = sum > 0xff ? 1 : 0;
  }
  return carry > 0 ? undefined : end;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

/**
 * The Internet checksum (RFC 1071), its incremental update (RFC 1624) and the pseudo headers of TCP
 * and UDP (RFC 9293 section 3.1, RFC 768, RFC 8200 section 8.1). Sums are unfolded numbers, which
 * must stay below 2^32. One sum may therefore cover at most 65,575 bytes.
 */
import { readU16be } from './byte-order.ts';

export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

/**
 * Adds the 16-bit words of a range to a sum. A trailing odd byte counts as the high half of a word.
 */
export function addRange(sum: number, bytes: Uint8Array, at: number, length: number): number {
  const even = at + (length & ~1);
  let high = 0;
  let low = 0;
  for (let i = at; i < even; i += 2) {
    high += bytes[i]!;
    low += bytes[i + 1]!;
  }
  if (length & 1) high += bytes[even]!;
  return sum + high * 256 + low;
}

/**
 * Folds a sum into 16 bits by adding its carries (RFC 1071 section 4.1), without complementing it.
 */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/**
 * Returns the value for a checksum field. The sum must cover all data, and must include the field
 * itself as zero or as the pseudo header's sum.
 */
export function checksum(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** Returns a header's checksum after one of its 16-bit words changed (RFC 1624, equation 3). */
export function updateChecksum(old: number, from: number, to: number): number {
  return checksum((~old & 0xffff) + (~from & 0xffff) + to);
}

/**
 * Returns the sum of the pseudo header without the length: two consecutive addresses of `size`
 * bytes (4 or 16) and the protocol.
 */
export function pseudoHeader(bytes: Uint8Array, addresses: number, size: number, protocol: number): number {
  let sum = protocol;
  for (let i = 0; i < 2 * size; i += 2) sum += readU16be(bytes, addresses + i);
  return sum;
}

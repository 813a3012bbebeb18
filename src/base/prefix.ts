/**
 * IP prefixes (CIDR, RFC 4632) as `{ address, length }`. The host bits are always zero, as in
 * allowed IPs.
 */
import { formatAddress, parseAddress } from './address.ts';
import { sameBytes } from './bytes.ts';

/** An IP prefix (CIDR, RFC 4632). */
export interface Prefix {
  /** 4 or 16 bytes, network order, bits past `length` zero. */
  readonly address: Uint8Array;
  /** 0..32 or 0..128. */
  readonly length: number;
}

/**
 * Makes a prefix from an address. Clears the host bits.
 * @throws RangeError if the length does not fit the address
 */
export function makePrefix(address: Uint8Array, length: number): Prefix {
  if (!Number.isInteger(length) || length < 0 || length > address.length * 8)
    throw new RangeError(`a prefix of a ${address.length * 8} bit address has no length ${length}`);
  return { address: maskHostBits(address.slice(), length), length };
}

/**
 * Parses `10.0.0.0/8`, `fd00::/8`, or an address alone, which means /32 or /128 as in `wg`.
 * @returns undefined if the text has neither form
 */
export function parsePrefix(text: string): Prefix | undefined {
  const parsed = parseWithHostBits(text);
  if (parsed) maskHostBits(parsed.address, parsed.length);
  return parsed;
}

/** Parses an address with a prefix length, and keeps the bits past `length` as written. */
export function parseWithHostBits(text: string): { address: Uint8Array; length: number } | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address) return undefined;
  if (slash < 0) return { address, length: address.length * 8 };
  const length = parseLength(text, slash + 1);
  return length > address.length * 8 ? undefined : { address, length };
}

/** Reports whether a bit past `length` is set. */
export function hasHostBits({ address, length }: Prefix): boolean {
  for (let i = length >> 3; i < address.length; i++)
    if (address[i]! & ~(0xff00 >> Math.max(0, length - 8 * i)) & 0xff) return true;
  return false;
}

/** Parses one to three digits; Infinity for anything else. */
function parseLength(text: string, from: number): number {
  if (from >= text.length || text.length > from + 3) return Number.POSITIVE_INFINITY;
  let value = 0;
  for (let i = from; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return Number.POSITIVE_INFINITY;
    value = value * 10 + digit;
  }
  return value;
}

/**
 * Returns a value that identifies the prefix as the key of a map: text or, for IPv4, a number,
 * which needs no allocation.
 */
export function prefixKey({ address, length }: Prefix): number | string {
  if (address.length !== 4) return formatPrefix({ address, length });
  return (((address[0]! * 256 + address[1]!) * 256 + address[2]!) * 256 + address[3]!) * 64 + length;
}

/** Formats a prefix, always with its length: `10.0.0.0/8`. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

/** Reports whether `inner` equals `outer` or lies within it. */
export function covers(outer: Prefix, inner: Prefix): boolean {
  if (outer.address.length !== inner.address.length || outer.length > inner.length) return false;
  const whole = outer.length >> 3;
  for (let i = 0; i < whole; i++) if (outer.address[i] !== inner.address[i]) return false;
  const rest = outer.length & 7;
  return rest === 0 || (outer.address[whole]! ^ inner.address[whole]!) >> (8 - rest) === 0;
}

export function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && sameBytes(a.address, b.address);
}

/** Returns the prefix's first address plus `ordinal`. */
export function addressAt({ address }: Prefix, ordinal: number): Uint8Array {
  const out = address.slice();
  let carry = ordinal;
  for (let i = out.length - 1; i >= 0 && carry > 0; i--) {
    carry += out[i]!;
    out[i] = carry % 256;
    carry = Math.floor(carry / 256);
  }
  return out;
}

/** Clears the bits past `length` in place. */
function maskHostBits(address: Uint8Array, length: number): Uint8Array {
  for (let i = length >> 3; i < address.length; i++) address[i]! &= 0xff00 >> Math.max(0, length - 8 * i);
  return address;
}

/**
 * Parses addresses exactly as Go's package net does, because Calico uses that package. IPv4 in IPv6
 * notation becomes IPv4, zones are rejected, and a prefix length may have leading zeros.
 * test/calico/datastore/parse/go-text.test.ts compares the results with Go's.
 */
import { parseAddress } from '../../../base/address.ts';

export interface GoCidr {
  /**
   * The address as written, including host bits. It has 4 bytes for IPv4, even in IPv6 notation.
   */
  readonly address: Uint8Array;
  /**
   * The prefix length of `address`. For IPv4 in IPv6 notation: the written length minus 96, at
   * least 0.
   */
  readonly length: number;
  /** Whether the address was IPv4 in IPv6 notation. */
  readonly isMapped: boolean;
}

/** The limit for numbers in Go's parser (dtoi). */
const BIG = 0xff_ffff;

/**
 * Returns the result of net.ParseIP, with IPv4 always as 4 bytes; undefined if ParseIP returns nil.
 */
export function parseIp(text: string): Uint8Array | undefined {
  const address = parseAddress(text);
  return address && isMapped(address) ? address.slice(12) : address;
}

/** Returns the result of net.ParseCIDR; undefined if ParseCIDR returns an error. */
export function parseCidr(text: string): GoCidr | undefined {
  const slash = text.indexOf('/');
  const written = slash < 0 ? undefined : parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (!written || !/^[0-9]+$/.test(digits)) return undefined;
  const length = Number(digits);
  if (length >= BIG || length > written.length * 8) return undefined;
  if (!isMapped(written)) return { address: written, length, isMapped: false };
  return { address: written.slice(12), length: Math.max(0, length - 96), isMapped: true };
}

/** Returns whether an address is ::ffff:a.b.c.d. */
function isMapped(address: Uint8Array): boolean {
  if (address.length !== 16 || address[10] !== 0xff || address[11] !== 0xff) return false;
  return address.subarray(0, 10).every(byte => byte === 0);
}

/**
 * Addresses as Go's package net reads them, since what Calico reads is what counts: IPv4 in IPv6 notation is IPv4, there are no zones, and the length of a
 * prefix may begin with zeros. test/calico/datastore/parse/go-text.test.ts compares with Go itself.
 */
import { parseAddress } from '../../../base/address.ts';

export interface GoCidr {
  /** As it is written, with its host bits: 4 bytes, also where it was written as IPv6. */
  readonly address: Uint8Array;
  /** Of that address. Of IPv4 in IPv6 notation what is left of it, 0 at least. */
  readonly length: number;
  /** Whether it is IPv4 in IPv6 notation. */
  readonly isMapped: boolean;
}

/** dtoi's own limit. */
const BIG = 0xff_ffff;

/** Returns what net.ParseIP does, IPv4 always as 4 bytes; undefined for its nil. */
export function parseIp(text: string): Uint8Array | undefined {
  const address = parseAddress(text);
  return address && isMapped(address) ? address.slice(12) : address;
}

/** Returns what net.ParseCIDR does; undefined for its error. */
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

/** ::ffff:a.b.c.d */
function isMapped(address: Uint8Array): boolean {
  if (address.length !== 16 || address[10] !== 0xff || address[11] !== 0xff) return false;
  return address.subarray(0, 10).every(byte => byte === 0);
}

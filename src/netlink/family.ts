/** Converts address families, IP versions and address lengths to and from the kernel's numbers. */
import type { Family } from '../base/family.ts';
import { addressSize } from '../base/family.ts';
import { makePrefix, type Prefix } from '../base/prefix.ts';
import { MalformedNetlink } from './errors.ts';

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_INET6 = 10;

export function familyNumber(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}

/** @returns undefined for a family other than IPv4 and IPv6 (MPLS, multicast routing) */
export function familyOf(number: number | undefined): Family | undefined {
  if (number === AF_INET) return 4;
  return number === AF_INET6 ? 6 : undefined;
}

/**
 * Returns the given address of a prefix, or zeros without one: the kernel omits the address of a
 * prefix of length 0.
 */
export function addressOrZero(address: Uint8Array | undefined, family: Family, what: string): Uint8Array {
  const size = addressSize(family);
  if (address && address.length !== size)
    throw new MalformedNetlink(`${what}: an IPv${family} address has ${size} bytes, not ${address.length}`);
  return address ?? new Uint8Array(size);
}

/** @throws MalformedNetlink */
export function prefixOf(address: Uint8Array | undefined, length: number, family: Family, what: string): Prefix {
  const whole = addressOrZero(address, family, what);
  if (length > whole.length * 8) throw new MalformedNetlink(`${what}: no IPv${family} prefix has length ${length}`);
  return makePrefix(whole, length);
}

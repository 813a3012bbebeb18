/**
 * The two families of IP addresses, given by the number of the IP version. They have their own file
 * because most users of a family do not handle addresses.
 */

/** The number of an IP version. */
export type Family = 4 | 6;

export function familyOfAddress(address: Uint8Array): Family {
  return address.length === 4 ? 4 : 6;
}

/** Returns the size of an address in bytes. */
export function addressSize(family: Family): number {
  return family === 4 ? 4 : 16;
}

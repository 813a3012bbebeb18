/**
 * The two families of IP addresses, by the number of the IP version. A file of its own: most users
 * handle no address.
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

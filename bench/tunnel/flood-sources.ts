/** The forged source addresses of a flood: 10.128.0.0/12, about a million. */
export const FLOOD_SOURCES = '10.128.0.0/12';

/**
 * Returns source address number `n`; the addresses repeat after 2^20. The next call overwrites the
 * returned four bytes.
 */
export function floodSource(n: number): Uint8Array {
  address[1] = 128 | ((n >> 16) & 0x0f);
  address[2] = (n >> 8) & 0xff;
  address[3] = n & 0xff;
  return address;
}

const address = Uint8Array.of(10, 0, 0, 0);

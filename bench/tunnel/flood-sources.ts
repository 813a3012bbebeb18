/** The forged source addresses of a flood: a million, 10.128.0.0/12. */
export const FLOOD_SOURCES = '10.128.0.0/12';

/** Source number `n`, of 2^20 that repeat; four bytes, which the next call overwrites. */
export function flooded(n: number): Uint8Array {
  address[1] = 128 | ((n >> 16) & 0x0f);
  address[2] = (n >> 8) & 0xff;
  address[3] = n & 0xff;
  return address;
}

const address = Uint8Array.of(10, 0, 0, 0);

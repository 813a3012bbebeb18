/**
 * TAI64N timestamps (whitepaper section 5.1; cr.yp.to/libtai/tai64.html): 8 bytes of seconds and 4
 * of nanoseconds, big endian, so that comparing bytes compares times. Whitened like the kernel's
 * tai64n_now: the nanoseconds are rounded down to a multiple of 2^24 (about 16.8 ms), which is
 * finer than the minimum interval of initiations and too coarse to reveal our clock.
 */

export const TAI64N_SIZE = 12;

const BASE = 0x400000000000000an;
const WHITENER = ~((1n << 24n) - 1n);
const SECOND = 1_000_000_000n;

/** Returns the whitened timestamp of a time. @param wall Unix time in nanoseconds */
export function tai64n(wall: bigint): Uint8Array {
  const out = new Uint8Array(TAI64N_SIZE);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BASE + wall / SECOND);
  view.setUint32(8, Number((wall % SECOND) & WHITENER));
  return out;
}

/**
 * Returns the next whitened time after a Unix time, both in nanoseconds. Timestamps continue there
 * after the clock was set back.
 */
export function tai64nAfter(wall: bigint): bigint {
  const whitened = (wall / SECOND) * SECOND + ((wall % SECOND) & WHITENER);
  const next = whitened + (1n << 24n);
  return next / SECOND > whitened / SECOND ? (next / SECOND) * SECOND : next;
}

/** Compares two timestamps: less than, equal to or greater than 0, like memcmp(3). */
export function compareTai64n(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < TAI64N_SIZE; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

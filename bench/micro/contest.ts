/** Contests between implementations. All must produce equal results before any of them is timed. */

export interface Contender {
  readonly name: string;
  /** Does the whole work once; this call is timed. */
  run(): void;
  /**
   * Returns the output of the last run for comparison; not timed. @throws Error if nothing has run
   */
  result(): Uint8Array;
}

/** A contest with all its data in memory. */
export interface Prepared {
  readonly contenders: readonly Contender[];
  /** A part of every run that is not the work under test. It is timed separately and subtracted. */
  overhead?(): void;
}

export interface Contest {
  readonly name: string;
  /** Packets, lookups or calls in one run. */
  readonly units: number;
  /** Bytes of all packets in one run, if it has packets. */
  readonly bytes?: number;
  /** Allocates the data. Called only when the contest begins, because some of it is large. */
  prepare(): Prepared;
}

export interface Subject {
  /** The name for `--only`. */
  readonly name: string;
  readonly title: string;
  /** What a run consists of: 'packet', 'call', ... */
  readonly unit: string;
  readonly contests: readonly Contest[];
}

/** Checks that all contenders produce the same bytes, also when run again. @throws Error if not */
export function crossCheck(subject: string, contest: Contest, { contenders, overhead }: Prepared): void {
  const [first, ...others] = contenders;
  if (!first) throw new Error(`${subject}, ${contest.name}: no contender is available here`);
  overhead?.();
  first.run();
  const expected = first.result().slice();
  // Run the first contender again: a run must leave its input unchanged.
  for (const contender of [...others, first]) {
    contender.run();
    const at = difference(expected, contender.result());
    if (at === undefined) continue;
    const who = contender === first ? `${first.name} and itself, run again,` : `${first.name} and ${contender.name}`;
    throw new Error(`${subject}, ${contest.name}: ${who} differ from byte ${at} on; nothing was timed`);
  }
}

/** Returns the first index at which two results differ, or undefined if they are equal. */
export function difference(a: Uint8Array, b: Uint8Array): number | undefined {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? undefined : shorter;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Returns pseudo-random bytes that are the same every time. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  // xorshift32 (Marsaglia, 2003)
  let state = (seed * 0x9e3779b1) | 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 8;
  }
  return bytes;
}

/** What is timed: contests between implementations that must come to equal results before one of them is timed. */

export interface Contender {
  readonly name: string;
  /** Does all of the work once; this is what is timed. */
  run(): void;
  /** What the last run made, to be held against what the others made. Not timed. @throws Error when it made nothing */
  made(): Uint8Array;
}

/** A contest with all that it needs in memory. */
export interface Prepared {
  readonly contenders: readonly Contender[];
  /** A part of every run that is none of the subject's: timed alone, and taken off. */
  overhead?(): void;
}

export interface Contest {
  readonly name: string;
  /** How many packets, lookups or calls one run is. */
  readonly units: number;
  /** Bytes of all packets in one run, where there are any. */
  readonly bytes?: number;
  /** Makes what it needs: only when its turn comes, since some of it is large. */
  prepare(): Prepared;
}

export interface Subject {
  /** For `--only`. */
  readonly name: string;
  readonly title: string;
  /** What a run is several of: 'packet', 'call', ... */
  readonly unit: string;
  readonly contests: readonly Contest[];
}

/** @throws Error unless every contender makes, once and again, what the first makes */
export function crossCheck(subject: string, contest: Contest, { contenders, overhead }: Prepared): void {
  const [first, ...others] = contenders;
  if (!first) throw new Error(`${subject}, ${contest.name}: nobody can be timed here`);
  overhead?.();
  first.run();
  const expected = first.made().slice();
  // the first one again: a run must leave everything as it found it
  for (const contender of [...others, first]) {
    contender.run();
    const at = difference(expected, contender.made());
    if (at === undefined) continue;
    const who = contender === first ? `${first.name} and itself, run again,` : `${first.name} and ${contender.name}`;
    throw new Error(`${subject}, ${contest.name}: ${who} differ from byte ${at} on; nothing was timed`);
  }
}

/** Where two results begin to differ; undefined if they do not. */
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

/** Bytes that look like chance and are the same every time. */
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

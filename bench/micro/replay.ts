/**
 * Times the replay window against the simplest implementation of RFC 6479: a set of counters and
 * the greatest of them.
 */
import { REPLAY_WINDOW, ReplayWindow } from '#dist/protocol/replay-window.js';
import { type Contender, type Contest, pattern, type Subject } from './contest.ts';

const COUNTERS = 8192;
/** The first counter of every stream, chosen so that the high half changes in the middle. */
const START = 2n ** 32n - BigInt(COUNTERS / 2);

interface Stream {
  readonly low: Uint32Array;
  readonly high: Uint32Array;
}

const STREAMS: readonly { readonly name: string; order(): number[] }[] = [
  { name: 'in order', order: () => numbers() },
  { name: 'shuffled among 64 neighbours', order: () => shuffled(64) },
  { name: 'every one twice', order: () => numbers().map(i => i >> 1) },
  { name: 'one of 100 is left out', order: () => numbers().map(i => i + Math.floor(i / 100)) },
];

export const replay: Subject = {
  name: 'replay',
  title: 'The replay window',
  unit: 'packet',
  contests: STREAMS.map(({ name, order }) => ({
    name,
    units: COUNTERS,
    prepare() {
      const stream = makeStream(order());
      const window = judge('a ring of words', stream, () => {
        const kept = new ReplayWindow();
        return (low, high) => kept.accept(low, high);
      });
      const set = judge('a set', stream, () => {
        const kept = new CounterSet();
        return (low, high) => kept.accept(low, high);
      });
      return { contenders: [window, set] };
    },
  })) satisfies readonly Contest[],
};

function judge(name: string, { low, high }: Stream, make: () => (low: number, high: number) => boolean): Contender {
  const verdicts = new Uint8Array(low.length);
  return {
    name,
    run() {
      const accept = make();
      for (let i = 0; i < verdicts.length; i++) verdicts[i] = accept(low[i]!, high[i]!) ? 1 : 0;
    },
    result: () => verdicts,
  };
}

/** Uses plain numbers, which are exact up to 2^53; no benchmark reaches that. */
class CounterSet {
  readonly #seen = new Set<number>();
  #greatest = -1;

  accept(low: number, high: number): boolean {
    const counter = high * 2 ** 32 + low;
    if (counter + REPLAY_WINDOW < this.#greatest || this.#seen.has(counter)) return false;
    this.#seen.add(counter);
    this.#greatest = Math.max(this.#greatest, counter);
    return true;
  }
}

function makeStream(order: readonly number[]): Stream {
  const counters = order.map(i => START + BigInt(i));
  return {
    low: Uint32Array.from(counters, counter => Number(counter & 0xffff_ffffn)),
    high: Uint32Array.from(counters, counter => Number(counter >> 32n)),
  };
}

function numbers(): number[] {
  return Array.from({ length: COUNTERS }, (_, i) => i);
}

function shuffled(size: number): number[] {
  const all = numbers();
  const random = pattern(COUNTERS, 8);
  for (let i = 0; i < COUNTERS; i++) {
    const block = i - (i % size);
    const other = block + (random[i]! % size);
    [all[i], all[other]] = [all[other]!, all[i]!];
  }
  return all;
}

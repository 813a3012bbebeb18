/**
 * Lanes without threads: what is lent waits, and is done in parts, in a random order and at random
 * moments, as threads might do it. Each queue keeps its order, as native/lanes.c promises.
 */
import { type Lanes, type LanesDone, noneDone } from '../../src/io/lanes.ts';
import type { Tun, Udp } from '../../src/io/ports.ts';
import type { DatagramBatch, PacketBatch } from '../../src/packet/batch.ts';
import {
  OPEN_STRIDE,
  SEAL_OUT_LENGTH,
  SEAL_OUT_SEGMENT,
  SEAL_STRIDE,
  type TransportCipher,
} from '../../src/protocol/transport-cipher.ts';
import type { Random } from './random.ts';

const DEPTH = 8;
type Queue = 'sealed' | 'opened' | 'written';

interface Lent {
  /** What is left to do before the tail, one function for each job. */
  readonly parts: (() => void)[];
  readonly tail: () => void;
}

export class LateLanes implements Lanes {
  readonly threads = 4;
  /** How many batches were lent to each queue. */
  readonly lent: Record<Queue, number> = { sealed: 0, opened: 0, written: 0 };
  readonly #cipher: TransportCipher;
  readonly #random: Random;
  readonly #schedule: (action: () => void) => void;
  readonly #queues: Record<Queue, Lent[]> = { sealed: [], opened: [], written: [] };
  #done: LanesDone = noneDone();
  #reported: Record<Queue, number> = { sealed: 0, opened: 0, written: 0 };
  #onOpened = () => {};
  #isWatched = false;
  #isClosed = false;

  constructor(cipher: TransportCipher, random: Random, schedule: (action: () => void) => void) {
    this.#cipher = cipher;
    this.#random = random;
    this.#schedule = schedule;
  }

  seal(udp: Udp | undefined, input: Uint8Array, jobs: Int32Array, count: number, output: DatagramBatch): boolean {
    let isWrong = false;
    const parts = Array.from({ length: count }, (_, i) => () => {
      const job = jobs.subarray(i * SEAL_STRIDE, (i + 1) * SEAL_STRIDE);
      const [length, segment] = [job[SEAL_OUT_LENGTH], job[SEAL_OUT_SEGMENT]];
      this.#cipher.seal(input, output.slab, job, 1);
      if (job[SEAL_OUT_LENGTH] !== length || job[SEAL_OUT_SEGMENT] !== segment) isWrong = true;
    });
    return this.#lend('sealed', parts, () => {
      if (isWrong) this.#done.refused += count;
      else if (udp) this.#done.sendErrors += udp.send(output);
    });
  }

  open(slab: Uint8Array, jobs: Int32Array, count: number): boolean {
    const parts = Array.from(
      { length: count },
      (_, i) => () => this.#cipher.open(slab, jobs.subarray(i * OPEN_STRIDE, (i + 1) * OPEN_STRIDE), 1),
    );
    return this.#lend('opened', parts, () => {
      if (this.#isWatched) this.#schedule(() => this.#onOpened());
      this.#isWatched = false;
    });
  }

  write(tun: Tun, batch: PacketBatch): boolean {
    return this.#lend('written', [], () => {
      this.#done.dropped += Math.max(0, tun.write(batch));
    });
  }

  help(): boolean {
    return this.#random.chance(0.5) && this.#step();
  }

  done(): LanesDone {
    const result = { ...this.#done, ...this.#reported };
    this.#done = noneDone();
    this.#reported = { sealed: 0, opened: 0, written: 0 };
    return result;
  }

  next(): void {
    while (Object.values(this.#reported).every(count => count === 0) && this.#step());
  }

  watch(): boolean {
    this.#isWatched = this.#queues.opened.length > 0 && this.#reported.opened === 0;
    return this.#isWatched;
  }

  onOpened(callback: () => void): void {
    this.#onOpened = callback;
  }

  times(out: Float64Array): void {
    out.fill(0);
  }

  close(): void {
    while (this.#step());
    this.#isClosed = true;
  }

  #lend(queue: Queue, parts: (() => void)[], tail: () => void): boolean {
    if (this.#isClosed || this.#queues[queue].length + this.#reported[queue] >= DEPTH) return false;
    this.lent[queue]++;
    this.#queues[queue].push({ parts, tail });
    this.#schedule(() => this.#goOn());
    return true;
  }

  /** What other threads do at the same time: a little now, and the rest later. */
  #goOn(): void {
    for (let i = this.#random.below(8); i > 0; i--) this.#step();
    if (!this.#isEmpty) this.#schedule(() => this.#goOn());
  }

  get #isEmpty(): boolean {
    return Object.values(this.#queues).every(queue => queue.length === 0);
  }

  /** Does a random part, or the tail of a queue's oldest batch. @returns false without work */
  #step(): boolean {
    const names = (Object.keys(this.#queues) as Queue[]).filter(name => this.#queues[name].length > 0);
    if (names.length === 0) return false;
    const name = names[this.#random.below(names.length)]!;
    const queue = this.#queues[name];
    const open = queue.filter(({ parts }) => parts.length > 0);
    if (queue[0]!.parts.length === 0 && (open.length === 0 || this.#random.chance(0.5))) {
      const { tail } = queue.shift()!;
      this.#reported[name]++;
      tail();
    } else {
      const { parts } = open[this.#random.below(open.length)]!;
      parts.splice(this.#random.below(parts.length), 1)[0]!();
    }
    return true;
  }
}

/** Continuous traffic between pods, sent by pod-traffic.mjs, and its interruptions. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Running, until } from '../netns/command.ts';
import type { Namespace } from '../netns/lab.ts';
import { HANG_MS } from '../support/patience.ts';

/** An interruption from one pod to another, by their addresses. */
interface Silence {
  readonly from: string;
  readonly to: string;
  /** Unix time in milliseconds of the last datagram before, and of the first after it. */
  readonly start: number;
  readonly end: number;
}

/** Milliseconds. */
const INTERVAL_MS = 20;
const SILENCE_MS = 150;
const SCRIPT = join(import.meta.dirname, 'pod-traffic.mjs');

export interface Measured {
  readonly begin: number;
  readonly end: number;
  /** The longest time without a datagram among the selected pairs. */
  readonly longest: number;
  readonly silences: readonly Silence[];
}

type Pair = readonly [from: string, to: string];

/** The traffic of all pods: each to all others, in one family. */
export class Conversation {
  readonly #file: string;
  readonly #talkers = new Map<string, { readonly node: number; readonly traffic: PodTraffic }>();

  /** @param file receives the addresses of all pods */
  constructor(file: string) {
    this.#file = file;
  }

  /**
   * Adds a pod, which exchanges traffic with all earlier and later ones; they keep sending to it
   * after it is gone.
   */
  async join(pod: Namespace, node: number, addresses: readonly string[]): Promise<void> {
    for (const address of addresses) appendFileSync(this.#file, `${address}\n`);
    for (const address of addresses)
      this.#talkers.set(address, { node, traffic: await PodTraffic.start(pod, address, this.#file) });
  }

  async leave(address: string): Promise<void> {
    await this.#talkers.get(address)?.traffic.stop();
    this.#talkers.delete(address);
  }

  /** Pairs of pods on different nodes. */
  pairs(): readonly Pair[] {
    const all = [...this.#talkers];
    return all.flatMap(([from, { node }]) =>
      all
        .filter(([to, other]) => from.includes(':') === to.includes(':') && node !== other.node)
        .map(([to]) => [from, to] as const),
    );
  }

  /** Waits until each pair receives a datagram sent after this call. */
  async untilAllTalk(isMeant: (from: string, to: string) => boolean = () => true, limit = HANG_MS): Promise<void> {
    const since = Date.now();
    const meant = this.pairs().filter(pair => isMeant(...pair));
    const missing = (): readonly Pair[] => meant.filter(pair => !(this.#lastOf(pair) > since + 20));
    await until('traffic of all pairs', () => missing().length === 0, limit).catch((error: Error) => {
      const pairs = missing().map(pair => pair.join(' to '));
      throw new Error(`${error.message}: ${pairs.join(', ')}`);
    });
  }

  /** Pairs that received nothing since. */
  silentSince(time: number): readonly Pair[] {
    return this.pairs().filter(pair => !(this.#lastOf(pair) >= time));
  }

  /** Interruptions since. */
  measure(begin: number, isMeant: (from: string, to: string) => boolean = () => true): Measured {
    const end = Date.now();
    const silences = this.pairs()
      .filter(pair => isMeant(...pair))
      .flatMap(([from, to]) => this.#talkers.get(to)!.traffic.silences(from, begin, end));
    const longest = Math.max(0, ...silences.map(each => each.end - each.start));
    return { begin, end, longest, silences };
  }

  #lastOf([from, to]: Pair): number {
    return this.#talkers.get(to)!.traffic.lastFrom(from) ?? 0;
  }
}

/** One pod's sender and receiver. */
class PodTraffic {
  readonly address: string;
  readonly #running: Running;
  #read = 0;
  #silences: Silence[] = [];
  #last: Readonly<Record<string, number>> = {};

  constructor(address: string, running: Running) {
    this.address = address;
    this.#running = running;
  }

  /** @param others a file with one address per line, which may grow */
  static async start(pod: Namespace, address: string, others: string): Promise<PodTraffic> {
    const running = pod.start([process.execPath, SCRIPT, address, String(INTERVAL_MS), others]);
    await until(`the traffic of ${address}`, () => running.output().includes('"ready"'));
    return new PodTraffic(address, running);
  }

  async stop(): Promise<void> {
    await this.#running.stop();
  }

  /** When the last datagram from an address arrived. */
  lastFrom(from: string): number | undefined {
    this.#update();
    return this.#last[from];
  }

  /** Interruptions within a time, including ongoing ones. */
  silences(from: string, since: number, to: number): readonly Silence[] {
    this.#update();
    const ended = this.#silences.filter(each => each.from === from && each.end > since && each.start < to);
    const last = this.#last[from] ?? since;
    if (to - last <= SILENCE_MS || last < since - SILENCE_MS) return ended;
    return [...ended, { from, to: this.address, start: last, end: to }];
  }

  #update(): void {
    const text = this.#running.stdout();
    const whole = text.lastIndexOf('\n') + 1;
    for (const line of text.slice(this.#read, whole).split('\n')) {
      if (line === '') continue;
      const said = JSON.parse(line) as { last?: Record<string, number>; from?: string; start?: number; end?: number };
      if (said.last) this.#last = said.last;
      else if (said.from !== undefined)
        this.#silences.push({ from: said.from, to: this.address, start: said.start!, end: said.end! });
    }
    this.#read = whole;
  }
}

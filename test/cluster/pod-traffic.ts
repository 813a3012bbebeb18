/** Continuous traffic of pods with each other, as pod-traffic.mjs sends it, and when it did not come through. */
import { join } from 'node:path';
import { type Running, until } from '../netns/command.ts';
import type { Namespace } from '../netns/lab.ts';

/** From one pod to another, by their addresses. */
export interface Silence {
  readonly from: string;
  readonly to: string;
  /** Milliseconds of the epoch: of the last datagram before, and of the first after it. */
  readonly start: number;
  readonly end: number;
}

/** Milliseconds. */
const INTERVAL = 20;
const SILENCE = 150;
const SCRIPT = join(import.meta.dirname, 'pod-traffic.mjs');

/** What one pod sends, and has heard. */
export class PodTraffic {
  readonly address: string;
  readonly #running: Running;
  #read = 0;
  #silences: Silence[] = [];
  #last: Readonly<Record<string, number>> = {};

  constructor(address: string, running: Running) {
    this.address = address;
    this.#running = running;
  }

  /** @param others a file with an address on each line; it may grow */
  static async start(pod: Namespace, address: string, others: string): Promise<PodTraffic> {
    const running = pod.start([process.execPath, SCRIPT, address, String(INTERVAL), others]);
    await until(`the traffic of ${address}`, () => running.output().includes('"ready"'));
    return new PodTraffic(address, running);
  }

  async stop(): Promise<void> {
    await this.#running.stop();
  }

  /** When something came from there last. */
  lastFrom(from: string): number | undefined {
    this.#update();
    return this.#last[from];
  }

  /** Those of a time, of which some may last still. */
  silences(from: string, since: number, to: number): readonly Silence[] {
    this.#update();
    const ended = this.#silences.filter(each => each.from === from && each.end > since && each.start < to);
    const last = this.#last[from] ?? since;
    if (to - last <= SILENCE || last < since - SILENCE) return ended;
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

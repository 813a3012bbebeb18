/** Numbered traffic between all pods, sent by numbered-traffic.mjs: which datagrams were lost. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Running, sleep, until } from '../netns/command.ts';
import type { LabPod } from './lab.ts';
import { countLosses, type Losses, type TrafficReport } from './losses.ts';

const INTERVAL_MS = 10;
/** Time for datagrams on their way to arrive after the last was sent. */
const ARRIVAL_MS = 1_000;
const SCRIPT = join(import.meta.dirname, 'numbered-traffic.mjs');

type Talker = readonly [address: string, running: Running];

export class NumberedTraffic {
  readonly #talkers: readonly Talker[];

  private constructor(talkers: readonly Talker[]) {
    this.#talkers = talkers;
  }

  /** Begins traffic from each pod to all others. @param file receives the pods' addresses */
  static async begin(pods: readonly LabPod[], file: string): Promise<NumberedTraffic> {
    const ends = pods.flatMap(pod => pod.addresses.map(address => ({ pod, address })));
    for (const { address } of ends) appendFileSync(file, `${address}\n`);
    const talkers = ends.map(({ pod, address }) => {
      const running = pod.namespace.start([process.execPath, SCRIPT, address, String(INTERVAL_MS), file]);
      return [address, running] as const;
    });
    for (const [address, running] of talkers)
      await until(`the socket of ${address}`, () => running.stdout().includes('ready'));
    const traffic = new NumberedTraffic(talkers);
    traffic.#signal();
    return traffic;
  }

  /** Stops the senders, waits for the last datagrams, and compares. */
  async end(): Promise<Losses> {
    this.#signal();
    await sleep(ARRIVAL_MS);
    const reports = new Map<string, TrafficReport>();
    for (const [address, running] of this.#talkers) {
      const { stdout } = await running.stop('SIGTERM');
      reports.set(address, JSON.parse(stdout.trim().split('\n').at(-1)!) as TrafficReport);
    }
    return countLosses(reports);
  }

  #signal(): void {
    for (const [, { pid }] of this.#talkers) process.kill(pid, 'SIGUSR2');
  }
}

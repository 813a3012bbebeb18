/**
 * Captures the network between the nodes: tcpdump on their bridge, parsed into packets by outer
 * addresses.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { formatAddress } from '../../src/base/address.ts';
import { type Running, sleep, start, until } from '../netns/command.ts';

export interface SeenPacket {
  /** Unix time in milliseconds. */
  readonly time: number;
  readonly source: string;
  readonly destination: string;
}

const FILE_HEADER = 24;
const PACKET_HEADER = 16;
const ETHERNET = 14;
const SNAP = 96;

/** Collects packets that match a pcap expression. */
export class Underlay {
  readonly #file: string;
  readonly #running: Running;
  readonly #packets: SeenPacket[] = [];
  #read = FILE_HEADER;

  constructor(file: string, running: Running) {
    this.#file = file;
    this.#running = running;
  }

  static async watch(device: string, file: string, filter: string): Promise<Underlay> {
    // In promiscuous mode a bridge shows what it forwards between ports.
    const options = ['-U', '--immediate-mode', '-B', '16384', '-Z', 'root', '-s', String(SNAP), '-w', file];
    const running = start(['tcpdump', '-n', '-i', device, ...options, filter]);
    await until('tcpdump', () => running.output().includes('listening on'));
    return new Underlay(file, running);
  }

  /** Returns all packets so far, including those still buffered in the kernel. */
  async packets(): Promise<readonly SeenPacket[]> {
    await sleep(150);
    this.#update();
    return this.#packets;
  }

  async between(since: number, to = Date.now()): Promise<readonly SeenPacket[]> {
    return (await this.packets()).filter(({ time }) => time >= since && time < to);
  }

  async stop(): Promise<void> {
    await this.#running.stop('SIGINT');
  }

  /** Fails if tcpdump dropped packets: they might have been in the clear. */
  async dropped(): Promise<number> {
    await this.stop();
    return Number(/([0-9]+) packets? dropped by kernel/.exec(this.#running.output())?.[1] ?? Number.NaN);
  }

  #update(): void {
    const file = openSync(this.#file, 'r');
    try {
      const chunk = Buffer.alloc(1 << 20);
      for (;;) {
        const length = readSync(file, chunk, 0, chunk.length, this.#read);
        const used = this.#take(chunk.subarray(0, length));
        if (used === 0) return;
        this.#read += used;
      }
    } finally {
      closeSync(file);
    }
  }

  #take(chunk: Buffer): number {
    let at = 0;
    while (at + PACKET_HEADER <= chunk.length) {
      const length = chunk.readUInt32LE(at + 8);
      if (at + PACKET_HEADER + length > chunk.length) break;
      const time = chunk.readUInt32LE(at) * 1000 + chunk.readUInt32LE(at + 4) / 1000;
      const packet = chunk.subarray(at + PACKET_HEADER + ETHERNET, at + PACKET_HEADER + length);
      const isV4 = packet[0]! >> 4 === 4;
      const [source, destination] = isV4
        ? [packet.subarray(12, 16), packet.subarray(16, 20)]
        : [packet.subarray(8, 24), packet.subarray(24, 40)];
      this.#packets.push({ time, source: formatAddress(source), destination: formatAddress(destination) });
      at += PACKET_HEADER + length;
    }
    return at;
  }
}

/**
 * UDP without a network: sockets on a private switch, which is a Map from address and port to
 * socket. For tests and for embedding. Datagrams arrive at once and in order; a hook can drop or
 * change them.
 */
import {
  ENDPOINT_ADDRESS,
  ENDPOINT_FAMILY,
  ENDPOINT_FAR_SIZE,
  ENDPOINT_HAS_LOCAL,
  ENDPOINT_LOCAL,
  ENDPOINT_PORT,
  ENDPOINT_SIZE,
  formatEndpoint,
  makeEndpoint,
} from '../../base/endpoint.ts';
import {
  DATAGRAM_ERROR,
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  DATAGRAM_TOS,
  type DatagramBatch,
  MAX_BATCH,
} from '../../packet/batch.ts';
import { largestDatagram } from '../../packet/transport.ts';
import { DatagramQueue } from '../datagram-queue.ts';
import type { Udp, Wake } from '../ports.ts';
import { WAKE_SOON, type WakeSchedule } from './tun.ts';

const FIRST_FREE_PORT = 49_152;
const EAFNOSUPPORT = 97;
const EINVAL = 22;
const EMSGSIZE = 90;
const EHOSTUNREACH = 113;

/**
 * A network without a kernel: sockets that exchange datagrams at once and in order. For tests and
 * for embedding.
 */
export class MemoryNetwork {
  /** Called for every datagram; returns false to drop it. */
  filter: (bytes: Uint8Array, from: string, to: string) => boolean = () => true;
  readonly #sockets = new Map<string, MemoryUdp>();
  readonly #schedule: WakeSchedule;
  #nextPort = FIRST_FREE_PORT;

  /**
   * Makes a network without sockets.
   * @param schedule schedules the callbacks of its sockets; default: setImmediate
   */
  constructor(schedule: WakeSchedule = WAKE_SOON) {
    this.#schedule = schedule;
  }

  /**
   * Opens a socket with one address (4 or 16 bytes) for each family that it uses.
   * @param port 0 chooses a free port
   * @throws Error with `code` EADDRINUSE
   */
  open(addresses: readonly Uint8Array[], port: number): MemoryUdp {
    const taken = port === 0 ? this.#nextPort++ : port;
    const records = addresses.map(address => makeEndpoint(address, taken));
    for (const record of records)
      if (this.#sockets.has(formatEndpoint(record)))
        throw Object.assign(new Error(`UDP port ${taken}: address already in use`), { code: 'EADDRINUSE' });
    const socket = new MemoryUdp(this, taken, records, this.#schedule);
    for (const record of records) this.#sockets.set(formatEndpoint(record), socket);
    return socket;
  }

  /**
   * Delivers a datagram; sockets call it.
   * @returns false if no socket has the address
   */
  carry(bytes: Uint8Array, from: Uint8Array, to: Uint8Array, tos: number): boolean {
    const [source, target] = [formatEndpoint(from), formatEndpoint(to)];
    const socket = this.#sockets.get(target);
    if (socket && this.filter(bytes, source, target)) socket.arrived(bytes, from, to, tos);
    return socket !== undefined;
  }

  /** Removes a socket's addresses from the network; sockets call it. */
  leave(records: readonly Uint8Array[]): void {
    for (const record of records) this.#sockets.delete(formatEndpoint(record));
  }
}

/** A socket of a {@link MemoryNetwork}. */
export class MemoryUdp implements Udp {
  /** Always empty. */
  readonly offloads: readonly string[] = [];
  /** The port in use. */
  readonly port: number;
  /** The mark that was set last. */
  mark = 0;
  readonly #network: MemoryNetwork;
  readonly #own: readonly Uint8Array[];
  readonly #schedule: WakeSchedule;
  readonly #queue = new DatagramQueue();
  #wake: Wake | undefined;
  #wakeHandshakes: (() => void) | undefined;
  #routes: (() => void) | undefined;
  #woken = false;
  #closed = false;

  constructor(network: MemoryNetwork, port: number, own: readonly Uint8Array[], schedule: WakeSchedule = WAKE_SOON) {
    this.#schedule = schedule;
    this.#network = network;
    this.port = port;
    this.#own = own;
  }

  receive(batch: DatagramBatch, most = MAX_BATCH): number {
    this.#queue.takeData(batch, most);
    this.#wakeSoon();
    return batch.count;
  }

  receiveHandshakes(batch: DatagramBatch): number {
    this.#queue.takeHandshakes(batch, MAX_BATCH);
    this.#wakeSoon();
    return batch.count;
  }

  send(batch: DatagramBatch): number {
    let errors = 0;
    for (let i = 0; i < batch.count; i++) {
      const error = this.#sendOne(batch, i);
      batch.desc[i * DATAGRAM_STRIDE + DATAGRAM_ERROR] = error;
      if (error !== 0) errors++;
    }
    return errors;
  }

  setMark(mark: number): void {
    this.mark = mark;
  }

  onReadable(callback: Wake): void {
    this.#wake = callback;
    this.#wakeSoon();
  }

  onHandshakes(callback: () => void): void {
    this.#wakeHandshakes = callback;
    this.#wakeSoon();
  }

  onRoutesChanged(callback: () => void): void {
    this.#routes = callback;
  }

  /** Reports changed routes, as a real network would. */
  changeRoutes(): void {
    this.#routes?.();
  }

  pause(): void {
    this.#wake = this.#wakeHandshakes = undefined;
    this.#routes = undefined;
  }

  counters(): Readonly<Record<string, number>> {
    return { overflowed: this.#queue.overflowed, truncated: this.#queue.truncated };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.pause();
    this.#queue.clear();
    this.#network.leave(this.#own);
  }

  /** Queues a datagram; the network calls it. */
  arrived(bytes: Uint8Array, from: Uint8Array, to: Uint8Array, tos: number): void {
    const endpoint = new Uint8Array(ENDPOINT_SIZE);
    endpoint.set(from.subarray(0, ENDPOINT_FAR_SIZE));
    endpoint[ENDPOINT_HAS_LOCAL] = 1;
    endpoint.set(to.subarray(ENDPOINT_ADDRESS, ENDPOINT_ADDRESS + 16), ENDPOINT_LOCAL);
    this.#queue.push(bytes.slice(), endpoint, tos);
    this.#wakeSoon();
  }

  #wakeSoon(): void {
    if (this.#woken || this.#queue.isEmpty) return;
    this.#woken = true;
    this.#schedule(waited => {
      this.#woken = false;
      if (this.#queue.hasData) this.#wake?.(waited);
      if (this.#queue.handshakes > 0) this.#wakeHandshakes?.();
    });
  }

  #sendOne(batch: DatagramBatch, i: number): number {
    const d = i * DATAGRAM_STRIDE;
    const to = batch.endpoints.slice(i * ENDPOINT_SIZE, (i + 1) * ENDPOINT_SIZE);
    const from = this.#own.find(record => record[ENDPOINT_FAMILY] === to[ENDPOINT_FAMILY]);
    if (!from || this.#closed) return EAFNOSUPPORT;
    const offset = batch.desc[d + DATAGRAM_OFFSET]!;
    const length = batch.desc[d + DATAGRAM_LENGTH]!;
    const segment = batch.desc[d + DATAGRAM_SEGMENT]!;
    if (offset < 0 || length < 0 || segment < 0 || offset + length > batch.slab.length) return EINVAL;
    const port = (to[ENDPOINT_PORT]! << 8) | to[ENDPOINT_PORT + 1]!;
    const target = makeEndpoint(
      to.subarray(ENDPOINT_ADDRESS, ENDPOINT_ADDRESS + (to[ENDPOINT_FAMILY] === 4 ? 4 : 16)),
      port,
    );
    const step = segment || Math.max(length, 1);
    if (Math.min(step, length) > largestDatagram(to[ENDPOINT_FAMILY]!)) return EMSGSIZE;
    for (let at = 0; at === 0 || at < length; at += step) {
      const bytes = batch.slab.subarray(offset + at, offset + Math.min(at + step, length));
      if (!this.#network.carry(bytes, from, target, Math.max(batch.desc[d + DATAGRAM_TOS]!, 0))) return EHOSTUNREACH;
    }
    return 0;
  }
}

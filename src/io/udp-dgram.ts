/**
 * UDP by node:dgram, for machines without the addon: one call per datagram, no offloads, no local
 * address (so no sticky source), no TOS, no mark. Datagrams wait in a bounded queue from Node's
 * 'message' event until receive() takes them.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { formatAddress, parseAddress } from '../base/address.ts';
import {
  ENDPOINT_ADDRESS,
  ENDPOINT_FAMILY,
  ENDPOINT_PORT,
  ENDPOINT_SCOPE,
  ENDPOINT_SIZE,
  makeEndpoint,
} from '../base/endpoint.ts';
import type { Family } from '../base/family.ts';
import {
  DATAGRAM_ERROR,
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  type DatagramBatch,
  MAX_BATCH,
} from '../packet/batch.ts';
import { largestDatagram } from '../packet/transport.ts';
import { DatagramQueue } from './datagram-queue.ts';
import type { Udp } from './ports.ts';

const PORT_ATTEMPTS = 100;
/** Limit of bytes that Node buffers because the kernel has not accepted them. */
const MOST_UNSENT = 7 << 20;
const BUFFER = 7 << 20;
/**
 * Up to FEW_HANDSHAKES waiting handshakes are passed on at once. More are collected while others
 * keep arriving, up to GATHERED_HANDSHAKES.
 */
const FEW_HANDSHAKES = 8;
const GATHERED_HANDSHAKES = 1024;
const EAFNOSUPPORT = 97;
const EINVAL = 22;
const EMSGSIZE = 90;
const ENOBUFS = 105;

/**
 * Opens UDP sockets by node:dgram, for machines without the addon: one call for each datagram, no
 * offloads, no sticky source address, no TOS.
 * @throws Error with `code`, whose message names the port; ENOTSUP for a mark, which node:dgram
 * cannot set
 */
export function openDgramUdp(port: number, mark: number): Udp {
  refuseMark(mark);
  for (let attempt = 0; ; attempt++) {
    const v4 = bindNow('udp4', port);
    try {
      return new DgramUdp(v4, hasIpv6() ? bindNow('udp6', v4.address().port) : undefined);
    } catch (error) {
      v4.close();
      // the system chose a port that is free for IPv4 only: try another
      if (port !== 0 || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

class DgramUdp implements Udp {
  readonly offloads: readonly string[] = [];
  readonly port: number;
  readonly #sockets: Readonly<Record<Family, Socket | undefined>>;
  readonly #queue = new DatagramQueue();
  #sendFailed = 0;
  #wake: (() => void) | undefined;
  #wakeHandshakes: (() => void) | undefined;
  #unsent = 0;
  #woken = false;
  #gathered = 0;
  #closed = false;

  constructor(v4: Socket, v6: Socket | undefined) {
    this.#sockets = { 4: v4, 6: v6 };
    this.port = v4.address().port;
    for (const socket of [v4, v6]) {
      socket?.on('message', (bytes, from) => this.#arrived(bytes, from));
      // an asynchronous error belongs to a datagram sent earlier; no caller waits for its result
      socket?.on('error', () => {
        this.#sendFailed++;
      });
    }
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
      const d = i * DATAGRAM_STRIDE;
      const error = this.#sendOne(batch, i);
      batch.desc[d + DATAGRAM_ERROR] = error;
      if (error !== 0) errors++;
    }
    return errors;
  }

  /** @throws Error ENOTSUP unless the mark is 0 */
  setMark(mark: number): void {
    refuseMark(mark);
  }

  onReadable(callback: () => void): void {
    this.#wake = callback;
    this.#wakeSoon();
  }

  onHandshakes(callback: () => void): void {
    this.#wakeHandshakes = callback;
    this.#wakeSoon();
  }

  /** Does nothing: node:dgram keeps no local address that could become wrong. */
  onRoutesChanged(): void {}

  counters(): Readonly<Record<string, number>> {
    return { overflowed: this.#queue.overflowed, truncated: this.#queue.truncated, sendFailed: this.#sendFailed };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wake = this.#wakeHandshakes = undefined;
    this.#queue.clear();
    this.#sockets[4]?.close();
    this.#sockets[6]?.close();
  }

  #arrived(bytes: Buffer, from: RemoteInfo): void {
    const [text, zone] = from.address.split('%');
    const address = parseAddress(text!);
    if (!address) return;
    this.#queue.push(bytes, makeEndpoint(address, from.port, zone === undefined ? 0 : zoneIndex(zone)), -1);
    this.#wakeSoon();
  }

  #wakeSoon(): void {
    if (this.#woken || this.#queue.isEmpty) return;
    this.#woken = true;
    setImmediate(() => {
      this.#woken = false;
      if (this.#queue.hasData) this.#wake?.();
      if (this.#handshakesDue()) this.#wakeHandshakes?.();
      else if (this.#queue.handshakes > 0) this.#wakeSoon();
    });
  }

  /**
   * Decides whether handshakes are passed on now. Node reads some 32 datagrams per turn of its
   * loop, and the engine processes as many. During a flood, handshakes would stay in the kernel's
   * queue ahead of data, and the engine would not detect load. So the kernel's queue is drained
   * first: while more handshakes arrive, they wait one turn.
   */
  #handshakesDue(): boolean {
    const before = this.#gathered;
    const count = this.#queue.handshakes;
    this.#gathered = count;
    return count > 0 && (count <= Math.max(FEW_HANDSHAKES, before) || count >= GATHERED_HANDSHAKES);
  }

  #sendOne(batch: DatagramBatch, i: number): number {
    const d = i * DATAGRAM_STRIDE;
    const e = i * ENDPOINT_SIZE;
    const family = batch.endpoints[e + ENDPOINT_FAMILY];
    const socket = family === 4 || family === 6 ? this.#sockets[family] : undefined;
    if (!socket || this.#closed) return EAFNOSUPPORT;
    const offset = batch.desc[d + DATAGRAM_OFFSET]!;
    const length = batch.desc[d + DATAGRAM_LENGTH]!;
    const segment = batch.desc[d + DATAGRAM_SEGMENT]!;
    if (offset < 0 || length < 0 || segment < 0 || offset + length > batch.slab.length) return EINVAL;
    const port = (batch.endpoints[e + ENDPOINT_PORT]! << 8) | batch.endpoints[e + ENDPOINT_PORT + 1]!;
    // node:dgram throws for port 0, and no socket receives there
    if (port === 0) return EINVAL;
    // the kernel also refuses such a datagram, but only after this call has returned
    if (Math.min(segment || length, length) > largestDatagram(family!)) return EMSGSIZE;
    const address = formatAddress(
      batch.endpoints.subarray(e + ENDPOINT_ADDRESS, e + ENDPOINT_ADDRESS + (family === 4 ? 4 : 16)),
    );
    const scope = new DataView(batch.endpoints.buffer, batch.endpoints.byteOffset).getUint32(e + ENDPOINT_SCOPE, true);
    const host = scope === 0 ? address : `${address}%${scope}`;
    for (let at = 0; at === 0 || at < length; at += segment || Math.max(length, 1)) {
      const size = Math.min(segment || length, length - at);
      if (this.#unsent + size > MOST_UNSENT) return ENOBUFS;
      // copy the bytes: Node sends later if the kernel is busy, and the slab is reused at once
      const copy = Buffer.from(batch.slab.subarray(offset + at, offset + at + size));
      this.#unsent += size;
      socket.send(copy, port, host, error => {
        this.#unsent -= size;
        if (error) this.#sendFailed++;
      });
    }
    return 0;
  }
}

/**
 * Binds synchronously: bind's only asynchronous step is the lookup, and ours calls back
 * immediately.
 */
function bindNow(type: 'udp4' | 'udp6', port: number): Socket {
  const family = type === 'udp4' ? 4 : 6;
  const socket = createSocket({
    type,
    ipv6Only: family === 6,
    recvBufferSize: BUFFER,
    sendBufferSize: BUFFER,
    lookup: (host, _options, callback) => callback(null, host, family),
  });
  let failure: Error | undefined;
  socket.once('error', error => {
    failure = error;
  });
  socket.bind({ port, address: family === 4 ? '0.0.0.0' : '::', exclusive: true });
  if (failure) throw Object.assign(failure, { message: `UDP port ${port}: ${failure.message}` });
  socket.address();
  socket.removeAllListeners('error');
  return socket;
}

function refuseMark(mark: number): void {
  if (mark === 0) return;
  const message = `fwmark ${mark}: node:dgram cannot set a mark; build the addon to use one (npm rebuild wireguard-ts; in a clone: npm run build)`;
  throw Object.assign(new Error(message), { code: 'ENOTSUP' });
}

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some(list => list?.some(entry => entry.family === 'IPv6'));
}

function zoneIndex(name: string): number {
  if (/^[0-9]+$/.test(name)) return Number(name);
  return networkInterfaces()[name]?.find(entry => entry.family === 'IPv6')?.scopeid ?? 0;
}

/**
 * Queues datagrams between their arrival and receive(), for adapters that get them one by one.
 * Handshakes have a separate queue, as in the addon's sockets (native/udp-steer.c), so that a flood
 * of them displaces no transport data. Each queue is bounded: it drops and counts datagrams beyond
 * its limit.
 */
import { ENDPOINT_SIZE } from '../base/endpoint.ts';
import { DATAGRAM_STRIDE, type DatagramBatch } from '../packet/batch.ts';
import { isHandshakeType } from '../packet/message-type.ts';

const MOST_QUEUED = 4096;

interface Waiting {
  readonly bytes: Uint8Array;
  readonly endpoint: Uint8Array;
  readonly tos: number;
}

export class DatagramQueue {
  readonly #data: Waiting[] = [];
  readonly #handshakes: Waiting[] = [];
  #overflowed = 0;
  #truncated = 0;

  get hasData(): boolean {
    return this.#data.length > 0;
  }

  /** The number of waiting handshakes. */
  get handshakes(): number {
    return this.#handshakes.length;
  }

  get isEmpty(): boolean {
    return !this.hasData && this.handshakes === 0;
  }

  /** Datagrams dropped because their queue was full. */
  get overflowed(): number {
    return this.#overflowed;
  }

  /** Datagrams dropped because they were larger than a whole batch. */
  get truncated(): number {
    return this.#truncated;
  }

  /** Queues a datagram. @param tos the TOS byte; -1 if unknown */
  push(bytes: Uint8Array, endpoint: Uint8Array, tos: number): void {
    const queue = isHandshakeType(bytes, 0, bytes.length) ? this.#handshakes : this.#data;
    if (queue.length >= MOST_QUEUED) this.#overflowed++;
    else queue.push({ bytes, endpoint, tos });
  }

  /** Moves datagrams other than handshakes into the batch, at most `most`. @returns their number */
  takeData(batch: DatagramBatch, most: number): number {
    return this.#fill(batch, this.#data, most);
  }

  /** Moves handshakes into the batch, at most `most`. @returns their number */
  takeHandshakes(batch: DatagramBatch, most: number): number {
    return this.#fill(batch, this.#handshakes, most);
  }

  clear(): void {
    this.#data.length = 0;
    this.#handshakes.length = 0;
  }

  #fill(batch: DatagramBatch, queue: Waiting[], most: number): number {
    const room = Math.min(most, batch.desc.length / DATAGRAM_STRIDE);
    let count = 0;
    let at = 0;
    let taken = 0;
    while (count < room && taken < queue.length) {
      const { bytes, endpoint, tos } = queue[taken]!;
      if (bytes.length > batch.slab.length) {
        // drop a datagram larger than any batch: it would block the queue
        this.#truncated++;
        taken++;
        continue;
      }
      if (at + bytes.length > batch.slab.length) break;
      batch.slab.set(bytes, at);
      batch.endpoints.set(endpoint, count * ENDPOINT_SIZE);
      batch.desc.set([at, bytes.length, 0, tos, 0], count * DATAGRAM_STRIDE);
      at += bytes.length;
      count++;
      taken++;
    }
    queue.splice(0, taken);
    batch.count = count;
    return count;
  }
}

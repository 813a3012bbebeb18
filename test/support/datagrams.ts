/** Batches of datagrams for tests: built from a list, and taken apart into one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ENDPOINT_SIZE, formatEndpoint, parseEndpoint } from '../../src/base/endpoint.ts';
import type { Udp } from '../../src/io/ports.ts';
import {
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  DATAGRAM_TOS,
  type DatagramBatch,
  makeDatagramBatch,
} from '../../src/packet/batch.ts';
import { HANG_MS } from './patience.ts';

export interface Got {
  readonly text: string;
  readonly from: string;
  readonly tos: number;
  readonly endpoint: Uint8Array;
}

export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export interface Item {
  readonly to: string | Uint8Array;
  readonly bytes: Uint8Array;
  readonly segment?: number;
  readonly tos?: number;
}

export function batchOf(items: readonly Item[]): DatagramBatch {
  const batch = makeDatagramBatch(
    items.reduce((sum, item) => sum + item.bytes.length, 1),
    items.length,
  );
  let at = 0;
  for (const { to, bytes, segment = 0, tos = 0 } of items) {
    const d = batch.count * DATAGRAM_STRIDE;
    batch.slab.set(bytes, at);
    batch.desc[d + DATAGRAM_OFFSET] = at;
    batch.desc[d + DATAGRAM_LENGTH] = bytes.length;
    batch.desc[d + DATAGRAM_SEGMENT] = segment;
    batch.desc[d + DATAGRAM_TOS] = tos;
    batch.endpoints.set(typeof to === 'string' ? parseEndpoint(to)! : to, batch.count * ENDPOINT_SIZE);
    at += bytes.length;
    batch.count++;
  }
  return batch;
}

/** Splits ranges into datagrams. */
export function unpack(batch: DatagramBatch): Got[] {
  const got: Got[] = [];
  for (let i = 0; i < batch.count; i++) {
    const d = i * DATAGRAM_STRIDE;
    const offset = batch.desc[d + DATAGRAM_OFFSET]!;
    const length = batch.desc[d + DATAGRAM_LENGTH]!;
    const segment = batch.desc[d + DATAGRAM_SEGMENT]! || Math.max(length, 1);
    const endpoint = batch.endpoints.slice(i * ENDPOINT_SIZE, (i + 1) * ENDPOINT_SIZE);
    for (let done = 0; done === 0 || done < length; done += segment) {
      const bytes = batch.slab.subarray(offset + done, offset + Math.min(done + segment, length));
      got.push({
        text: Buffer.from(bytes).toString('latin1'),
        from: formatEndpoint(endpoint),
        tos: batch.desc[d + DATAGRAM_TOS]!,
        endpoint,
      });
    }
  }
  return got;
}

/** Waits for this many datagrams. */
export async function receive(udp: Udp, count: number): Promise<Got[]> {
  const batch = makeDatagramBatch(16 * 65_536, 16);
  const got: Got[] = [];
  for (const end = Date.now() + HANG_MS; got.length < count && Date.now() < end; await sleep(1))
    while (udp.receive(batch) > 0) got.push(...unpack(batch));
  return got;
}

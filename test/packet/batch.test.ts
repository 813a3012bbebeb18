/** Batches: their room, and the datagrams in them. */
import { expect, test } from 'vitest';
import { ENDPOINT_SIZE } from '../../src/base/endpoint.ts';
import {
  DATAGRAM_LENGTH,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  datagramsIn,
  makeDatagramBatch,
  makePacketBatch,
  PACKET_STRIDE,
} from '../../src/packet/batch.ts';

test('a batch has room for as many as were asked for, and is empty', () => {
  const packets = makePacketBatch(1000, 7);
  expect([packets.slab.length, packets.desc.length, packets.count]).toEqual([1000, 7 * PACKET_STRIDE, 0]);
  const datagrams = makeDatagramBatch(1000, 7);
  expect([datagrams.slab.length, datagrams.desc.length, datagrams.count]).toEqual([1000, 7 * DATAGRAM_STRIDE, 0]);
  expect(datagrams.endpoints.length).toBe(7 * ENDPOINT_SIZE);
});

test('a range of several datagrams counts each of them, the last one too if it is shorter', () => {
  const batch = makeDatagramBatch(0, 5);
  const ranges = [
    [100, 0],
    [300, 100],
    [301, 100],
    [99, 100],
    [500, 100],
  ] as const;
  for (const [i, [length, segment]] of ranges.entries()) {
    batch.desc[i * DATAGRAM_STRIDE + DATAGRAM_LENGTH] = length;
    batch.desc[i * DATAGRAM_STRIDE + DATAGRAM_SEGMENT] = segment;
  }
  const counts = [0, 1, 2, 3, 4, 5].map(count => datagramsIn({ ...batch, count }));
  expect(counts).toEqual([0, 1, 4, 8, 9, 14]);
});

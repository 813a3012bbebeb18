/**
 * Laying out messages for sending: terminates for every size, omits nothing, and uses no more
 * descriptors than predicted.
 */
import { expect, test } from 'vitest';
import { ENDPOINT_SIZE } from '../../src/base/endpoint.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import {
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  type DatagramBatch,
  PACKET_STRIDE,
} from '../../src/packet/batch.ts';
import { CookieJar } from '../../src/protocol/cookie.ts';
import { Keypairs } from '../../src/protocol/keypairs.ts';
import { mostRanges, Output } from '../../src/protocol/output.ts';
import { Peer } from '../../src/protocol/peer.ts';
import { PeerTimers } from '../../src/protocol/peer-timers.ts';
import { withSeed } from '../support/random.ts';

const PAYLOAD = 65_507;
/** Fewer for the mutation tests. */
const RUNS = Math.min(2000, Number(process.env['WG_FUZZ_RUNS'] ?? 2000));

function somePeer(id: number): Peer {
  const key = new Uint8Array(32).fill(id + 1);
  const timers = new PeerTimers(
    () => {},
    () => 0,
  );
  return new Peer(id, key, new CookieJar(opensslCrypto, key), new Keypairs(() => {}), timers);
}

/** The datagrams of a batch, [offset, length] each. */
function datagrams({ desc, count }: DatagramBatch): [number, number][] {
  const found: [number, number][] = [];
  for (let i = 0; i < count; i++) {
    const at = i * DATAGRAM_STRIDE;
    const [offset, length] = [desc[at + DATAGRAM_OFFSET]!, desc[at + DATAGRAM_LENGTH]!];
    const segment = desc[at + DATAGRAM_SEGMENT]! || length;
    expect(Math.ceil(length / segment)).toBeLessThanOrEqual(64);
    // only a range of one datagram may be larger than the kernel accepts
    if (length > segment) expect(length).toBeLessThanOrEqual(PAYLOAD);
    for (let done = 0; done < length; done += segment) found.push([offset + done, Math.min(segment, length - done)]);
  }
  return found;
}

test.each([65_507, 65_508, 65_520, 65_527, 65_528, 65_567, 100_000])(
  'one message of %i bytes is one datagram',
  size => {
    const output = new Output(1 << 20, 1024, 16);
    output.addSegments(somePeer(0), 0, size, size, 0);
    expect(datagrams(output.transmits)).toEqual([[0, size]]);
  },
);

/** What is added one after the other: `segment` and `length` of one peer, and its TOS. */
type Added = readonly [segment: number, length: number, tos?: number];

test.each<[string, readonly Added[], readonly [length: number, segment: number][]]>([
  [
    'of one size follow each other',
    [
      [100, 100],
      [100, 300],
    ],
    [[400, 100]],
  ],
  [
    'a shorter one may be the last',
    [
      [100, 200],
      [60, 60],
    ],
    [[260, 100]],
  ],
  [
    'nothing follows a shorter one',
    [
      [100, 200],
      [60, 60],
      [100, 100],
    ],
    [
      [260, 100],
      [100, 100],
    ],
  ],
  [
    'several shorter ones are a range of their own',
    [
      [100, 200],
      [60, 120],
    ],
    [
      [200, 100],
      [120, 60],
    ],
  ],
  [
    'longer ones are a range of their own',
    [
      [60, 120],
      [100, 200],
    ],
    [
      [120, 60],
      [200, 100],
    ],
  ],
  [
    'one longer one is a range of its own',
    [
      [60, 120],
      [100, 100],
    ],
    [
      [120, 60],
      [100, 100],
    ],
  ],
  [
    'a rest may follow a range of the same size',
    [
      [100, 200],
      [100, 250],
    ],
    [[450, 100]],
  ],
  [
    'nothing follows a rest',
    [
      [100, 250],
      [100, 200],
    ],
    [
      [250, 100],
      [200, 100],
    ],
  ],
  [
    'other marks are a range of their own',
    [
      [100, 200, 0],
      [100, 200, 1],
    ],
    [
      [200, 100],
      [200, 100],
    ],
  ],
  [
    'at most 64 are a range',
    [
      [100, 6300],
      [100, 300],
    ],
    [
      [6400, 100],
      [200, 100],
    ],
  ],
])('messages %s', (_what, added, expected) => {
  const output = new Output(1 << 20, 1024, 16);
  const peer = somePeer(0);
  let at = 0;
  for (const [segment, length, tos = 0] of added) {
    output.addSegments(peer, at, length, segment, tos);
    at += length;
  }
  const { desc, count } = output.transmits;
  const ranges = Array.from({ length: count }, (_, i) =>
    [DATAGRAM_LENGTH, DATAGRAM_SEGMENT].map(field => desc[i * DATAGRAM_STRIDE + field]!),
  );
  expect(ranges).toEqual(expected);
  expect(output.cursor).toBe(at);
});

test('messages of another peer, or elsewhere, are a range of their own', () => {
  const output = new Output(1 << 20, 1024, 16);
  const [first, second] = [somePeer(0), somePeer(1)];
  output.addSegments(first, 0, 200, 100, 0);
  output.addSegments(second, 200, 200, 100, 0);
  output.addSegments(second, 432, 200, 100, 0);
  expect(datagrams(output.transmits).map(([offset]) => offset)).toEqual([0, 100, 200, 300, 432, 532]);
  expect(output.transmits.count).toBe(3);
});

test('messages of any size, of two peers, mixed', () => {
  withSeed(random => {
    const peers = [somePeer(0), somePeer(1)];
    for (let run = 0; run < RUNS; run++) {
      const output = new Output(1 << 20, 1024, 16);
      const expected: [number, number][] = [];
      for (let at = 0, packets = random.below(20); packets > 0; packets--) {
        const segment = 32 + random.pick([random.below(100), random.below(1500), random.below(66_000)]);
        const messages = 1 + random.below(random.pick([1, 3, 200]));
        const length = (messages - 1) * segment + 32 + random.below(segment - 31);
        if (at + length > output.transmits.slab.length) break;
        const before = output.transmits.count;
        output.addSegments(random.pick(peers), at, length, segment, random.below(2));
        expect(output.transmits.count - before).toBeLessThanOrEqual(mostRanges(messages, segment));
        for (let done = 0; done < length; done += segment) expected.push([at + done, Math.min(segment, length - done)]);
        at += length;
      }
      expect(datagrams(output.transmits)).toEqual(expected);
    }
  });
});

test('messages with a gap before them, as after one that the cipher refused, begin another range', () => {
  const output = new Output(1 << 20, 1024, 16);
  const peer = somePeer(0);
  output.addSegments(peer, 0, 200, 100, 0);
  output.addSegments(peer, 300, 200, 100, 0);
  output.addSegments(peer, 500, 100, 100, 0);
  expect(output.transmits.count).toBe(2);
  expect(datagrams(output.transmits)).toEqual([0, 100, 300, 400, 500].map(offset => [offset, 100]));
  expect(output.cursor).toBe(600);
});

test('a message to an address is a range of its own, and nothing is added to it', () => {
  const output = new Output(1 << 20, 1024, 16);
  const peer = somePeer(0);
  peer.endpoint.fill(7);
  output.addSegments(peer, 0, 148, 148, 1);
  output.addMessage(148, 1, new Uint8Array(100).fill(3), 5, peer);
  output.addSegments(peer, 296, 148, 148, 1);
  expect(output.transmits.count).toBe(3);
  expect(datagrams(output.transmits)).toEqual([0, 148, 296].map(offset => [offset, 148]));
  expect([...output.transmits.endpoints.subarray(0, 3 * ENDPOINT_SIZE)]).toEqual([
    ...new Array<number>(ENDPOINT_SIZE).fill(7),
    ...new Array<number>(ENDPOINT_SIZE).fill(3),
    ...new Array<number>(ENDPOINT_SIZE).fill(7),
  ]);
});

test('packets leave room for 64 control messages, and reservations count', () => {
  const output = new Output(1 << 20, 128, 16);
  expect([output.reserve(1000, 63), output.reserve(1000, 2), output.reserve(1000, 1)]).toEqual([true, false, true]);
  expect([output.hasRoom(0, 1), output.hasControlRoom(64)]).toEqual([false, true]);
  output.release();
  expect([output.hasRoom((1 << 20) - 16_384, 64), output.hasRoom((1 << 20) - 16_383, 1)]).toEqual([true, false]);
  for (let i = 0; i < 128; i++) {
    expect([output.hasControlRoom(128 - i), output.hasControlRoom(129 - i)]).toEqual([true, false]);
    output.addMessage(148, 0, new Uint8Array(ENDPOINT_SIZE), 0, undefined);
  }
  expect(output.hasControlRoom()).toBe(false);
  output.clear();
  expect([output.hasControlRoom(128), output.empty, output.cursor]).toEqual([true, true, 0]);
});

test('control messages need room in the slab too', () => {
  const output = new Output(1024, 128, 16);
  expect([output.hasControlRoom(4), output.hasControlRoom(5)]).toEqual([true, false]);
});

test('local packets fill their slab and their descriptors, and then find no room', () => {
  const output = new Output(1 << 20, 128, 16);
  let count = 0;
  for (let at = output.reserveLocal(600, 16); at >= 0; at = output.reserveLocal(600, 16)) {
    output.addLocal(at, 500);
    count++;
  }
  expect([count, output.locals.count, output.empty]).toEqual([64, 64, false]);
  const ends = Array.from({ length: 64 }, (_, i) => output.locals.desc[i * PACKET_STRIDE]! + 500);
  for (let i = 1; i < 64; i++) expect(output.locals.desc[i * PACKET_STRIDE]! - ends[i - 1]!).toBe(16);
  output.clear();
  expect([output.reserveLocal(65_520, 16), output.reserveLocal(65_521, 16)]).toEqual([16, -1]);
});

test('exceeds() detects messages that no empty output can hold, by bytes and by descriptors', () => {
  const output = new Output(1 << 20, 1024, 16);
  expect(output.exceeds((1 << 20) - 16_384, 960)).toBe(false);
  expect(output.exceeds((1 << 20) - 16_383, 1)).toBe(true);
  expect(output.exceeds(1, 961)).toBe(true);
});

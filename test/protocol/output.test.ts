/**
 * Laying out messages for sending: terminates for every size, omits nothing, and uses no more
 * descriptors than predicted.
 */
import { expect, test } from 'vitest';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import {
  DATAGRAM_LENGTH,
  DATAGRAM_OFFSET,
  DATAGRAM_SEGMENT,
  DATAGRAM_STRIDE,
  type DatagramBatch,
} from '../../src/packet/batch.ts';
import { CookieJar } from '../../src/protocol/cookie.ts';
import { Keypairs } from '../../src/protocol/keypairs.ts';
import { mostRanges, Output } from '../../src/protocol/output.ts';
import { Peer } from '../../src/protocol/peer.ts';
import { PeerTimers } from '../../src/protocol/peer-timers.ts';
import { withSeed } from '../support/random.ts';

const PAYLOAD = 65_507;

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

test('messages of any size, of two peers, mixed', () => {
  withSeed(random => {
    const peers = [somePeer(0), somePeer(1)];
    for (let run = 0; run < 2000; run++) {
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

test('exceeds() detects messages that no empty output can hold, by bytes and by descriptors', () => {
  const output = new Output(1 << 20, 1024, 16);
  expect(output.exceeds((1 << 20) - 16_384, 960)).toBe(false);
  expect(output.exceeds((1 << 20) - 16_383, 1)).toBe(true);
  expect(output.exceeds(1, 961)).toBe(true);
});

/** Datagrams of unusual sizes, alone and in ranges (UDP_GRO), with packets of all lengths. */
import { describe, expect, test } from 'vitest';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { MESSAGE_TRANSPORT as TRANSPORT } from '../../src/packet/message-type.ts';
import { batchOf, type Item } from '../support/datagrams.ts';
import { withSeed } from '../support/random.ts';
import { barePair, settle } from './bare-node.ts';
import { EVE } from './handmade.ts';
import { pair, session, swallow } from './pair.ts';
import { makePacket } from './payload.ts';
import type { Sent } from './simulation.ts';

/** A session, and undelivered messages of A. */
function held(sizes: readonly number[]) {
  const made = session();
  const { sim, a, b } = made;
  const messages: Sent[] = [];
  const stop = swallow(sim, s => s.from === a && messages.push(s) > 0);
  const ids = sizes.map(size => sim.send(a, b, { size }));
  stop();
  return { ...made, ids, messages: messages.map(s => s.bytes) };
}

describe('a range of many datagrams', () => {
  test('is split into its datagrams, the last one shorter', () => {
    const { sim, a, b, ids, messages } = held([500, 500, 500, 100]);
    const segment = messages[0]!.length;
    b.receiveBatch(batchOf([{ to: a.endpoint, bytes: Buffer.concat(messages), segment, tos: 0 }]));
    expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
    expect(b.status(a).rxBytes).toBe(148 + 96 + messages.reduce((sum, m) => sum + m.length, 0));
  });

  test('may mix messages of several types and sessions with garbage', () => {
    const { sim, a, b, ids, messages } = held([40, 40]);
    const [first, second] = messages as [Uint8Array, Uint8Array];
    const junk = new Uint8Array(first.length).fill(7);
    const bytes = Buffer.concat([junk, first, junk, second, junk.subarray(5)]);
    b.receiveBatch(batchOf([{ to: a.endpoint, bytes, segment: first.length, tos: 0 }]));
    expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
    expect(b.counters.malformedDatagram).toBe(3);
  });

  test('with segments of one byte, or larger than the range, is harmless', () => {
    const { sim, a, b, ids, messages } = held([1200]);
    const message = messages[0]!;
    for (const segment of [1, 2, 31, 32, 33]) b.receiveBatch(batchOf([{ to: EVE, bytes: message, segment, tos: 0 }]));
    expect(sim.wasDelivered(ids[0]!)).toBe(false);
    b.receiveBatch(batchOf([{ to: a.endpoint, bytes: message, segment: 65_535, tos: 0 }]));
    expect(sim.wasDelivered(ids[0]!)).toBe(true);
  });

  test('of 64 KiB in minimal segments, repeated many times, is counted completely', () => {
    const { b } = session();
    const bytes = new Uint8Array(65_536);
    for (let i = 0; i < bytes.length; i += 32) bytes[i] = TRANSPORT;
    const item: Item = { to: EVE, bytes, segment: 32, tos: 0 };
    b.receiveBatch(batchOf([item, item, item, item, item]));
    expect(b.counters.unknownReceiver).toBe(5 * 2048);
  });

  test('of more messages under one session than one input holds is processed in parts', () => {
    const { sim, a, b } = session();
    const before = b.counters.badTag;
    const real = sim.sentBy(a, TRANSPORT)[0]!.bytes;
    const bytes = new Uint8Array(65_536);
    for (let i = 0; i < bytes.length; i += 32) bytes.set(real.subarray(0, 32), i);
    const item: Item = { to: EVE, bytes, segment: 32, tos: 0 };
    b.receiveBatch(batchOf([item, item, item, item, item]));
    expect(b.counters.badTag - before).toBe(5 * 2048);
  });
});

describe('a datagram', () => {
  test('of no bytes, or of the maximum size of UDP, of any type', () => {
    const { sim, a, b } = session();
    b.receive(EVE, new Uint8Array(0));
    expect(b.counters.malformedDatagram).toBe(1);
    const data = sim.sentBy(a, TRANSPORT)[0]!.bytes;
    for (let type = 0; type < 6; type++) {
      const big = new Uint8Array(65_507);
      big.set(data.subarray(0, 16));
      big[0] = type;
      b.receive(EVE, big);
    }
    expect(b.counters.badTag).toBe(1);
    expect(b.counters.malformedDatagram).toBe(6);
    const id = sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
  });

  test('with nonzero reserved bytes has no known type', () => {
    const { b, messages } = held([40]);
    for (const at of [1, 2, 3]) {
      const odd = Uint8Array.from(messages[0]!);
      odd[at] = 1;
      b.receive(EVE, odd);
    }
    expect(b.counters.malformedDatagram).toBe(3);
  });

  test('of random bytes, size and segments, a thousand times, does not stop traffic', () => {
    withSeed(random => {
      const { sim, a, b } = session();
      const known = sim.sentBy(a).map(s => s.bytes);
      for (let i = 0; i < 1000; i++) {
        const base = random.chance(0.5) ? Uint8Array.from(random.pick(known)) : random.bytes(random.below(300));
        for (let n = random.below(4); n > 0 && base.length > 0; n--)
          base[random.below(base.length)] = random.below(256);
        if (base.length > 3 && random.chance(0.7)) base.set([1 + random.below(4), 0, 0, 0]);
        const items = Array.from({ length: 1 + random.below(3) }, () => ({
          to: EVE,
          bytes: base,
          segment: random.pick([0, 0, 1, 16, 32, 92, 148, 65_535]),
          tos: random.below(257) - 1,
        }));
        b.receiveBatch(batchOf(items));
      }
      const id = sim.send(a, b);
      sim.run(1000);
      expect(sim.wasDelivered(id)).toBe(true);
    });
  });
});

describe('a packet in a tunnel', () => {
  function bareSession() {
    const made = barePair();
    made.a.send(makePacket(0, 1, 1, 40, false));
    settle(made);
    made.b.delivered = [];
    return { ...made, keypair: made.ofB.keypairs.current! };
  }

  /** Bytes of padded plaintext for packets of the given lengths, at an MTU. */
  function onWire(mtu: number, lengths: readonly number[]): number[] {
    const { sim, a, b } = session();
    a.engine.mtu = mtu;
    const from = sim.now;
    for (const length of lengths) sim.send(a, b, { size: length - 20 });
    sim.run(100);
    expect(sim.delivered).toBe(1 + lengths.length);
    return sim.sentBy(a, TRANSPORT, from).map(s => s.bytes.length - 32);
  }

  test('is padded to a multiple of 16, and arrives unchanged', () => {
    const lengths = Array.from({ length: 200 }, (_, i) => 24 + i);
    expect(onWire(1420, lengths)).toEqual(lengths.map(length => Math.ceil(length / 16) * 16));
  });

  test('is never padded past the MTU', () => {
    expect(onWire(1420, [1408, 1409, 1416, 1417, 1420])).toEqual([1408, 1420, 1420, 1420, 1420]);
    expect(onWire(1300, [1290, 1299, 1300])).toEqual([1296, 1300, 1300]);
    expect(onWire(1280, [1279, 1280])).toEqual([1280, 1280]);
  });

  test('longer than the MTU is padded by its length modulo the MTU', () => {
    expect(onWire(1000, [1001, 1016, 1017])).toEqual([1016, 1016, 1032]);
  });

  test('at an MTU of zero, of one byte, and of the maximum', () => {
    expect(onWire(0, [24, 100])).toEqual([32, 112]);
    expect(onWire(1, [24, 100])).toEqual([24, 100]);
    expect(onWire(65_535, [24, 100])).toEqual([32, 112]);
  });

  test('arrives with the length in its header, whatever follows it', () => {
    const { a, b, keypair } = bareSession();
    const packet = makePacket(0, 1, 2, 40, false);
    b.receive(a.endpoint, a.seal(keypair, 5n, Buffer.concat([packet, new Uint8Array(500).fill(9)])));
    expect(b.delivered).toEqual([packet]);
  });

  test('that is not IP, or claims more bytes than it has, is dropped; the peer still roams to its source', () => {
    const { a, b, ofA, keypair } = bareSession();
    const packet = makePacket(0, 1, 2, 40, false);
    const longer = Uint8Array.from(packet);
    longer[2] = 0xff;
    const short = Uint8Array.from(packet);
    short.set([0, 19], 2);
    const plaintexts = [
      new Uint8Array(1),
      new Uint8Array(64),
      packet.subarray(0, 19),
      packet.subarray(0, 59),
      longer,
      short,
    ];
    plaintexts.forEach((plaintext, i) => {
      const from = makeEndpoint(EVE.subarray(4, 8), 1000 + i);
      b.receive(from, a.seal(keypair, BigInt(5 + i), plaintext));
      expect(ofA.endpoint).toEqual(from);
    });
    expect(b.device.counters.malformedPacket).toBe(plaintexts.length);
    expect(b.delivered).toEqual([]);
  });

  test('of every size arrives in both families', () => {
    const { sim, a, b } = pair();
    const ids: number[] = [];
    for (let size = 4; size < 1400; size += 13)
      for (const ipv6 of [false, true]) {
        ids.push(sim.send(a, b, { size, ipv6 }));
        sim.run(30);
      }
    expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
  });
});

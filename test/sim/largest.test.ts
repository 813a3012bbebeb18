/**
 * Packets whose message exceeds any UDP datagram: they consume no counter, block nothing, and their
 * sender gets an ICMP error.
 */
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { ENDPOINT_SIZE, makeEndpoint } from '../../src/base/endpoint.ts';
import type { Family } from '../../src/base/family.ts';
import { DATAGRAM_STRIDE, makeDatagramBatch, makePacketBatch, type PacketBatch } from '../../src/packet/batch.ts';
import { readU32le } from '../../src/packet/byte-order.ts';
import { MESSAGE_RESPONSE } from '../../src/packet/message-type.ts';
import { TIMER_FLUSH_STAGED } from '../../src/protocol/peer-timers.ts';
import { batchOf } from '../support/datagrams.ts';
import { get16, UDP } from '../support/ip-packet.ts';
import { counting, superPacket } from '../support/super-packet.ts';
import { barePair, settle } from './bare-node.ts';
import { pair } from './pair.ts';
import { makePacket } from './payload.ts';
import type { Sent } from './simulation.ts';

/** Bytes of the largest packet, including its header. */
const LARGEST = { 4: 65_472, 6: 65_488 } as const;
const ENDPOINT = { 4: '192.0.2.2', 6: '2001:db8::2' } as const;

const packet = (bytes: number) => makePacket(0, 1, 7, bytes - 20, false);
const counterOf = (message: Uint8Array) => readU32le(message, 8);

function rangeBatch(range: Uint8Array): PacketBatch {
  const batch = makePacketBatch(1 << 17, 1);
  batch.slab.set(range);
  batch.desc.set([0, range.length]);
  batch.count = 1;
  return batch;
}

/** A session that A began, with the largest MTU, to an endpoint of a family. */
function talking(family: Family) {
  const made = barePair();
  made.a.send(makePacket(0, 1, 1, 40, false));
  settle(made);
  made.a.device.mtu = 65_535;
  made.ofB.endpoint.set(makeEndpoint(parseAddress(ENDPOINT[family])!, 51_820));
  return made;
}

describe.each([4, 6] as const)('to an endpoint of IPv%i', family => {
  test('the largest packet is sent; one with a byte more is counted and consumes no message counter', () => {
    const { a } = talking(family);
    const { counters } = a.device;
    a.send(packet(LARGEST[family]));
    const [first] = a.take();
    expect(first!.length).toBe(LARGEST[family] + 32);
    for (const size of [LARGEST[family] + 1, LARGEST[family] + 4, 65_535]) a.send(packet(size));
    expect(a.take()).toEqual([]);
    expect(counters.oversized).toBe(3);
    expect(counters.sealRefused + counters.malformedOutbound).toBe(0);
    a.send(packet(100));
    expect(a.take().map(counterOf)).toEqual([counterOf(first!) + 1]);
  });

  test('in the middle of a batch it is dropped, and the rest is sent', () => {
    const { a } = talking(family);
    a.send(packet(100), packet(65_535), packet(200));
    expect(a.take().map(message => message.length)).toEqual([144, 240]);
    expect(a.device.counters.oversized).toBe(1);
  });

  test.each([
    [65_400, true],
    [65_440, family === 6],
    [65_480, false],
  ])('a super-packet of segments of %i bytes: %s', (gsoSize, fits) => {
    const { a } = talking(family);
    a.device.mtu = 1420;
    const batch = rangeBatch(superPacket({ payload: counting(65_490) }, gsoSize));
    expect(a.outbound.send(batch, 0, a.now)).toBe(1);
    expect(a.device.counters.oversized).toBe(fits ? 0 : 1);
    expect(a.device.output.transmits.count).toBe(fits ? 2 : 0);
  });

  test('a staged packet is dropped if the limit has shrunk since', () => {
    const made = barePair();
    const { a, ofB } = made;
    ofB.endpoint.set(makeEndpoint(parseAddress(ENDPOINT[6])!, 51_820));
    a.device.mtu = 65_535;
    a.send(packet(65_480), packet(100));
    expect(ofB.staged.segments).toBe(2);
    ofB.endpoint.set(makeEndpoint(parseAddress(ENDPOINT[family])!, 51_820));
    const [initiation] = a.take();
    made.b.receive(a.endpoint, initiation!);
    a.receive(makeEndpoint(parseAddress(ENDPOINT[family])!, 51_820), ...made.b.take());
    expect(a.take().map(message => [message.length, counterOf(message)])).toEqual(
      family === 6
        ? [
            [65_488 + 32, 0],
            [144, 1],
          ]
        : [[144, 0]],
    );
    expect(a.device.counters.oversized).toBe(family === 6 ? 0 : 1);
    expect(ofB.staged.empty).toBe(true);
    expect(ofB.timers.pending(TIMER_FLUSH_STAGED)).toBe(false);
  });

  test.each([0, 1420, 65_535])('its sender learns the largest size at an MTU of %i', mtu => {
    const { a } = talking(family);
    a.device.mtu = mtu;
    const { locals } = a.device.output;
    const tooLarge = packet(65_500);
    const range = new Uint8Array(10 + tooLarge.length);
    range.set(tooLarge, 10);
    a.outbound.send(rangeBatch(range), 0, a.now);
    const answer = locals.slab.subarray(locals.desc[0]!, locals.desc[0]! + locals.desc[1]!);
    expect(get16(answer, 26)).toBe(mtu === 1420 ? 1420 : LARGEST[family]);
  });

  test('its sender gets fragmentation needed with the largest size', () => {
    const { a } = talking(family);
    const { locals } = a.device.output;
    const tooLarge = packet(65_500);
    const range = new Uint8Array(10 + tooLarge.length);
    range.set(tooLarge, 10);
    a.outbound.send(rangeBatch(range), 0, a.now);
    expect(locals.count).toBe(1);
    const answer = locals.slab.subarray(locals.desc[0]!, locals.desc[0]! + locals.desc[1]!);
    expect([...answer.subarray(20, 22)]).toEqual([3, 4]);
    expect(get16(answer, 26)).toBe(LARGEST[family]);
    expect(answer.subarray(28)).toEqual(tooLarge.subarray(0, answer.length - 28));
    // rate-limited like any ICMP error
    for (let i = 0; i < 200; i++) {
      a.device.output.clear();
      a.outbound.send(rangeBatch(range), 0, a.now);
    }
    expect(locals.count).toBe(0);
    expect(a.device.counters.oversized).toBe(201);
  });
});

test('a staged super-packet that exceeds any output after an MTU change is dropped, and nothing waits for room for ever', () => {
  const { sim, a, b } = pair();
  // 3,200 datagrams of 44 bytes: without padding 243,200 bytes of messages, padded to 48 they are
  // 256,000; there is room for 245,760
  a.engine.mtu = 44;
  const range = superPacket({ protocol: UDP, payload: counting(3200 * 16) }, 16);
  expect(a.engine.send(rangeBatch(range), 0, sim.now)).toBe(1);
  const held: Sent[] = [];
  sim.tamper = sent => (sent.bytes[0] === MESSAGE_RESPONSE && held.push(sent) > 0 ? undefined : sent.bytes);
  a.timeout();
  sim.run(100);
  expect(held).toHaveLength(1);
  a.engine.mtu = 1420;
  a.receiveBatch(batchOf(held.map(sent => ({ to: sent.source, bytes: sent.bytes }))));
  a.timeout();
  expect(a.counters.oversized).toBe(1);
  expect(a.nextDeadline).toBeGreaterThan(sim.now);
  sim.tamper = undefined;
  const id = sim.send(a, b);
  sim.run(1000);
  expect(sim.wasDelivered(id)).toBe(true);
});

test.each([false, true])('a super-packet that exceeds any output is counted at once (with a session: %s)', talked => {
  const { sim, a, b } = pair();
  if (talked) sim.send(a, b);
  sim.run(100);
  // 3,200 messages of 80 bytes
  const range = superPacket({ protocol: UDP, payload: counting(3200 * 16) }, 16);
  expect(a.engine.send(rangeBatch(range), 0, sim.now)).toBe(1);
  expect(a.counters.oversized).toBe(1);
  expect(a.engine.transmits.count).toBe(0);
  // smaller packets would not help: each message is small
  expect(a.engine.locals.count).toBe(0);
});

test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 65_536, 2 ** 40])('an MTU of %d pads to 16 bytes', mtu => {
  const { sim, a } = pair();
  sim.send(a, sim.nodes[1]!);
  sim.run(1000);
  a.engine.mtu = mtu;
  const lengths: number[] = [];
  sim.tamper = sent => {
    lengths.push(sent.bytes.length);
    return sent.bytes;
  };
  sim.send(a, sim.nodes[1]!, { size: 83 });
  sim.run(5);
  expect(lengths).toEqual([112 + 32]);
});

describe('descriptors that no port produces', () => {
  test.each([
    ['a segment below zero', 100, -1],
    ['more messages than can be taken', 1 << 18, 32],
    ['no bytes', 0, 0],
    ['fewer than none', -5, 0],
  ])('%s: counted, and the following packets are processed', (_what, length, segment) => {
    const { sim, a } = pair();
    const batch = makeDatagramBatch(1 << 18, 2);
    batch.slab.fill(9);
    batch.desc.set([0, length, segment, 0, 0, 0, 40, 0, 0, 0]);
    batch.count = 2;
    expect(batch.desc.length / DATAGRAM_STRIDE).toBe(2);
    expect(batch.endpoints.length / ENDPOINT_SIZE).toBe(2);
    expect(a.engine.receive(batch, 0, sim.now)).toBe(2);
    expect(a.counters.malformedDatagram).toBe(2);
  });
});

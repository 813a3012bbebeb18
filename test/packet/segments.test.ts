/**
 * The segmentation plan of a super-packet, and the packets that it refuses before anything is
 * written.
 */
import { describe, expect, test } from 'vitest';
import type { Family } from '../../src/base/family.ts';
import {
  MAX_SEGMENTS,
  SPLIT_CHECKSUM,
  SPLIT_COPY,
  SPLIT_TCP,
  SPLIT_UDP,
  SplitPlan,
  segmentCount,
} from '../../src/packet/segments.ts';
import { DF, type IpShape, ipPacket, MF, put16, TCP, UDP } from '../support/ip-packet.ts';
import { counting, GSO, NEEDS_CSUM, rangeOf, superPacket, type Vnet } from '../support/super-packet.ts';

const count = (range: Uint8Array, length = range.length): number => segmentCount(range, 0, length);
const read = (range: Uint8Array): SplitPlan => {
  const plan = new SplitPlan();
  plan.read(range, 0, range.length);
  return plan;
};
const tcp = (payload: number, unit: number, change: Partial<IpShape> = {}, vnet: Partial<Vnet> = {}): Uint8Array =>
  superPacket({ payload: counting(payload), ...change }, unit, vnet);
const udp = (payload: number, unit: number, change: Partial<IpShape> = {}, vnet: Partial<Vnet> = {}): Uint8Array =>
  tcp(payload, unit, { protocol: UDP, ...change }, vnet);

describe('number of segments', () => {
  test.each([
    [0, 100, 1],
    [1, 100, 1],
    [99, 100, 1],
    [100, 100, 1],
    [101, 100, 2],
    [200, 100, 2],
    [201, 100, 3],
    [64 * 1448, 1448, 0],
    [44 * 1448, 1448, 44],
    [MAX_SEGMENTS, 1, MAX_SEGMENTS],
    [MAX_SEGMENTS + 1, 1, 0],
    [100, 65_535, 1],
  ])('%i bytes of payload by %i: %i', (payload, unit, wanted) => {
    for (const version of [4, 6] as const) {
      const range = payload > 65_000 ? tooLong(version) : tcp(payload, unit, { version });
      expect(count(range)).toBe(wanted);
    }
  });

  test('lengths of the segments, and of all as transport messages', () => {
    const plan = read(tcp(2500, 1000));
    expect([0, 1, 2].map(i => plan.segmentLength(i))).toEqual([1040, 1040, 540]);
    // 1040 is a multiple of 16, 540 is padded to 544
    expect(plan.sealedSize(1420)).toBe(1072 + 1072 + 576);
    expect(plan.sealedSize(1040)).toBe(1072 + 1072 + 576);
    expect(read(tcp(999, 1000)).sealedSize(1420)).toBe(1040 + 32);
  });

  test('a plan of a malformed range has no size, also after a valid one', () => {
    const plan = read(tcp(2500, 1000));
    expect(plan.read(new Uint8Array(60), 0, 60)).toBe(0);
    expect([plan.sealedSize(1420), plan.messageSize(1420)]).toEqual([0, 0]);
  });
});

describe('kind of split', () => {
  test('none without offload', () => {
    for (const version of [4, 6] as const) {
      const plan = read(rangeOf({}, ipPacket({ version, payload: counting(77) })));
      expect([plan.count, plan.action]).toEqual([1, SPLIT_COPY]);
    }
  });

  test('a checksum completed without segmentation', () => {
    const range = tcp(100, 0, {}, { gsoType: GSO.none });
    expect(read(range)).toMatchObject({ count: 1, action: SPLIT_CHECKSUM, upper: 20, field: 36 });
  });

  test('TCP and UDP of both families', () => {
    for (const version of [4, 6] as const) {
      expect(read(tcp(300, 100, { version })).action).toBe(SPLIT_TCP);
      expect(read(udp(300, 100, { version })).action).toBe(SPLIT_UDP);
    }
  });

  test('ECN in the type changes nothing', () => {
    expect(read(tcp(300, 100, {}, { gsoType: GSO.tcp4 | GSO.ecn }))).toMatchObject({ count: 3, action: SPLIT_TCP });
  });
});

describe('hdr_len is not trusted', () => {
  test.each([0, 1, 14, 40, 52, 60, 1000, 65_535])('%i: headers are parsed instead', headerLength => {
    const range = tcp(300, 100, { tcpOptions: new Uint8Array(12).fill(1) }, { headerLength });
    expect(read(range)).toMatchObject({ count: 3, headers: 52 });
    const six = udp(300, 100, { version: 6, extensions: [[60, new Uint8Array(7)]] }, { headerLength });
    expect(read(six)).toMatchObject({ count: 3, headers: 56 });
  });
});

describe('refused', () => {
  test('less than a vnet header and an IP header', () => {
    const range = rangeOf({}, ipPacket());
    for (let length = 0; length < 10 + 20; length++) expect(count(range, length)).toBe(0);
    const six = rangeOf({}, ipPacket({ version: 6 }));
    for (let length = 0; length < 10 + 40; length++) expect(count(six, length)).toBe(0);
  });

  test('no IP version, a header too short or too long, a length beyond the packet', () => {
    const spoil = (at: number, value: number): number => {
      const packet = ipPacket({ payload: counting(30) });
      packet[at] = value;
      return count(rangeOf({}, packet));
    };
    expect(spoil(0, 0x55)).toBe(0);
    expect(spoil(0, 0x44)).toBe(0);
    expect(spoil(3, 71)).toBe(0);
    expect(spoil(3, 19)).toBe(0);
    expect(spoil(3, 70)).toBe(1);
    const six = ipPacket({ version: 6, payload: counting(30) });
    put16(six, 4, 51);
    expect(count(rangeOf({}, six))).toBe(0);
  });

  test('a checksum field outside the packet', () => {
    const packet = ipPacket({ payload: counting(10) });
    const at = (csumStart: number, csumOffset: number): number =>
      count(rangeOf({ flags: NEEDS_CSUM, csumStart, csumOffset }, packet));
    expect(at(20, 16)).toBe(1);
    expect(at(20, packet.length - 22)).toBe(1);
    expect(at(20, packet.length - 21)).toBe(0);
    expect(at(65_535, 0)).toBe(0);
    expect(at(65_535, 65_535)).toBe(0);
  });

  test('a type that does not match the packet, UFO, and unknown types', () => {
    expect(count(tcp(300, 100, {}, { gsoType: GSO.tcp6 }))).toBe(0);
    expect(count(tcp(300, 100, { version: 6 }, { gsoType: GSO.tcp4 }))).toBe(0);
    expect(count(tcp(300, 100, {}, { gsoType: GSO.udpL4 }))).toBe(0);
    expect(count(udp(300, 100, {}, { gsoType: GSO.tcp4 }))).toBe(0);
    for (const gsoType of [2, GSO.udp, 6, 7, 0x40, 0x7f]) expect(count(udp(300, 100, {}, { gsoType }))).toBe(0);
    expect(count(tcp(300, 100, { protocol: 1 }, { gsoType: GSO.tcp4 }))).toBe(0);
  });

  test('a segmented packet of no IP version', () => {
    const six = udp(300, 100, { version: 6 });
    six[10] = 0x50;
    expect(count(six)).toBe(0);
  });

  test('a protocol that does not match the type, also without a partial checksum', () => {
    expect(count(udp(300, 100, {}, { gsoType: GSO.tcp4, flags: 0 }))).toBe(0);
    expect(count(tcp(300, 100, {}, { gsoType: GSO.udpL4, flags: 0 }))).toBe(0);
  });

  test('segments of size zero, also of an empty payload', () => {
    expect(count(tcp(300, 0))).toBe(0);
    expect(count(tcp(0, 0))).toBe(0);
  });

  test('fragments', () => {
    for (const fragment of [MF, MF | DF, 1, 0x1fff]) expect(count(tcp(300, 100, { fragment }))).toBe(0);
    for (const second of [0, 1, 8]) {
      const extensions: [number, Uint8Array][] = [[44, Uint8Array.of(0, 0, second, 0, 0, 0, 0)]];
      expect(count(tcp(300, 100, { version: 6, extensions }))).toBe(0);
    }
  });

  test('a TCP header that is too short, or ends after the packet', () => {
    for (const [words, wanted] of [
      [4, 0],
      [5, 1],
      [7, 1],
      [8, 0],
      [15, 0],
    ] as const) {
      const range = tcp(8, 100);
      range[10 + 20 + 12] = words << 4;
      expect(count(range)).toBe(wanted);
    }
    const cut = tcp(0, 100);
    expect(count(cut, cut.length - 1)).toBe(0);
    const short = udp(0, 100);
    expect(count(short)).toBe(1);
    expect(count(short, short.length - 1)).toBe(0);
  });

  test('a partial checksum outside the upper header', () => {
    for (const vnet of [{ csumStart: 24 }, { csumStart: 0 }, { csumOffset: 6 }, { csumOffset: 17 }])
      expect(count(tcp(300, 100, {}, vnet))).toBe(0);
    expect(count(udp(300, 100, {}, { csumOffset: 16 }))).toBe(0);
  });

  test('a routing header without a partial checksum: the summed destination is unknown', () => {
    const extensions: [number, Uint8Array][] = [[43, new Uint8Array(7)]];
    expect(count(tcp(300, 100, { version: 6, extensions }))).toBe(3);
    expect(count(tcp(300, 100, { version: 6, extensions }, { flags: 0 }))).toBe(0);
  });

  test('longer than an IP packet can be', () => {
    expect(count(tcp(65_535 - 40, 1448))).toBe(46);
    expect(count(tooLong(4))).toBe(0);
    expect(count(tcp(65_535 - 20, 1448, { version: 6 }))).toBe(46);
    expect(count(tooLong(6))).toBe(0);
  });
});

/** One byte more than its length field can hold. */
function tooLong(version: Family): Uint8Array {
  return tcp(65_536 - (version === 4 ? 40 : 20), 1448, { version, protocol: TCP });
}

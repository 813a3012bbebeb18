/**
 * Segments field by field, each verified as a receiver would: lengths and checksums by independent
 * code of the tests.
 */
import { describe, expect, test } from 'vitest';
import {
  ACK,
  CWR,
  ECE,
  FIN,
  faults,
  get16,
  get32,
  type IpShape,
  ipPacket,
  PSH,
  UDP,
  URG,
} from '../support/ip-packet.ts';
import { withSeed } from '../support/random.ts';
import { counting, GSO, NEEDS_CSUM, rangeOf, splitAll, superPacket } from '../support/super-packet.ts';

const FAMILIES = [
  ['IPv4', 4, 20],
  ['IPv6', 6, 40],
] as const;

describe.each(FAMILIES)('TCP over %s', (_name, version, upper) => {
  const tcp = (payload: number, unit: number, change: Partial<IpShape> = {}): Uint8Array[] =>
    splitAll(superPacket({ version, payload: counting(payload), ...change }, unit));

  test('payload in order: each segment of the requested size, the rest in the last one', () => {
    const segments = tcp(2500, 1000, { tcpOptions: Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8) });
    expect(segments.map(s => s.length - upper - 32)).toEqual([1000, 1000, 500]);
    expect(Buffer.concat(segments.map(s => s.subarray(upper + 32)))).toEqual(Buffer.from(counting(2500)));
    for (const segment of segments) expect(faults(segment)).toEqual([]);
  });

  test('sequence + i x mss, also past 2^32', () => {
    const at = (sequence: number): number[] => tcp(2500, 1000, { sequence }).map(s => get32(s, upper + 4));
    expect(at(5000)).toEqual([5000, 6000, 7000]);
    expect(at(0xffffffff - 999)).toEqual([0xfffffc18, 0, 1000]);
    expect(at(0xffffffff)).toEqual([0xffffffff, 999, 1999]);
  });

  test('FIN and PSH on the last segment only', () => {
    const flags = (set: number): number[] => tcp(2500, 1000, { flags: set }).map(s => s[upper + 13]!);
    expect(flags(ACK | FIN | PSH)).toEqual([ACK, ACK, ACK | FIN | PSH]);
    expect(flags(ACK | PSH)).toEqual([ACK, ACK, ACK | PSH]);
    expect(flags(ACK)).toEqual([ACK, ACK, ACK]);
    expect(tcp(1000, 1000, { flags: ACK | FIN | PSH })[0]![upper + 13]).toBe(ACK | FIN | PSH);
  });

  test('CWR on the first segment only, ECE and URG on all', () => {
    const segments = tcp(2500, 1000, { flags: ACK | CWR | ECE | URG });
    expect(segments.map(s => s[upper + 13])).toEqual([ACK | CWR | ECE | URG, ACK | ECE | URG, ACK | ECE | URG]);
    for (const segment of segments) expect(faults(segment)).toEqual([]);
  });

  test('all other fields as in the first: ports, acknowledgement, window, options, TTL, traffic class', () => {
    const change = { tos: 0xb9, ttl: 3, flowLabel: 0x54321, window: 999, urgent: 7, acknowledgement: 0x80000001 };
    const options = Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8);
    const segments = tcp(2500, 1000, { ...change, tcpOptions: options });
    segments.forEach((segment, i) => {
      const payload = counting(2500).subarray(i * 1000, Math.min(i * 1000 + 1000, 2500));
      const alone = { version, ...change, tcpOptions: options, payload, id: 100 + i, sequence: 5000 + i * 1000 };
      expect(segment).toEqual(ipPacket(alone));
    });
  });

  test('without NEEDS_CSUM the checksum is computed from the addresses, whatever the field held', () => {
    const range = superPacket({ version, payload: counting(2500), sum: 0xbeef }, 1000, { flags: 0 });
    const segments = splitAll(range);
    expect(segments).toHaveLength(3);
    for (const segment of segments) expect(faults(segment)).toEqual([]);
  });

  test('a packet that fits one segment only gets its checksum', () => {
    expect(tcp(700, 1000)).toEqual([ipPacket({ version, payload: counting(700) })]);
    expect(tcp(0, 1000)).toEqual([ipPacket({ version })]);
  });

  test('a zero checksum stays zero: in TCP it has no special meaning', () => {
    const zero = searchZeroSum(payload => ({ version, payload }));
    expect(get16(zero, upper + 16)).toBe(0);
    const payload = zero.slice(upper + 20);
    expect(splitAll(superPacket({ version, payload }, 1000))[0]).toEqual(zero);
  });
});

describe.each(FAMILIES)('UDP over %s', (_name, version, upper) => {
  const udp = (payload: number, unit: number): Uint8Array[] =>
    splitAll(superPacket({ version, protocol: UDP, payload: counting(payload) }, unit));

  test('each datagram with its own length and checksum', () => {
    const segments = udp(2501, 1000);
    expect(segments.map(s => get16(s, upper + 4))).toEqual([1008, 1008, 509]);
    segments.forEach((segment, i) => {
      const payload = counting(2501).subarray(i * 1000, Math.min(i * 1000 + 1000, 2501));
      expect(segment).toEqual(ipPacket({ version, protocol: UDP, payload, id: 100 + i }));
    });
  });

  test('a checksum of zero is sent as ffff: in UDP, zero means no checksum', () => {
    const zero = searchZeroSum(payload => ({ version, protocol: UDP, payload }));
    expect(get16(zero, upper + 6)).toBe(0xffff);
    const payload = zero.slice(upper + 8);
    expect(splitAll(superPacket({ version, protocol: UDP, payload }, 1000))[0]).toEqual(zero);
    const alone = superPacket({ version, protocol: UDP, payload }, 0, { gsoType: GSO.none });
    expect(splitAll(alone)[0]).toEqual(zero);
  });
});

describe('IPv4', () => {
  test('ID + i, also past 65535, with DF and without', () => {
    for (const fragment of [0, 0x4000]) {
      const segments = splitAll(superPacket({ payload: counting(3500), id: 65_534, fragment }, 1000));
      expect(segments.map(s => get16(s, 4))).toEqual([65_534, 65_535, 0, 1]);
      for (const segment of segments) expect(faults(segment)).toEqual([]);
    }
  });

  test('every segment has the options, covered by the header checksum', () => {
    const ipOptions = Uint8Array.of(148, 4, 0, 0);
    const segments = splitAll(superPacket({ payload: counting(2500), ipOptions }, 1000));
    expect(segments.map(s => s.length)).toEqual([1044, 1044, 544]);
    for (const segment of segments) {
      expect(segment.subarray(20, 24)).toEqual(ipOptions);
      expect(faults(segment)).toEqual([]);
    }
  });

  test('the total length of the super-packet is ignored: Linux may leave it zero', () => {
    const range = superPacket({ payload: counting(2500) }, 1000);
    range.fill(0, 12, 14);
    const segments = splitAll(range);
    expect(segments.map(s => get16(s, 2))).toEqual([1040, 1040, 540]);
    for (const segment of segments) expect(faults(segment)).toEqual([]);
  });
});

test('every segment has the IPv6 extension headers', () => {
  const extensions: [number, Uint8Array][] = [
    [0, Uint8Array.of(0, 1, 4, 0, 0, 0, 0)],
    [60, Uint8Array.of(1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
  ];
  const segments = splitAll(superPacket({ version: 6, extensions, payload: counting(2500) }, 1000));
  segments.forEach((segment, i) => {
    const payload = counting(2500).subarray(i * 1000, Math.min(i * 1000 + 1000, 2500));
    expect(segment).toEqual(ipPacket({ version: 6, extensions, payload, sequence: 5000 + i * 1000 }));
  });
});

describe('completing a checksum without segmentation', () => {
  test.each(FAMILIES)('TCP and UDP over %s, of odd and even length', (_name, version) => {
    for (const protocol of [6, UDP])
      for (const length of [0, 1, 2, 999, 1000]) {
        const change = { version, protocol, payload: counting(length) };
        expect(splitAll(superPacket(change, 0, { gsoType: GSO.none }))).toEqual([ipPacket(change)]);
      }
  });

  test('of any protocol, at any offset: the sum covers the rest of the packet', () => {
    const packet = ipPacket({ protocol: 132, payload: counting(61).fill(0, 39, 41) });
    const range = rangeOf({ flags: NEEDS_CSUM, csumStart: 33, csumOffset: 26 }, packet);
    const [done] = splitAll(range);
    const sum = (bytes: Uint8Array): number =>
      bytes.reduce((total, byte, i) => (total + (i % 2 === 0 ? byte * 256 : byte)) % 0xffff, 0);
    expect(sum(done!.subarray(33))).toBe(0);
    expect(done!.subarray(0, 33)).toEqual(packet.subarray(0, 33));
  });
});

test('a packet without offload is unchanged, including the bytes after it', () => {
  withSeed(random => {
    const packet = new Uint8Array(100);
    packet.set(ipPacket({ payload: random.bytes(50), sum: random.below(65_536) }));
    expect(splitAll(rangeOf({}, packet))).toEqual([packet]);
    // NEEDS_CSUM is the only flag that matters here
    expect(splitAll(rangeOf({ flags: 0xfe, csumStart: 20, csumOffset: 16 }, packet))).toEqual([packet]);
  });
});

/** A packet with a payload of two bytes that makes its checksum zero. */
function searchZeroSum(shape: (payload: Uint8Array) => Partial<IpShape>): Uint8Array {
  const payload = new Uint8Array(2);
  const field = (packet: Uint8Array): number =>
    get16(packet, packet.length - (shape(payload).protocol === UDP ? 4 : 6));
  const rest = field(ipPacket(shape(payload)));
  payload.set([rest >> 8, rest & 0xff]);
  return ipPacket(shape(payload));
}

/**
 * Super-packets inside UDP tunnels (VXLAN, Geneve): each segment equals a packet that the tests
 * build on their own, and false offsets are refused.
 */
import { describe, expect, test } from 'vitest';
import { ACK, CWR, FIN, type IpShape, ipPacket, PSH, TCP, UDP } from '../support/ip-packet.ts';
import { counting, GSO, NEEDS_CSUM, rangeOf, splitAll, tunnelPacket, type Vnet } from '../support/super-packet.ts';

const UNIT = 1000;
const PAYLOAD = counting(3 * UNIT + 333);
/** Lengths of what lies between the UDP header and the inner IP header. */
const ENCAPSULATIONS = [
  ['VXLAN', 22],
  ['Geneve with two options', 38],
  ['nothing, as in FOU', 0],
  ['an odd number of bytes', 9],
] as const;
const OUTER: Partial<IpShape> = { sourcePort: 50_000, destinationPort: 4789, id: 65_534, ttl: 9, tos: 0x28 };
const INNER: Partial<IpShape> = { source: 7, destination: 8, id: 300, tcpOptions: Uint8Array.of(1, 1, 1, 0) };

/** Returns the segments, built one by one. */
function segments(outer: Partial<IpShape>, before: Uint8Array, inner: Partial<IpShape>, summed: boolean): Uint8Array[] {
  const count = Math.ceil(PAYLOAD.length / UNIT);
  return Array.from({ length: count }, (_, i) => {
    const last = i === count - 1;
    const flags = (inner.flags ?? ACK) & ~(last ? 0 : FIN | PSH) & ~(i > 0 ? CWR : 0);
    const segment = ipPacket({
      ...inner,
      ...{ id: inner.id! + i, sequence: (2 ** 32 - 500 + i * UNIT) % 2 ** 32, flags },
      payload: PAYLOAD.subarray(i * UNIT, (i + 1) * UNIT),
    });
    const payload = Uint8Array.of(...before, ...segment);
    return ipPacket({
      ...outer,
      ...{ protocol: UDP, id: (outer.id! + i) & 0xffff, payload, sum: summed ? 'right' : 0 },
    });
  });
}

describe.each([4, 6] as const)('a tunnel over IPv%i', version => {
  const outer = { ...OUTER, version };
  describe.each(ENCAPSULATIONS)('%s', (_name, size) => {
    const before = counting(size).map(byte => byte ^ 0xa5);
    test.each([
      ['TCP over IPv4, summed', { version: 4, protocol: TCP, flags: ACK | PSH | FIN | CWR }, true],
      ['TCP over IPv4, not summed', { version: 4, protocol: TCP, flags: ACK | PSH }, false],
      ['TCP over IPv6, summed', { version: 6, protocol: TCP }, true],
      ['TCP over IPv6, not summed', { version: 6, protocol: TCP }, false],
      ['UDP over IPv4, summed', { version: 4, protocol: UDP }, true],
      ['UDP over IPv6, not summed', { version: 6, protocol: UDP }, false],
    ] as const)('%s', (_kind, change, summed) => {
      const inner = { ...INNER, ...change };
      const whole = { ...inner, sequence: 2 ** 32 - 500, payload: PAYLOAD };
      const { vnet, packet } = tunnelPacket(outer, before, whole, UNIT, summed);
      expect(splitAll(rangeOf(vnet, packet))).toEqual(segments(outer, before, inner, summed));
    });
  });
});

test('IP options of the tunnel are repeated', () => {
  const outer = { ...OUTER, version: 4 as const, ipOptions: Uint8Array.of(1, 1, 1, 0) };
  const before = counting(22);
  const inner = { ...INNER, sequence: 2 ** 32 - 500, payload: PAYLOAD };
  const { vnet, packet } = tunnelPacket(outer, before, inner, UNIT, true);
  expect(splitAll(rangeOf(vnet, packet))).toEqual(segments(outer, before, INNER, true));
});

test('a checksum that the flag does not announce is kept right', () => {
  const inner = { ...INNER, sequence: 2 ** 32 - 500, payload: PAYLOAD };
  const { vnet, packet } = tunnelPacket(OUTER, counting(22), inner, UNIT, true);
  const range = rangeOf({ ...vnet, flags: NEEDS_CSUM }, packet);
  expect(splitAll(range)).toEqual(segments(OUTER, counting(22), INNER, true));
});

describe('refuses', () => {
  const make = (version: 4 | 6 = 4, outer: Partial<IpShape> = {}) =>
    tunnelPacket({ ...OUTER, version, ...outer }, counting(22), { ...INNER, payload: PAYLOAD }, UNIT, true);
  const count = (vnet: Vnet, packet: Uint8Array) => splitAll(rangeOf(vnet, packet)).length;

  test.each([
    ['a tunnel of the other IP version', { gsoType: GSO.tcp4 | GSO.tunnel6 }],
    ['a tunnel of both IP versions', { gsoType: GSO.tcp4 | GSO.tunnel4 | GSO.tunnel6 }],
    ['a tunnel without a super-packet', { gsoType: GSO.none | GSO.tunnel4 }],
    ['UFO in a tunnel', { gsoType: GSO.udp | GSO.tunnel4 }],
    ['an inner packet of another protocol', { gsoType: GSO.udpL4 | GSO.tunnel4, csumOffset: 6 }],
    ['an inner packet of another IP version', { gsoType: GSO.tcp6 | GSO.tunnel4 }],
    ['no partial checksum', { flags: 8 }],
    ['an inner header inside the UDP header', { headerLength: 27 }],
    ['an inner header at the start', { headerLength: 0 }],
    ['an inner header beyond the packet', { headerLength: 65_535 }],
    ['an inner header of no IP version', { headerLength: 51 }],
    ['a checksum that does not begin at the inner transport header', { csumStart: 74 }],
    ['no segment size', { gsoSize: 0 }],
  ])('%s', (_name, change) => {
    const { vnet, packet } = make();
    expect(count(vnet, packet)).toBe(4);
    expect(count({ ...vnet, ...change }, packet)).toBe(0);
  });

  test('an inner header at the last byte of the packet', () => {
    const { vnet, packet } = make();
    for (const short of [0, 1, 19]) expect(count({ ...vnet, headerLength: packet.length - short }, packet)).toBe(0);
  });

  test('a tunnel that is fragmented, routed, or not UDP', () => {
    const fragment = make(4, { fragment: 0x2000 });
    expect(count(fragment.vnet, fragment.packet)).toBe(0);
    const routed = make(6, { extensions: [[43, new Uint8Array(7)]] });
    expect(count(routed.vnet, routed.packet)).toBe(0);
    const { vnet, packet } = make();
    packet[9] = 47;
    expect(count(vnet, packet)).toBe(0);
  });
});

/**
 * TCP in VXLAN: merged only where the kernel ends the tunnel, and only if every header continues.
 */
import { describe, expect, test } from 'vitest';
import { ACK, DF, type IpShape, ipPacket, PSH, UDP } from '../support/ip-packet.ts';
import { mergePackets } from '../support/packet-batch.ts';
import { counting, GSO, splitAll } from '../support/super-packet.ts';
import { OVERLAY, vxlanPacket } from '../support/vxlan-packet.ts';

const UNIT = 500;
const TUNNEL = GSO.tcp4 | GSO.tunnel4;

interface Change {
  readonly outer?: Partial<IpShape>;
  readonly inner?: Partial<IpShape>;
  readonly identifier?: number;
  readonly summed?: boolean;
  /** Changes the finished packet. */
  readonly damage?: (packet: Uint8Array) => void;
}

/** Returns three packets, each the next of its flow; the second one is changed. */
function three(base: Change = {}, second: Change = {}): Uint8Array[] {
  return [0, 1, 2].map(i => {
    const change = i === 1 ? second : {};
    const outer = { id: 500 + i, ...base.outer, ...change.outer };
    const inner = { id: 100 + i, sequence: 5000 + i * UNIT, payload: counting(UNIT), ...base.inner, ...change.inner };
    const identifier = change.identifier ?? base.identifier ?? 7;
    const packet = vxlanPacket({ outer, identifier }, inner, change.summed ?? base.summed ?? false);
    (change.damage ?? base.damage)?.(packet);
    return packet;
  });
}

const groups = (packets: readonly Uint8Array[], allowed?: number) =>
  mergePackets(packets, allowed).map(({ members, gsoType }) => [members.length, gsoType]);

describe.each([
  ['IPv4', 4, GSO.tcp4],
  ['IPv6', 6, GSO.tcp6],
] as const)('TCP over %s', (_name, version, gsoType) => {
  test.each([
    ['with', true],
    ['without', false],
  ])('merges %s a checksum of the tunnel, and splitting returns the packets', (_with, summed) => {
    const packets = three({ inner: { version, tcpOptions: Uint8Array.of(1, 1, 1, 0) }, summed });
    const merged = mergePackets(packets);
    expect(merged.map(({ members, gsoType }) => [members.length, gsoType])).toEqual([[3, gsoType | GSO.tunnel4]]);
    expect(splitAll(merged[0]!.range)).toEqual(packets);
  });
});

test('a short packet and a push end a group', () => {
  expect(groups(three({}, { inner: { payload: counting(10) } }))).toEqual([
    [2, TUNNEL],
    [1, 0],
  ]);
  expect(groups(three({}, { inner: { flags: ACK | PSH } }))).toEqual([
    [2, TUNNEL],
    [1, 0],
  ]);
});

test('everything else in VXLAN is merged as UDP', () => {
  for (const inner of [
    { protocol: UDP, payload: counting(600) },
    { flags: ACK, payload: counting(0) },
  ])
    expect(groups(three({ inner }))).toEqual([[3, GSO.udpL4]]);
  expect(groups(three(), 7)).toEqual([[3, GSO.udpL4]]);
});

test.each([
  ['another port', { outer: { destinationPort: OVERLAY.port + 1 } }],
  ['another address', { outer: { destination: 9 } }],
  ['another flag of VXLAN', { damage: (packet: Uint8Array) => packet.fill(12, 28, 29) }],
  ['a reserved byte of VXLAN', { damage: (packet: Uint8Array) => packet.fill(1, 35, 36) }],
  ['another Ethernet type', { damage: (packet: Uint8Array) => packet.fill(0x81, 48, 49) }],
  ['an inner fragment', { inner: { fragment: 0x2000 } }],
  ['inner IP options', { inner: { ipOptions: Uint8Array.of(1, 1, 1, 0) } }],
  ['FIN in all', { inner: { flags: ACK | 1 } }],
] as const)('%s: merged as UDP', (_name, base) => {
  expect(groups(three(base))).toEqual([[3, GSO.udpL4]]);
});

test('over IPv6, the tunnel is merged as UDP', () => {
  const outer = { version: 6 as const };
  expect(groups(three({ outer, summed: true }))).toEqual([[3, GSO.udpL4]]);
});

test.each([
  ['the network', { identifier: 8 }],
  ['an Ethernet address', { damage: (packet: Uint8Array) => packet.fill(9, 41, 42) }],
  ['TTL of the tunnel', { outer: { ttl: 9 } }],
  ['TOS of the tunnel', { outer: { tos: 4 } }],
  ['DF of the tunnel', { outer: { fragment: DF } }],
  ['ID of the tunnel', { outer: { id: 700 } }],
  ['the checksum of the tunnel, which others lack', { summed: true }],
  ['inner address', { inner: { source: 77 } }],
  ['inner port', { inner: { destinationPort: 77 } }],
  ['inner TTL', { inner: { ttl: 9 } }],
  ['inner sequence', { inner: { sequence: 5001 } }],
  ['inner acknowledgement', { inner: { acknowledgement: 1 } }],
  ['inner options', { inner: { tcpOptions: Uint8Array.of(1, 1, 1, 0) } }],
  ['a wrong inner checksum', { inner: { sum: 1 } }],
  ['a wrong inner header checksum', { damage: (packet: Uint8Array) => packet.fill(0xee, 60, 62) }],
  ['a wrong checksum of the tunnel', { damage: (packet: Uint8Array) => packet.fill(0xee, 26, 28) }],
  ['a wrong header checksum of the tunnel', { damage: (packet: Uint8Array) => packet.fill(0xee, 10, 12) }],
] as const)('%s of the second packet differs: no group contains both neighbours', (_name, second) => {
  for (const summed of [true, false]) {
    if (second === undefined || ('summed' in second && summed)) continue;
    const sizes = groups(three({ summed }, second)).map(([size]) => size);
    expect(sizes.length).toBeGreaterThan(1);
  }
});

test('TCP inside and outside of VXLAN stay apart', () => {
  const plain = [0, 1].map(i => ipPacket({ sequence: 5000 + i * UNIT, payload: counting(UNIT) }));
  const [first, second, third] = three() as [Uint8Array, Uint8Array, Uint8Array];
  expect(groups([first, plain[0]!, second, plain[1]!, third])).toEqual([
    [3, TUNNEL],
    [2, GSO.tcp4],
  ]);
});

/**
 * The rules of merging packets, one by one (survey section 2c; the kernel's tcp_gro_receive,
 * udp_gro_receive, inet_gro_receive, ipv6_gro_receive).
 */
import { describe, expect, test } from 'vitest';
import { Coalescer, MERGE_TCP4, MERGE_TCP6, MERGE_UDP, NEXT_REFUSED } from '../../src/packet/coalesce.ts';
import { ACK, CWR, ECE, FIN, type IpShape, ipPacket, MF, PSH, RST, SYN, UDP, URG } from '../support/ip-packet.ts';
import { MERGE_ALL, mergePackets, packetBatch } from '../support/packet-batch.ts';
import { counting } from '../support/super-packet.ts';

type Change = Partial<IpShape>;

/**
 * Segments of one stream, each 100 bytes unless its change overrides that; sequence and ID
 * continue.
 */
function stream(base: Change, changes: readonly Change[]): Uint8Array[] {
  let sequence = 5000;
  return changes.map((change, i) => {
    const shape = { payload: counting(100), id: 100 + i, sequence, ...base, ...change };
    sequence += shape.payload.length;
    return ipPacket(shape);
  });
}

const groupsOf = (packets: readonly Uint8Array[], allowed = MERGE_ALL): number[][] =>
  mergePackets(packets, allowed).map(group => [...group.members]);
/** Returns the grouping of three segments of a stream if the middle one is changed. */
const middle = (change: Change, base: Change = {}): number[][] => groupsOf(stream(base, [{}, change, {}]));

/** A datagram of IPv4 with this total length and this length field. */
function cutDatagram(length: number, field: number): Uint8Array {
  const packet = ipPacket({ protocol: UDP, payload: counting(10) }).slice(0, length);
  packet[3] = length;
  packet[25] = field;
  return packet;
}
/** A packet with IPv4 options whose ID would be its length as an IPv6 packet. */
const OPTIONS: Change = { ipOptions: new Uint8Array(4).fill(1), payload: counting(100) };
const BARRIERS = [
  ipPacket({ fragment: MF, source: 77 }),
  new Uint8Array(30),
  Uint8Array.of(0x45),
  Uint8Array.of(0x45, 0, 0, 10, 0, 0, 0, 0, 64, 1),
  ipPacket({ ...OPTIONS, id: ipPacket(OPTIONS).length - 40 }),
  cutDatagram(38, 17),
  cutDatagram(26, 6),
];
const ALL = [[0, 1, 2]];
const NONE = [[0], [1], [2]];
const sized = (length: number): Change => ({ payload: counting(length) });

describe.each([
  ['TCP over IPv4', { version: 4 }],
  ['TCP over IPv6', { version: 6 }],
  ['UDP over IPv4', { version: 4, protocol: UDP }],
  ['UDP over IPv6', { version: 6, protocol: UDP }],
] as const)('%s', (_name, base) => {
  test('a run is merged', () => expect(middle({}, base)).toEqual(ALL));
  test('not with a different traffic class', () => expect(middle({ tos: 4 }, base)).toEqual(NONE));
  test('not if one has experienced congestion: the mark must stay with its packet', () => {
    const marked = stream({ ...base, tos: 2 }, [{}, { tos: 3 }, {}]);
    expect(groupsOf(marked)).toEqual(NONE);
    expect(groupsOf(stream({ ...base, tos: 3 }, [{}, {}]))).toEqual([[0, 1]]);
  });
  test('not with a different TTL or hop limit', () => expect(middle({ ttl: 63 }, base)).toEqual(NONE));
  test('not with other addresses or ports: another flow, which does not interrupt this one', () => {
    const [first, second] = stream(base, [{}, {}]) as [Uint8Array, Uint8Array];
    for (const other of [{ source: 9 }, { destination: 9 }, { sourcePort: 9 }, { destinationPort: 9 }]) {
      const [, between] = stream({ ...base, ...other }, [{}, {}]) as [Uint8Array, Uint8Array];
      expect(groupsOf([first, between, second])).toEqual([[0, 2], [1]]);
    }
  });
  test('no packet larger than the first', () => {
    expect(middle(sized(101), base)).toEqual([[0], [1, 2]]);
  });
  test('a shorter packet ends the group', () => {
    expect(middle(sized(99), base)).toEqual([[0, 1], [2]]);
    expect(groupsOf(stream(base, [{}, {}, sized(1)]))).toEqual(ALL);
  });
  test('a packet without payload is never merged, and no packet of its flow overtakes it', () => {
    expect(groupsOf(stream(base, [{}, {}, sized(0), {}, {}]))).toEqual([[0, 1], [2], [3, 4]]);
  });
  test('a packet with a bad checksum is never merged, with neither neighbour', () => {
    expect(middle({ sum: 0x1234 }, base)).toEqual(NONE);
    expect(groupsOf(stream(base, [{ sum: 0x1234 }, {}, {}]))).toEqual([[0], [1, 2]]);
    expect(groupsOf(stream(base, [{}, {}, { sum: 0x1234 }]))).toEqual([[0, 1], [2]]);
  });
  test('no fragments', () => {
    if (base.version === 4) expect(middle({ fragment: MF }, base)).toEqual(NONE);
    else expect(middle({ extensions: [[44, Uint8Array.of(0, 0, 1, 0, 0, 0, 0)]] }, base)).toEqual(NONE);
  });
  test('nothing with IPv4 options or IPv6 extension headers', () => {
    const odd: Change =
      base.version === 4 ? { ipOptions: Uint8Array.of(1, 1, 1, 0) } : { extensions: [[60, new Uint8Array(7)]] };
    expect(middle(odd, base)).toEqual(NONE);
    expect(groupsOf(stream({ ...base, ...odd }, [{}, {}, {}]))).toEqual(NONE);
  });
  test('no more than 65,535 bytes', () => {
    const big = groupsOf(stream(base, Array(4).fill(sized(20_000))));
    expect(big).toEqual([[0, 1, 2], [3]]);
    const headers = (base.version === 4 ? 20 : 40) + ('protocol' in base ? 8 : 20);
    const exact = Math.floor((65_535 - headers) / 3);
    expect(groupsOf(stream(base, Array(3).fill(sized(exact))))).toEqual(ALL);
    const last = 65_535 - headers - 2 * 22_000;
    expect(groupsOf(stream(base, [sized(22_000), sized(22_000), sized(last)]))).toEqual(ALL);
    expect(groupsOf(stream(base, [sized(22_000), sized(22_000), sized(last + 1)]))).toEqual([[0, 1], [2]]);
  });
  test('at most 64 packets, the limit of older kernels', () => {
    const groups = groupsOf(stream(base, Array(130).fill({})));
    expect(groups.map(group => group.length)).toEqual([64, 64, 2]);
  });
  test('not if the TUN does not accept it', () => {
    const needed = 'protocol' in base ? MERGE_UDP : base.version === 4 ? MERGE_TCP4 : MERGE_TCP6;
    expect(groupsOf(stream(base, [{}, {}, {}]), MERGE_ALL & ~needed)).toEqual(NONE);
    expect(groupsOf(stream(base, [{}, {}, {}]), needed)).toEqual(ALL);
  });
  test('no packet whose length field differs from its length', () => {
    const longer = stream(base, [{}, {}, {}]);
    longer[1] = Uint8Array.of(...longer[1]!, 0);
    expect(groupsOf(longer)).toEqual(NONE);
    const shorter = stream(base, [{}, {}, {}]);
    shorter[1] = shorter[1]!.slice(0, -1);
    expect(groupsOf(shorter)).toEqual(NONE);
  });
});

describe('TCP', () => {
  test('not with a different acknowledgement', () => expect(middle({ acknowledgement: 701 })).toEqual(NONE));
  test('not with a different window', () => expect(middle({ window: 502 })).toEqual(NONE));
  test('not with a different urgent pointer', () => expect(middle({ urgent: 1 })).toEqual(NONE));
  test('not with other options, nor with more or fewer of them', () => {
    const stamp = (value: number): Change => ({ tcpOptions: Uint8Array.of(1, 1, 8, 10, 0, 0, 0, value, 0, 0, 0, 9) });
    expect(middle(stamp(1), stamp(1))).toEqual(ALL);
    expect(middle(stamp(2), stamp(1))).toEqual(NONE);
    expect(middle({ tcpOptions: new Uint8Array(4).fill(1) }, stamp(1))).toEqual(NONE);
    expect(middle(stamp(1))).toEqual(NONE);
  });
  test('not with a gap or an overlap, nor backwards', () => {
    for (const sequence of [5101, 5099, 5000, 4900]) expect(middle({ sequence })[0]).toEqual([0]);
  });
  test('the sequence continues past 2^32', () => {
    expect(groupsOf([0xffffff9c, 0, 100].map(sequence => ipPacket({ sequence, payload: counting(100) })))).toEqual(ALL);
  });
  test('a PSH ends the group: nothing is appended after it', () => {
    expect(middle({ flags: ACK | PSH })).toEqual([[0, 1], [2]]);
    expect(groupsOf(stream({}, [{ flags: ACK | PSH }, {}, {}]))).toEqual([[0], [1, 2]]);
    const [group] = mergePackets(stream({}, [{}, {}, { flags: ACK | PSH }]));
    expect(group!.range[10 + 20 + 13]).toBe(ACK | PSH);
  });
  test.each([
    ['FIN', ACK | FIN],
    ['SYN', SYN],
    ['SYN ACK', ACK | SYN],
    ['RST', ACK | RST],
    ['URG', ACK | URG],
    ['ECE', ACK | ECE],
    ['CWR', ACK | CWR],
    ['no ACK', 0],
  ])('not with %s', (_name, flags) => expect(middle({ flags })).toEqual(NONE));
  test('not with reserved bits, of which AccECN is one', () => expect(middle({ reserved: 1 })).toEqual(NONE));
  test('not with a different DF or reserved bit of the IPv4 header', () => {
    expect(middle({ fragment: 0 })).toEqual(NONE);
    expect(middle({ fragment: 0xc000 })).toEqual(NONE);
    expect(middle({}, { fragment: 0 })).toEqual(ALL);
  });
  test('without DF the ID must increase by one, with DF it is ignored (RFC 6864)', () => {
    expect(middle({ id: 7 }, { fragment: 0 })).toEqual([[0], [1], [2]]);
    expect(middle({ id: 7 })).toEqual(ALL);
    const wrapping = [65_535, 0, 1].map((id, i) =>
      ipPacket({ id, fragment: 0, sequence: i * 100, payload: counting(100) }),
    );
    expect(groupsOf(wrapping)).toEqual(ALL);
  });
  test('not with a different flow label', () => {
    expect(middle({ flowLabel: 1 }, { version: 6 })).toEqual(NONE);
    expect(middle({}, { version: 6, flowLabel: 0xfffff })).toEqual(ALL);
  });
  test('a wrong IPv4 header checksum is never merged', () => {
    const packets = stream({}, [{}, {}, {}]);
    packets[1]![10]! ^= 1;
    expect(groupsOf(packets)).toEqual(NONE);
  });
});

describe('UDP', () => {
  test('only with the last packet of its flow, to keep the order', () => {
    // the long packet closes the group before it; later short ones must not join the older group
    expect(groupsOf(stream({ protocol: UDP }, [{}, sized(200), {}, {}]))).toEqual([[0], [1, 2], [3]]);
  });
  test('packets without a checksum are merged over IPv4, but not with others', () => {
    expect(groupsOf(stream({ protocol: UDP, sum: 0 }, [{}, {}, {}]))).toEqual(ALL);
    expect(middle({ sum: 0 }, { protocol: UDP })).toEqual(NONE);
    expect(middle({ sum: 'right' }, { protocol: UDP, sum: 0 })).toEqual(NONE);
  });
  test('over IPv6 a packet without a checksum is an error, which merging must not repair', () => {
    expect(middle({ sum: 0 }, { version: 6, protocol: UDP })).toEqual(NONE);
    expect(groupsOf(stream({ version: 6, protocol: UDP, sum: 0 }, [{}, {}, {}]))).toEqual(NONE);
  });
  test('without a checksum, the IPv4 header must still be right', () => {
    const packets = stream({ protocol: UDP, sum: 0 }, [{}, {}, {}]);
    packets[1]![10]! ^= 1;
    expect(groupsOf(packets)).toEqual(NONE);
  });
  test('the payload is not read as TCP flags', () => {
    const packets = stream({ protocol: UDP, payload: new Uint8Array(100).fill(0xff) }, [{}, {}, {}]);
    expect(groupsOf(packets)).toEqual(ALL);
  });
  test('a checksum of zero means no checksum, even if the sum over it is right', () => {
    const packets = stream({ protocol: UDP }, [{}, {}, {}]);
    for (const packet of packets) {
      const words = new DataView(packet.buffer);
      const sum = words.getUint16(28) + words.getUint16(26);
      words.setUint16(28, (sum & 0xffff) + (sum >>> 16));
      words.setUint16(26, 0);
    }
    packets[1] = stream({ protocol: UDP }, [{}, {}, {}])[1]!;
    expect(groupsOf(packets)).toEqual(NONE);
  });
  test('no datagram whose length field differs from the packet', () => {
    const packets = stream({ protocol: UDP }, [{}, {}, {}]);
    packets[1]![20 + 5]! -= 1;
    expect(groupsOf(packets)).toEqual(NONE);
  });
});

describe('several flows at once', () => {
  test('are merged separately, in the order of their first packets', () => {
    const a = stream({ sourcePort: 1 }, [{}, {}, {}]);
    const b = stream({ sourcePort: 2, version: 6 }, [{}, {}]);
    const c = stream({ sourcePort: 3, protocol: UDP }, [{}, {}]);
    expect(groupsOf([a[0]!, b[0]!, c[0]!, a[1]!, c[1]!, b[1]!, a[2]!])).toEqual([
      [0, 3, 6],
      [1, 5],
      [2, 4],
    ]);
  });
  test('TCP and UDP of the same addresses and ports are two flows', () => {
    const [a, b] = [stream({}, [{}, {}]), stream({ protocol: UDP }, [{}, {}])];
    expect(groupsOf([a[0]!, b[0]!, a[1]!, b[1]!])).toEqual([
      [0, 2],
      [1, 3],
    ]);
  });
  test('another protocol may be overtaken; a fragment or a malformed packet, which may belong to any flow, may not', () => {
    const [a0, a1] = stream({}, [{}, {}]) as [Uint8Array, Uint8Array];
    expect(groupsOf([a0, ipPacket({ protocol: 1, payload: counting(8) }), a1])).toEqual([[0, 2], [1]]);
    for (const barrier of BARRIERS) expect(groupsOf([a0, barrier, a1])).toEqual(NONE);
    for (const version of [4, 6] as const)
      expect(groupsOf([a0, ipPacket({ version, protocol: 1 }), a1])).toEqual([[0, 2], [1]]);
  });
  test('flows of IPv6 differ by any byte of the addresses, and by the protocol', () => {
    const [a0, a1] = stream({ version: 6 }, [{}, {}]) as [Uint8Array, Uint8Array];
    for (const at of [8, 9, 11, 12, 23, 24, 39]) {
      const other = a1.slice();
      other[at]! ^= 0x40;
      expect(groupsOf([a0, other, a1])).toEqual([[0, 2], [1]]);
    }
    const [b0, b1] = stream({ version: 6, protocol: UDP }, [{}, {}]) as [Uint8Array, Uint8Array];
    expect(groupsOf([a0, b0, a1, b1])).toEqual([
      [0, 2],
      [1, 3],
    ]);
  });
  test('more flows than are tracked: the oldest is closed, nothing is lost', () => {
    const first = Array.from({ length: 40 }, (_, i) => ipPacket({ sourcePort: i, payload: counting(100) }));
    const second = first.map((_, i) => ipPacket({ sourcePort: i, sequence: 5100, payload: counting(100) }));
    const groups = groupsOf([...first, ...second]);
    expect(groups.flat().sort((a, b) => a - b)).toEqual([...Array(80).keys()]);
    expect(groups.some(group => group.length === 2)).toBe(true);
  });
});

test('a packet may begin at the start of the slab', () => {
  const [first, second] = stream({}, [{}, {}]) as [Uint8Array, Uint8Array];
  const slab = Buffer.concat([first, second]);
  const desc = Int32Array.of(0, first.length, first.length, second.length);
  const coalescer = new Coalescer(2);
  expect(coalescer.merge(slab, desc, 2, MERGE_ALL)).toBe(1);
  expect(coalescer.next[0]).toBe(1);
});

test('a descriptor outside the slab is in no group, and the others are merged across it', () => {
  const { slab, desc } = packetBatch(stream({}, [{}, {}, {}, {}, {}]));
  const coalescer = new Coalescer(5);
  const [offset, length] = [desc[2]!, desc[3]!];
  const tries: [number, number][] = [
    [-1, length],
    [offset, 0],
    [offset, -5],
    [slab.length - length + 1, length],
    [0x7fffffff, 0x7fffffff],
  ];
  for (const [at, size] of tries) {
    const fresh = packetBatch(stream({}, [{}, {}, {}]));
    fresh.desc.set([at, size], 2);
    expect(coalescer.merge(fresh.slab, fresh.desc, 3, MERGE_ALL)).toBe(2);
    expect(coalescer.next[1]).toBe(NEXT_REFUSED);
  }
});

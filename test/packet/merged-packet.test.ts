/** A merged packet as the kernel sees it; splitting it returns the original packets. */
import { describe, expect, test } from 'vitest';
import { FLOW_BARRIER, FLOW_MERGE, FLOW_OTHER, FLOW_SINGLE, FlowPacket } from '../../src/packet/flow.ts';
import { ACK, FIN, get16, type IpShape, ipPacket, onesSum, PSH, pseudoSum, UDP } from '../support/ip-packet.ts';
import { mergePackets } from '../support/packet-batch.ts';
import { counting, GSO, splitAll } from '../support/super-packet.ts';

const KINDS = [
  ['TCP over IPv4', { version: 4 }, 40, GSO.tcp4],
  ['TCP over IPv6', { version: 6 }, 60, GSO.tcp6],
  ['UDP over IPv4', { version: 4, protocol: UDP }, 28, GSO.udpL4],
  ['UDP over IPv6', { version: 6, protocol: UDP }, 48, GSO.udpL4],
] as const;

const three = (base: Partial<IpShape>): Uint8Array[] =>
  [1000, 1000, 333].map((length, i) =>
    ipPacket({
      ...base,
      payload: counting(length),
      id: 100 + i,
      sequence: 5000 + i * 1000,
      flags: i === 2 ? ACK | PSH : ACK,
    }),
  );

describe.each(KINDS)('%s', (_name, base, headers, gsoType) => {
  const upper = base.version === 4 ? 20 : 40;
  const tcp = !('protocol' in base);
  const merge = (): { range: Uint8Array; packet: Uint8Array } => {
    const groups = mergePackets(three(base));
    expect(groups).toHaveLength(1);
    const { range } = groups[0]!;
    return { range, packet: range.subarray(10) };
  };

  test('the vnet header describes the segments', () => {
    const view = new DataView(merge().range.buffer);
    expect([0, 1].map(at => view.getUint8(at))).toEqual([1, gsoType]);
    expect([2, 4, 6, 8].map(at => view.getUint16(at, true))).toEqual([headers, 1000, upper, tcp ? 16 : 6]);
  });

  test('lengths and the IPv4 header checksum match the merged packet', () => {
    const { packet } = merge();
    expect(packet.length).toBe(headers + 2333);
    if (base.version === 4) {
      expect(get16(packet, 2)).toBe(packet.length);
      expect(onesSum(packet.subarray(0, 20), 0)).toBe(0xffff);
    } else expect(get16(packet, 4)).toBe(packet.length - 40);
    if (!tcp) expect(get16(packet, upper + 4)).toBe(packet.length - upper);
  });

  test('the checksum field holds the sum of the pseudo header, which the kernel completes', () => {
    const { packet } = merge();
    const pseudo = pseudoSum(packet, 0, base.version, tcp ? 6 : 17, packet.length - upper);
    expect(get16(packet, upper + (tcp ? 16 : 6))).toBe(pseudo);
  });

  test('splitting it returns the original packets', () => {
    expect(splitAll(merge().range)).toEqual(three(base));
  });

  test('a single packet is unchanged, after a vnet header of zeros', () => {
    const alone = ipPacket({ ...base, payload: counting(500) });
    const [group] = mergePackets([alone]);
    expect(group!.range.subarray(0, 10)).toEqual(new Uint8Array(10));
    expect(group!.range.subarray(10)).toEqual(alone);
  });
});

describe('classification', () => {
  const kind = (change: Partial<IpShape>, cut = 0): number => {
    const packet = ipPacket({ payload: counting(10), ...change });
    const flow = new FlowPacket();
    flow.read(packet, 0, packet.length - cut);
    return flow.kind;
  };

  test('mergeable, of the flow but not mergeable, of no flow, of any flow', () => {
    for (const version of [4, 6] as const) {
      expect(kind({ version })).toBe(FLOW_MERGE);
      expect(kind({ version, flags: ACK | PSH })).toBe(FLOW_MERGE);
      expect(kind({ version, flags: ACK | FIN })).toBe(FLOW_SINGLE);
      expect(kind({ version, payload: counting(0) })).toBe(FLOW_SINGLE);
      expect(kind({ version, protocol: UDP })).toBe(FLOW_MERGE);
      expect(kind({ version, protocol: UDP, payload: counting(0) })).toBe(FLOW_SINGLE);
      for (const protocol of [1, 58, 47, 132]) expect(kind({ version, protocol })).toBe(FLOW_OTHER);
      expect(kind({ version }, 1)).toBe(FLOW_BARRIER);
    }
    expect(kind({ fragment: 0x2000 })).toBe(FLOW_BARRIER);
    expect(kind({ fragment: 185 })).toBe(FLOW_BARRIER);
    expect(kind({ ipOptions: new Uint8Array(4).fill(1) })).toBe(FLOW_BARRIER);
    for (const number of [0, 43, 44, 51, 60])
      expect(kind({ version: 6, extensions: [[number, new Uint8Array(7)]] })).toBe(FLOW_BARRIER);
  });

  test('a TCP header that does not fit', () => {
    const packet = ipPacket({ payload: counting(8) });
    const flow = new FlowPacket();
    const at = (words: number): number => {
      packet[32] = words << 4;
      flow.read(packet, 0, packet.length);
      return flow.kind;
    };
    expect([4, 5, 6, 7, 8, 15].map(at)).toEqual([
      FLOW_BARRIER,
      FLOW_MERGE,
      FLOW_MERGE,
      FLOW_SINGLE,
      FLOW_BARRIER,
      FLOW_BARRIER,
    ]);
  });
});

/**
 * IP headers in place: version, length, traffic class, congestion marks through a tunnel, and
 * finding the upper layer.
 */
import { describe, expect, test } from 'vitest';
import {
  decapsulateEcn,
  ipPacketLength,
  ipVersion,
  setTrafficClass,
  trafficClass,
  UPPER_FRAGMENT,
  UPPER_OFFSET_MASK,
  UPPER_ROUTED,
  upperLayer,
} from '../../src/packet/ip-header.ts';
import { faults, type IpShape, ipPacket, MF, put16, UDP } from '../support/ip-packet.ts';

const six = (change: Partial<IpShape> = {}): Uint8Array => ipPacket({ version: 6, ...change });
/** An extension header of 8 or more bytes (see IpShape.extensions). */
const extension = (number: number, units = 0): [number, Uint8Array] => {
  const bytes = new Uint8Array(7 + units * 8);
  bytes[0] = units;
  return [number, bytes];
};
const fragment = (offset: number, more: boolean): [number, Uint8Array] => {
  const bytes = new Uint8Array(7);
  put16(bytes, 1, (offset << 3) | (more ? 1 : 0));
  return [44, bytes];
};

describe('ipVersion', () => {
  test('4 and 6 with a complete header, otherwise 0', () => {
    const four = ipPacket();
    expect(ipVersion(four, 0, four.length)).toBe(4);
    expect(ipVersion(four, 0, 20)).toBe(4);
    expect(ipVersion(four, 0, 19)).toBe(0);
    expect(ipVersion(six(), 0, 40)).toBe(6);
    expect(ipVersion(six(), 0, 39)).toBe(0);
    for (const version of [0, 1, 2, 3, 5, 7, 15])
      expect(ipVersion(new Uint8Array(60).fill(version << 4), 0, 60)).toBe(0);
    expect(ipVersion(new Uint8Array(0), 0, 0)).toBe(0);
  });
});

describe('ipPacketLength', () => {
  test('the length in the header, with or without padding after it', () => {
    for (const version of [4, 6] as const) {
      const packet = ipPacket({ version, payload: new Uint8Array(33) });
      const padded = new Uint8Array(packet.length + 15);
      padded.set(packet);
      expect(ipPacketLength(packet, 0, packet.length)).toBe(packet.length);
      expect(ipPacketLength(padded, 0, padded.length)).toBe(packet.length);
      expect(ipPacketLength(packet, 0, packet.length - 1)).toBe(0);
    }
  });

  test('no length without an IP version, whatever the other fields say', () => {
    const packet = ipPacket({ payload: new Uint8Array(60) });
    for (const version of [0, 5, 7, 15]) {
      packet[0] = (version << 4) | 5;
      expect(ipPacketLength(packet, 0, packet.length)).toBe(0);
    }
  });

  test('an IPv4 header shorter than 20 bytes, or longer than the total length', () => {
    const packet = ipPacket({ payload: new Uint8Array(60) });
    packet[0] = 0x44;
    expect(ipPacketLength(packet, 0, packet.length)).toBe(0);
    packet[0] = 0x4f;
    put16(packet, 2, 59);
    expect(ipPacketLength(packet, 0, packet.length)).toBe(0);
    put16(packet, 2, 60);
    expect(ipPacketLength(packet, 0, packet.length)).toBe(60);
  });

  test('a payload length of zero is an empty packet, not a jumbogram', () => {
    const packet = six({ payload: new Uint8Array(100) });
    put16(packet, 4, 0);
    expect(ipPacketLength(packet, 0, packet.length)).toBe(40);
  });
});

describe('traffic class', () => {
  test.each([0, 1, 0x2e << 2, 0xfc, 0xff, 0x5a])(
    '%i is read and written; checksum and flow label stay correct',
    value => {
      const four = ipPacket({ tos: 0xa5 ^ value, payload: new Uint8Array(3) });
      setTrafficClass(four, 0, value);
      expect(trafficClass(four, 0)).toBe(value);
      expect(four).toEqual(ipPacket({ tos: value, payload: new Uint8Array(3) }));
      const label = { flowLabel: 0xabcde };
      const packet = six({ tos: 0xa5 ^ value, ...label });
      setTrafficClass(packet, 0, value);
      expect(trafficClass(packet, 0)).toBe(value);
      expect(packet).toEqual(six({ tos: value, ...label }));
    },
  );
});

describe('congestion marks on the way out of the tunnel (RFC 6040 figure 4)', () => {
  const [NOT, ECT1, ECT0, CE] = [0, 1, 2, 3];
  const drop = -1;
  test.each([
    // inner, and the result for an outer of Not-ECT, ECT(0), ECT(1), CE
    ['Not-ECT', NOT, [NOT, NOT, NOT, drop]],
    ['ECT(0)', ECT0, [ECT0, ECT0, ECT1, CE]],
    ['ECT(1)', ECT1, [ECT1, ECT1, ECT1, CE]],
    ['CE', CE, [CE, CE, CE, CE]],
  ] as const)('inner %s', (_name, inner, wanted) => {
    for (const version of [4, 6] as const)
      [NOT, ECT0, ECT1, CE].forEach((outer, column) => {
        const packet = ipPacket({ version, tos: 0xb8 | inner, flowLabel: 0x12345 });
        // the other bits of the outer header do not matter
        const keep = decapsulateEcn(packet, 0, 0x44 | outer);
        expect(keep).toBe(wanted[column] !== drop);
        const result = wanted[column] === drop ? inner : wanted[column]!;
        expect(trafficClass(packet, 0)).toBe(0xb8 | result);
        expect(faults(packet)).toEqual([]);
      });
  });
});

describe('upperLayer', () => {
  const offset = (found: number): number => (found & UPPER_OFFSET_MASK) >> 8;

  test('IPv4, without and with options', () => {
    const plain = ipPacket();
    expect(upperLayer(plain, 0, plain.length)).toBe(6 | (20 << 8));
    const options = ipPacket({ protocol: UDP, ipOptions: new Uint8Array(40).fill(1) });
    expect(upperLayer(options, 0, options.length)).toBe(17 | (60 << 8));
    expect([59, 60].map(length => upperLayer(options, 0, length))).toEqual([-1, 17 | (60 << 8)]);
    plain[0] = 0x44;
    expect(upperLayer(plain, 0, plain.length)).toBe(-1);
  });

  test('IPv4 fragments: the first is marked, the others have none', () => {
    const first = ipPacket({ fragment: MF });
    expect(upperLayer(first, 0, first.length)).toBe(6 | (20 << 8) | UPPER_FRAGMENT);
    for (const later of [1, 0x1fff, MF | 100]) {
      const packet = ipPacket({ fragment: later });
      expect(upperLayer(packet, 0, packet.length)).toBe(-1);
    }
  });

  test('IPv6 extension headers of any length are skipped', () => {
    const packet = six({ protocol: UDP, extensions: [extension(0), extension(60, 3), extension(60)] });
    const found = upperLayer(packet, 0, packet.length);
    expect(found & 0xff).toBe(17);
    expect(offset(found)).toBe(40 + 8 + 32 + 8);
    expect(found & (UPPER_FRAGMENT | UPPER_ROUTED)).toBe(0);
  });

  test('a routing header and a first fragment are marked; a later fragment has no upper header', () => {
    const routed = six({ extensions: [extension(43, 2)] });
    expect(upperLayer(routed, 0, routed.length)).toBe(6 | (64 << 8) | UPPER_ROUTED);
    const first = six({ extensions: [fragment(0, true)] });
    expect(upperLayer(first, 0, first.length)).toBe(6 | (48 << 8) | UPPER_FRAGMENT);
    const whole = six({ extensions: [fragment(0, false)] });
    expect(upperLayer(whole, 0, whole.length)).toBe(6 | (48 << 8) | UPPER_FRAGMENT);
    const later = six({ extensions: [fragment(185, false)] });
    expect(upperLayer(later, 0, later.length)).toBe(-1);
  });

  test('no next header, and headers that end after the packet', () => {
    const none = six({ protocol: 59 });
    expect(upperLayer(none, 0, none.length)).toBe(-1);
    const packet = six({ extensions: [extension(0, 1)] });
    expect(upperLayer(packet, 0, 56)).toBe(6 | (56 << 8));
    const shortest = six({ extensions: [extension(60)] });
    expect([47, 48].map(length => upperLayer(shortest, 0, length))).toEqual([-1, 6 | (48 << 8)]);
    for (const length of [40, 47, 48, 55]) expect(upperLayer(packet, 0, length)).toBe(-1);
    packet[41] = 255;
    expect(upperLayer(packet, 0, packet.length)).toBe(-1);
  });

  test('an authentication header counts as an upper protocol', () => {
    const packet = six({ extensions: [extension(51)] });
    expect(upperLayer(packet, 0, packet.length)).toBe(51 | (40 << 8));
  });
});

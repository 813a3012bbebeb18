/**
 * Destination unreachable and too big: their content, and the packets that must not be answered
 * (RFC 792, 1122, 1812, 4443).
 */
import { describe, expect, test } from 'vitest';
import type { Family } from '../../src/base/family.ts';
import { ICMP_MAXIMUM_SIZE, writeTooBig, writeUnreachable } from '../../src/packet/icmp.ts';
import { faults, get16, type IpShape, ipPacket, MF, onesSum, pseudoSum, UDP } from '../support/ip-packet.ts';
import { counting } from '../support/super-packet.ts';

function answer(packet: Uint8Array, length = packet.length): Uint8Array | undefined {
  // what follows the packet looks like an echo request
  const slab = new Uint8Array(packet.length + 4).fill(packet[0]! >> 4 === 4 ? 8 : 128);
  slab.set(packet, 3);
  const out = new Uint8Array(ICMP_MAXIMUM_SIZE + 10).fill(0xee);
  const size = writeUnreachable(slab, 3, length, out, 5);
  expect(out.filter((byte, i) => (i < 5 || i >= 5 + size) && byte !== 0xee)).toHaveLength(0);
  return size === 0 ? undefined : out.slice(5, 5 + size);
}

const icmp = (version: Family, type: number): Uint8Array =>
  ipPacket({ version, protocol: version === 4 ? 1 : 58, payload: Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0) });

describe('IPv4', () => {
  test('host unreachable, from the address that cannot be reached, to the sender', () => {
    const packet = ipPacket({ payload: counting(100) });
    const reply = answer(packet)!;
    expect(reply.length).toBe(28 + packet.length);
    expect([reply[0], reply[1], reply[8], reply[9]]).toEqual([0x45, 0xc0, 64, 1]);
    expect(get16(reply, 2)).toBe(reply.length);
    expect(onesSum(reply.subarray(0, 20), 0)).toBe(0xffff);
    expect(reply.subarray(12, 16)).toEqual(packet.subarray(16, 20));
    expect(reply.subarray(16, 20)).toEqual(packet.subarray(12, 16));
    expect([...reply.subarray(20, 22)]).toEqual([3, 1]);
    expect([...reply.subarray(24, 28)]).toEqual([0, 0, 0, 0]);
    expect(onesSum(reply.subarray(20), 0)).toBe(0xffff);
    expect(reply.subarray(28)).toEqual(packet);
  });

  test('the quote limits the error to 576 bytes, also for a super-packet', () => {
    const packet = ipPacket({ payload: counting(60_000) });
    const reply = answer(packet)!;
    expect(reply.length).toBe(576);
    expect(reply.subarray(28)).toEqual(packet.subarray(0, 548));
    expect(onesSum(reply.subarray(20), 0)).toBe(0xffff);
  });

  test('the quote includes IP options', () => {
    const packet = ipPacket({ protocol: UDP, ipOptions: new Uint8Array(8).fill(1), payload: counting(3) });
    expect(answer(packet)!.subarray(28)).toEqual(packet);
  });

  test('no error for a later fragment, but for a first one', () => {
    expect(answer(ipPacket({ fragment: MF, payload: counting(40) }))).toBeDefined();
    for (const fragment of [1, MF | 185]) expect(answer(ipPacket({ fragment, payload: counting(40) }))).toBeUndefined();
  });

  test('no error for an ICMP error or an unknown type, but for a query', () => {
    for (const type of [3, 4, 5, 11, 12, 1, 2, 6, 7, 19, 30, 40, 41, 44, 255])
      expect(answer(icmp(4, type))).toBeUndefined();
    for (const type of [0, 8, 9, 10, 13, 14, 15, 16, 17, 18, 42, 43]) expect(answer(icmp(4, type))).toBeDefined();
    expect(answer(ipPacket({ protocol: 1 }))).toBeUndefined();
  });

  test.each([
    ['from this network', 12, [0, 0, 0, 1]],
    ['from loopback', 12, [127, 0, 0, 1]],
    ['from multicast', 12, [224, 0, 0, 1]],
    ['to the first multicast network', 16, [224, 0, 0, 251]],
    ['from class E', 12, [240, 0, 0, 1]],
    ['from broadcast', 12, [255, 255, 255, 255]],
    ['to multicast', 16, [239, 1, 1, 1]],
    ['to broadcast', 16, [255, 255, 255, 255]],
    ['to the unspecified address', 16, [0, 0, 0, 0]],
  ])('no answer to what comes or goes %s', (_name, at, address) => {
    const packet = ipPacket({ payload: counting(10) });
    packet.set(address, at);
    expect(answer(packet)).toBeUndefined();
  });
});

describe('IPv6', () => {
  const six = (change: Partial<IpShape> = {}): Uint8Array =>
    ipPacket({ version: 6, payload: counting(100), ...change });

  test('address unreachable, from the address that cannot be reached, to the sender', () => {
    const packet = six();
    const reply = answer(packet)!;
    expect(reply.length).toBe(48 + packet.length);
    expect([...reply.subarray(0, 4)]).toEqual([0x60, 0, 0, 0]);
    expect([reply[6], reply[7]]).toEqual([58, 64]);
    expect(reply.subarray(8, 24)).toEqual(packet.subarray(24, 40));
    expect(reply.subarray(24, 40)).toEqual(packet.subarray(8, 24));
    expect([...reply.subarray(40, 42)]).toEqual([1, 3]);
    expect([...reply.subarray(44, 48)]).toEqual([0, 0, 0, 0]);
    expect(faults(reply)).toEqual([]);
    expect(onesSum(reply.subarray(40), pseudoSum(reply, 0, 6, 58, reply.length - 40))).toBe(0xffff);
    expect(reply.subarray(48)).toEqual(packet);
  });

  test('to any address, also one of which the IPv4 fields could be read', () => {
    const packet = six();
    packet.set([0x20, 0x01, 0x0d, 0xb8, 10, 0, 0, 1, 10, 0, 0, 2], 8);
    expect(answer(packet)![0]).toBe(0x60);
    packet.fill(0, 8, 24)[23] = 2;
    expect(answer(packet)![0]).toBe(0x60);
  });

  test('the quote limits the error to 1280 bytes', () => {
    const packet = six({ payload: counting(60_000) });
    const reply = answer(packet)!;
    expect(reply.length).toBe(1280);
    expect(reply.subarray(48)).toEqual(packet.subarray(0, 1232));
    expect(faults(reply)).toEqual([]);
  });

  test('no error for an ICMPv6 error or redirect, also after extension headers, but for echo and the like', () => {
    for (const type of [1, 2, 3, 4, 100, 127, 137]) expect(answer(icmp(6, type))).toBeUndefined();
    for (const type of [128, 129, 133, 135, 136, 255]) expect(answer(icmp(6, type))).toBeDefined();
    const behind = (type: number): Uint8Array =>
      six({ protocol: 58, extensions: [[60, new Uint8Array(7)]], payload: Uint8Array.of(type, 0, 0, 0) });
    expect(answer(behind(1))).toBeUndefined();
    expect(answer(behind(128))).toBeDefined();
    expect(answer(six({ protocol: 58, payload: counting(0) }))).toBeUndefined();
  });

  test('no error for a later fragment, nor if the upper layer cannot be found', () => {
    const fragment = (offset: number): [number, Uint8Array] => [44, Uint8Array.of(0, offset, 1, 0, 0, 0, 0)];
    expect(answer(six({ extensions: [fragment(0)] }))).toBeDefined();
    expect(answer(six({ extensions: [fragment(8)] }))).toBeUndefined();
    expect(answer(six({ protocol: 59 }))).toBeUndefined();
  });

  test.each([
    ['from multicast', 8, 'ff'],
    ['from the unspecified address', 8, '00'],
    ['from loopback', 8, '01'],
    ['to multicast', 24, 'ff'],
  ])('no answer to what comes or goes %s', (_name, at, what) => {
    const packet = six();
    if (what === 'ff') packet[at] = 0xff;
    else packet.fill(0, at, at + 15)[at + 15] = Number(what);
    expect(answer(packet)).toBeUndefined();
  });
});

describe('too big', () => {
  function tooBig(packet: Uint8Array, mtu: number): Uint8Array | undefined {
    const out = new Uint8Array(ICMP_MAXIMUM_SIZE + 10).fill(0xee);
    const size = writeTooBig(packet, 0, packet.length, mtu, out, 5);
    expect(out.filter((byte, i) => (i < 5 || i >= 5 + size) && byte !== 0xee)).toHaveLength(0);
    return size === 0 ? undefined : out.slice(5, 5 + size);
  }

  test.each([68, 65_472, 65_535])('IPv4: fragmentation needed, with the MTU %i', mtu => {
    const packet = ipPacket({ payload: counting(60_000) });
    const reply = tooBig(packet, mtu)!;
    expect(reply.length).toBe(576);
    expect([...reply.subarray(20, 22)]).toEqual([3, 4]);
    expect([get16(reply, 24), get16(reply, 26)]).toEqual([0, mtu]);
    expect(onesSum(reply.subarray(20), 0)).toBe(0xffff);
    expect(reply.subarray(28)).toEqual(packet.subarray(0, 548));
  });

  test.each([1280, 65_488, 65_535])('IPv6: packet too big, with the MTU %i', mtu => {
    const packet = ipPacket({ version: 6, payload: counting(60_000) });
    const reply = tooBig(packet, mtu)!;
    expect(reply.length).toBe(1280);
    expect([...reply.subarray(40, 42)]).toEqual([2, 0]);
    expect([get16(reply, 44), get16(reply, 46)]).toEqual([0, mtu]);
    expect(faults(reply)).toEqual([]);
    expect(reply.subarray(48)).toEqual(packet.subarray(0, 1232));
  });

  test('no error for packets that get no destination unreachable', () => {
    for (const type of [3, 5, 11]) expect(tooBig(icmp(4, type), 1000)).toBeUndefined();
    expect(tooBig(icmp(6, 1), 1000)).toBeUndefined();
    const six = ipPacket({ version: 6, payload: counting(100) });
    six.set([10, 0, 0, 1, 10, 0, 0, 2], 12);
    expect(tooBig(six, 1000)![0]).toBe(0x60);
    expect(tooBig(new Uint8Array(100), 1000)).toBeUndefined();
  });
});

test('no error for a packet that is not IP or has a truncated header', () => {
  expect(answer(new Uint8Array(100))).toBeUndefined();
  expect(answer(ipPacket(), 19)).toBeUndefined();
  expect(answer(ipPacket({ version: 6 }), 39)).toBeUndefined();
});

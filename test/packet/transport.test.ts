/** Padding of transport data as in calculate_skb_padding of the kernel's send.c, and the header. */
import { describe, expect, test } from 'vitest';
import { largestPacket, paddedLength, TRANSPORT_OVERHEAD, writeTransportHeader } from '../../src/packet/transport.ts';
import { toHex } from '../support/vectors.ts';

/** The kernel's code, line by line: the number of zeros added. */
function kernelPadding(length: number, mtu: number): number {
  if (mtu === 0) return Math.ceil(length / 16) * 16 - length;
  const last = length > mtu ? length % mtu : length;
  const padded = Math.min(mtu, Math.ceil(last / 16) * 16);
  return padded - last;
}

describe('paddedLength', () => {
  test.each([
    [0, 1420, 0],
    [1, 1420, 16],
    [15, 1420, 16],
    [16, 1420, 16],
    [17, 1420, 32],
    [84, 1420, 96],
    [1408, 1420, 1408],
    [1409, 1420, 1420],
    [1420, 1420, 1420],
    [1421, 1420, 1436],
    [2840, 1420, 2840],
    [2841, 1420, 2856],
    [2830, 1420, 2840],
    [1279, 1280, 1280],
    [1419, 0, 1424],
    [65_535, 0, 65_536],
    [40, 20, 40],
    [41, 20, 56],
  ])('%i bytes at an MTU of %i are padded to %i', (length, mtu, wanted) => {
    expect(paddedLength(length, mtu)).toBe(wanted);
    expect(wanted - length).toBe(kernelPadding(length, mtu));
  });

  test('matches the kernel for every length, at odd and even MTUs', () => {
    for (const mtu of [0, 1, 15, 16, 17, 100, 576, 1280, 1299, 1420, 9000])
      for (let length = 0; length < 3000; length++)
        expect(paddedLength(length, mtu)).toBe(length + kernelPadding(length, mtu));
  });

  test('an impossible MTU counts as unknown', () => {
    expect(paddedLength(33, -1)).toBe(48);
  });
});

test('the header: type 4 and three zeros, receiver, counter in two halves, little endian', () => {
  const slab = new Uint8Array(20).fill(0xee);
  writeTransportHeader(slab, 2, 0x80000001, 0x89abcdef, 0x01234567);
  expect(toHex(slab)).toBe('eeee0400000001000080efcdab8967452301eeee');
  writeTransportHeader(slab, 2, 0x80000001 | 0, -1, -1);
  expect(toHex(slab)).toBe('eeee0400000001000080ffffffffffffffffeeee');
  expect(TRANSPORT_OVERHEAD).toBe(32);
});

test.each([
  [4, 65_507],
  [6, 65_527],
])('the largest packet of IPv%i: padded, in the largest datagram', (family, datagram) => {
  const largest = largestPacket(family);
  expect(paddedLength(largest, 0) + TRANSPORT_OVERHEAD).toBeLessThanOrEqual(datagram);
  expect(paddedLength(largest + 1, 0) + TRANSPORT_OVERHEAD).toBeGreaterThan(datagram);
});

/** struct virtio_net_hdr: the layout in C matches the constants. */
import { expect, test } from 'vitest';
import { VNET_HEADER_SIZE, VNET_HEADROOM } from '../../src/packet/batch.ts';
import { readU16le } from '../../src/packet/byte-order.ts';
import {
  VNET_CSUM_OFFSET,
  VNET_CSUM_START,
  VNET_F_DATA_VALID,
  VNET_F_NEEDS_CSUM,
  VNET_FLAGS,
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_SIZE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_TYPE,
  VNET_GSO_UDP_L4,
  VNET_HDR_LEN,
} from '../../src/packet/vnet-header.ts';
import { GSO, writeVnet } from '../support/super-packet.ts';

test('fields at the offsets of linux/virtio_net.h: two bytes, then four little-endian words, ten bytes in total', () => {
  const bytes = new Uint8Array(VNET_HEADER_SIZE);
  writeVnet(bytes, 0, {
    flags: 0x11,
    gsoType: 0x22,
    headerLength: 0x3344,
    gsoSize: 0x5566,
    csumStart: 0x7788,
    csumOffset: 0x99aa,
  });
  expect(VNET_HEADER_SIZE).toBe(10);
  expect(bytes[VNET_FLAGS]).toBe(0x11);
  expect(bytes[VNET_GSO_TYPE]).toBe(0x22);
  const words = [VNET_HDR_LEN, VNET_GSO_SIZE, VNET_CSUM_START, VNET_CSUM_OFFSET].map(at => readU16le(bytes, at));
  expect(words).toEqual([0x3344, 0x5566, 0x7788, 0x99aa]);
});

test('the numbers of linux/virtio_net.h', () => {
  expect([VNET_F_NEEDS_CSUM, VNET_F_DATA_VALID]).toEqual([1, 2]);
  expect([VNET_GSO_NONE, VNET_GSO_TCPV4, VNET_GSO_TCPV6, VNET_GSO_UDP_L4, VNET_GSO_ECN]).toEqual([
    GSO.none,
    GSO.tcp4,
    GSO.tcp6,
    GSO.udpL4,
    GSO.ecn,
  ]);
});

test('a packet to write has room for its header before it', () => {
  expect(VNET_HEADROOM).toBeGreaterThanOrEqual(VNET_HEADER_SIZE);
});

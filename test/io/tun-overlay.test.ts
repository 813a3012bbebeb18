/**
 * TCP in VXLAN, written to a TUN: the kernel's own VXLAN device gets merged packets, and any other
 * receiver gets each datagram as it was. USO is off, so that only packets in VXLAN are merged.
 *
 * @module-tag slow
 */
import { execFileSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { ALL_TUN_OFFLOADS, type NativeTun, openTun, TUN_OFFLOADS } from '../../src/io/tun.ts';
import {
  makePacketBatch,
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  VNET_HEADER_SIZE,
} from '../../src/packet/batch.ts';
import { ipPacket, PLAIN } from '../support/ip-packet.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { packetBatch } from '../support/packet-batch.ts';
import { HANG_MS } from '../support/patience.ts';
import { counting } from '../support/super-packet.ts';
import { OVERLAY, vxlanPacket } from '../support/vxlan-packet.ts';

const COUNT = 40;
const UNIT = 1000;
const VXLAN = `type vxlan id 7 dstport ${OVERLAY.port} local 10.0.0.1 remote 10.0.0.2`;

let front: NativeTun;
let back: NativeTun;
let socket: Socket | undefined;

function ip(line: string): void {
  execFileSync('ip', line.split(' '));
}

function addVxlan(options: string, up = true): void {
  ip(`link add over address 02:00:00:00:00:01 ${options}`);
  if (up) ip('link set over up');
  front.networkChanged();
}

function hasVxlan(): boolean {
  try {
    ip(`link add over ${VXLAN}`);
    ip('link del over');
    return true;
  } catch {
    return false;
  }
}

const inner = (i: number, ttl: number): Uint8Array =>
  ipPacket({
    ...PLAIN,
    ttl,
    id: 100 + i,
    source: 9,
    destination: 200,
    sequence: 1 + i * UNIT,
    payload: counting(UNIT),
  });

/** Writes the packets of one TCP stream in VXLAN. */
function write(summed = false, count = COUNT): void {
  const packets = Array.from({ length: count }, (_, i) => {
    const shape = { ...PLAIN, id: 100 + i, source: 9, destination: 200, sequence: 1 + i * UNIT };
    return vxlanPacket({ outer: { id: i }, identifier: 7 }, { ...shape, payload: counting(UNIT) }, summed);
  });
  expect(front.write(packetBatch(packets))).toBe(0);
}

/** Expects the packets at the second TUN, where the kernel routes what came out of VXLAN. */
async function arrive(times = 1, count = COUNT): Promise<void> {
  const batch = makePacketBatch(1 << 20, 256);
  const packets: string[] = [];
  for (const end = Date.now() + HANG_MS; packets.length < times * count && Date.now() < end; await sleep(1)) {
    back.read(batch);
    for (let at = 0; at < batch.count * PACKET_STRIDE; at += PACKET_STRIDE) {
      const offset = batch.desc[at + PACKET_OFFSET]!;
      const packet = batch.slab.subarray(offset + VNET_HEADER_SIZE, offset + batch.desc[at + PACKET_LENGTH]!);
      if (packet[0] === 0x45 && packet[9] === 6) packets.push(Buffer.from(packet).toString('hex'));
    }
  }
  const once = Array.from({ length: count }, (_, i) => Buffer.from(inner(i, 63)).toString('hex'));
  expect(packets).toEqual(Array.from({ length: times }, () => once).flat());
}

inOwnNamespace(import.meta.url, ['sysctl'], () => {
  beforeEach(({ skip }) => {
    const binding = nativeBinding();
    front = openTun({ binding, name: 'front%d', offloads: ALL_TUN_OFFLOADS & ~TUN_OFFLOADS.uso, mtu: 1420 });
    back = openTun({ binding, name: 'back%d', offloads: 0, mtu: 1420 });
    execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=0']);
    execFileSync('sysctl', ['-qw', 'net.ipv4.conf.default.rp_filter=0']);
    ip(`link set ${front.status()!.name} up`);
    ip(`link set ${back.status()!.name} up`);
    ip(`addr add 10.0.0.1/30 dev ${front.status()!.name}`);
    ip(`route add 10.0.0.200/32 dev ${back.status()!.name}`);
    if (!front.offloads.includes('udptnl')) skip('super-packets in UDP tunnels need Linux 6.17');
    if (!hasVxlan()) skip('this kernel has no vxlan');
  });
  afterEach(() => {
    socket?.close();
    socket = undefined;
    front?.close();
    back?.close();
    execFileSync('sh', ['-c', 'ip link del over 2>/dev/null || true']);
  });

  test.each([
    ['with', true],
    ['without', false],
  ])('the VXLAN device gets merged packets %s checksums', async (_with, summed) => {
    addVxlan(VXLAN);
    write(summed);
    await arrive();
    expect(front.counters()).toMatchObject({ merged: COUNT, unmerged: 0, refused: 0 });
  });

  test('a device without a local address receives at the address of the TUN', async () => {
    addVxlan(VXLAN.replace('local 10.0.0.1 ', ''));
    write();
    await arrive();
    expect(front.counters()).toMatchObject({ merged: COUNT, unmerged: 0, refused: 0 });
  });

  test('what the kernel refuses arrives unmerged, and after 64 times it waits for a change', async () => {
    addVxlan(VXLAN);
    front.failMerged(constants.errno.EINVAL, 1000);
    write();
    await arrive();
    expect(front.counters()).toMatchObject({ merged: 0, unmerged: COUNT, refused: 0, paused: 0 });
    for (let i = 0; i < 63; i++) write(false, 2);
    await arrive(63, 2);
    expect(front.counters()).toMatchObject({ merged: 0, paused: 1, refused: 0 });
    front.failMerged(constants.errno.EINVAL, 0);
    write();
    await arrive();
    expect(front.counters()).toMatchObject({ merged: 0 });
    front.networkChanged();
    write();
    await arrive();
    expect(front.counters()).toMatchObject({ merged: COUNT });
  });

  test('once the device is gone, a socket on its port gets each datagram', async () => {
    addVxlan(VXLAN);
    write();
    await arrive();
    ip('link del over');
    front.networkChanged();
    const sizes: number[] = [];
    socket = createSocket('udp4', message => sizes.push(message.length));
    await new Promise<void>(resolve => socket!.bind(OVERLAY.port, '10.0.0.1', resolve));
    write();
    front.status();
    write();
    for (const end = Date.now() + HANG_MS; sizes.length < 2 * COUNT && Date.now() < end; ) await sleep(1);
    expect(new Set(sizes)).toEqual(new Set([UNIT + 62]));
    expect(sizes).toHaveLength(2 * COUNT);
    expect(front.counters()).toMatchObject({ merged: COUNT });
  });

  test.each([
    ['is down', VXLAN, false],
    ['has another port', VXLAN.replace('4789', '4790'), true],
    ['has another address', VXLAN.replace('local 10.0.0.1', 'local 10.0.0.3'), true],
    ['is over IPv6', `type vxlan id 7 dstport ${OVERLAY.port} local fd00::1 remote fd00::2`, true],
    ['is no VXLAN', 'type veth peer name other', true],
  ])('nothing is merged if the device %s', (_what, options, up) => {
    addVxlan(options, up);
    write();
    expect(front.counters()).toMatchObject({ merged: 0, unmerged: 0, refused: 0 });
  });
});

/**
 * Merged packets in a real kernel that accepts or refuses them. The tests write packets to one TUN,
 * and the kernel routes them to another TUN without offloads, so it must split the merged packets
 * itself. Whatever errno is injected, all packets come out there once and in order, identical
 * except for the TTL, and a counter records how they were written.
 *
 * @module-tag slow
 */
import { execFileSync } from 'node:child_process';
import { constants, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { ALL_TUN_OFFLOADS, type NativeTun, openTun, TUN_OFFLOADS, TUN_SINGLE_UDP } from '../../src/io/tun.ts';
import {
  makePacketBatch,
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  VNET_HEADER_SIZE,
} from '../../src/packet/batch.ts';
import { ACK, type IpShape, ipPacket, PSH, TCP, UDP } from '../support/ip-packet.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { packetBatch } from '../support/packet-batch.ts';
import { HANG_MS } from '../support/patience.ts';
import { counting } from '../support/super-packet.ts';

const { EIO, EINVAL, EMSGSIZE, EOPNOTSUPP, ENOBUFS } = constants.errno;
const MTU = 1420;
const [MAJOR, MINOR] = release().split('.').map(Number) as [number, number];
/** Linux 6.17 has super-packets in UDP tunnels. */
const ALL_NAMES = ['csum', 'tso4', 'tso6', 'uso', ...(MAJOR > 6 || (MAJOR === 6 && MINOR >= 17) ? ['udptnl'] : [])];
const COUNT = 40;
const FLOWS = [
  ['TCP over IPv4', { version: 4, protocol: TCP }],
  ['TCP over IPv6', { version: 6, protocol: TCP }],
  ['UDP over IPv4', { version: 4, protocol: UDP }],
  ['UDP over IPv6', { version: 6, protocol: UDP }],
] as const;
const UNSUMMED = ['UDP without checksums', { version: 4, protocol: UDP, sum: 0 }] as const;

let front: NativeTun;
let back: NativeTun;

function open(name: string, offloads: number, twin: boolean): NativeTun {
  return openTun({ binding: nativeBinding(), name, offloads, mtu: MTU, twin });
}

function lay(offloads: number, twin = false): void {
  front = open('front%d', offloads, twin);
  back = open('back%d', 0, false);
  const [near, far] = [front.status()!.name, back.status()!.name];
  for (const line of [
    `link set ${near} up`,
    `link set ${far} up`,
    `route add 10.0.0.1/32 dev ${near}`,
    `route add 10.0.0.2/32 dev ${far}`,
    `-6 route add fd00::1/128 dev ${near}`,
    `-6 route add fd00::2/128 dev ${far}`,
  ])
    execFileSync('ip', line.split(' '));
}

/**
 * Returns packets of one flow: each as large as the MTU allows, the last one short and with PSH.
 */
function run(flow: Partial<IpShape>, count = COUNT, ttl = 64): Uint8Array[] {
  const unit = 1300;
  return Array.from({ length: count }, (_, i) =>
    ipPacket({
      ...flow,
      ttl,
      tos: 0x28,
      id: 100 + i,
      sequence: 2 ** 32 - 5000 + i * unit - (i * unit >= 5000 ? 2 ** 32 : 0),
      flags: i === count - 1 ? ACK | PSH : ACK,
      tcpOptions: Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8),
      payload: counting(i === count - 1 ? 77 : unit).map(byte => byte ^ i),
    }),
  );
}

/** Expects packets, in order. Of texts, vitest finds a difference a hundred times faster. */
function expectPackets(actual: readonly Uint8Array[], wanted: readonly Uint8Array[]): void {
  const texts = (packets: readonly Uint8Array[]) => packets.map(packet => Buffer.from(packet).toString('hex'));
  expect(texts(actual)).toEqual(texts(wanted));
}

/** Returns the same packets as the router forwards them. */
const routed = (flow: Partial<IpShape>, count = COUNT): Uint8Array[] => run({ ...flow, sum: 'right' }, count, 63);

/**
 * Returns this many packets from the second TUN: TCP and UDP only, since the kernel also sends
 * packets of its own.
 */
async function arrived(count: number): Promise<Uint8Array[]> {
  const batch = makePacketBatch(1 << 20, 256);
  const packets: Uint8Array[] = [];
  for (const end = Date.now() + HANG_MS; packets.length < count && Date.now() < end; await sleep(1)) {
    back.read(batch);
    for (let at = 0; at < batch.count * PACKET_STRIDE; at += PACKET_STRIDE) {
      const offset = batch.desc[at + PACKET_OFFSET]! + VNET_HEADER_SIZE;
      const packet = batch.slab.slice(offset, offset + batch.desc[at + PACKET_LENGTH]! - VNET_HEADER_SIZE);
      const protocol = packet[packet[0]! >> 4 === 4 ? 9 : 6]!;
      if (protocol === TCP || protocol === UDP) packets.push(packet);
    }
  }
  return packets;
}

inOwnNamespace(
  import.meta.url,
  ['sysctl'],
  () => {
    beforeEach(() => {
      execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    });
    afterEach(() => {
      front?.close();
      back?.close();
    });

    describe.each([
      ['merged in C', false],
      ['merged in TypeScript', true],
    ])('%s', (_by, twin) => {
      test.each([...FLOWS, UNSUMMED])(
        '%s: the kernel splits the merged packet into the original packets',
        async (_name, flow) => {
          lay(ALL_TUN_OFFLOADS, twin);
          expect(front.offloads).toEqual(ALL_NAMES);
          expect(front.write(packetBatch(run(flow)))).toBe(0);
          expectPackets(await arrived(COUNT), routed(flow));
          expect(front.counters()).toMatchObject({ merged: COUNT, unmerged: 0, refused: 0 });
        },
      );

      for (const [name, flow] of FLOWS)
        test.each([
          ['EIO', EIO],
          ['EINVAL', EINVAL],
          ['EMSGSIZE', EMSGSIZE],
          ['EOPNOTSUPP', EOPNOTSUPP],
          ['ENOBUFS', ENOBUFS],
        ])(`${name}, refused with %s: is written as the original packets`, async (_errno, errno) => {
          lay(ALL_TUN_OFFLOADS, twin);
          front.failMerged(errno, 1);
          expect(front.write(packetBatch(run(flow)))).toBe(0);
          expectPackets(await arrived(COUNT), routed(flow));
          expect(front.counters()).toMatchObject({ merged: 0, unmerged: COUNT, refused: 0 });
          // the next packet is merged again
          expect(front.write(packetBatch(run(flow)))).toBe(0);
          expectPackets(await arrived(COUNT), routed(flow));
          expect(front.counters()).toMatchObject({ merged: COUNT, unmerged: COUNT, refused: 0 });
        });
    });

    describe.each([
      ['in C', false],
      ['in TypeScript', true],
    ])('a kernel that refuses every merged packet (%s)', (_by, twin) => {
      /** Writes this many times. Every packet must come out. */
      const write = async (flow: Partial<IpShape>, times: number) => {
        for (let i = 0; i < times; i++) expect(front.write(packetBatch(run(flow, 4)))).toBe(0);
        const once = routed(flow, 4);
        expectPackets(await arrived(4 * times), Array.from({ length: times }, () => once).flat());
      };

      test.each(FLOWS)('%s: gets 64 merged packets, and no more until something changes', async (_name, flow) => {
        lay(ALL_TUN_OFFLOADS, twin);
        // it would refuse more than are tried
        front.failMerged(EINVAL, 1000);
        await write(flow, 63);
        expect(front.counters()).toMatchObject({ merged: 0, unmerged: 4 * 63, paused: 0 });
        await write(flow, 1);
        expect(front.counters()).toMatchObject({ merged: 0, unmerged: 4 * 64, paused: 1 });
        front.failMerged(EINVAL, 0);
        await write(flow, 10);
        expect(front.counters()).toMatchObject({ merged: 0, paused: 1, refused: 0 });
        // the other kinds are still merged
        for (const [, other] of FLOWS) if (other.protocol !== flow.protocol) await write(other, 1);
        expect(front.counters()).toMatchObject({ merged: 8 });
        front.networkChanged();
        await write(flow, 1);
        expect(front.counters()).toMatchObject({ merged: 12, paused: 1 });
      });

      test('an accepted packet in between restarts the count', async () => {
        lay(ALL_TUN_OFFLOADS, twin);
        const flow = FLOWS[0][1];
        for (let round = 0; round < 2; round++) {
          front.failMerged(EINVAL, 63);
          await write(flow, 64);
        }
        expect(front.counters()).toMatchObject({ merged: 8, paused: 0 });
      });

      test('a new MTU, a link that comes up and a notice of the kernel count as changes', async () => {
        lay(ALL_TUN_OFFLOADS, twin);
        const flow = FLOWS[0][1];
        const { name } = front.status()!;
        const pause = async () => {
          front.failMerged(EINVAL, 64);
          await write(flow, 65);
        };
        const merges = async () => {
          const before = front.counters()['merged']!;
          await write(flow, 1);
          return front.counters()['merged']! - before === 4;
        };
        await pause();
        front.status();
        expect(await merges()).toBe(false);
        execFileSync('ip', ['link', 'set', name, 'mtu', '1400']);
        front.status();
        expect(await merges()).toBe(true);
        front.onStatus(() => {});
        await sleep(50);
        await pause();
        execFileSync('ip', ['link', 'set', name, 'alias', 'anything']);
        for (const end = Date.now() + HANG_MS; !(await merges()) && Date.now() < end; ) await sleep(20);
        expect(await merges()).toBe(true);
        await pause();
        execFileSync('ip', ['route', 'add', '10.9.0.0/24', 'dev', name]);
        for (const end = Date.now() + HANG_MS; !(await merges()) && Date.now() < end; ) await sleep(20);
        expect(await merges()).toBe(true);
      });

      test('a device that is down does not count as a refusing kernel', () => {
        lay(ALL_TUN_OFFLOADS, twin);
        execFileSync('ip', ['link', 'set', front.status()!.name, 'down']);
        for (let i = 0; i < 70; i++) front.write(packetBatch(run(FLOWS[0][1], 4)));
        expect(front.counters()).toMatchObject({ paused: 0, refused: 280 });
      });
    });

    test('UDP that must stay single is not merged for writing, TCP is', async () => {
      lay(ALL_TUN_OFFLOADS | TUN_SINGLE_UDP);
      expect(front.offloads).toEqual(ALL_NAMES);
      for (const [, flow] of FLOWS) {
        expect(front.write(packetBatch(run(flow)))).toBe(0);
        expectPackets(await arrived(COUNT), routed(flow));
      }
      expect(front.counters()).toMatchObject({ merged: 2 * COUNT, unmerged: 0, refused: 0 });
    });

    test('of several groups some are refused: each flow is complete and in order', async () => {
      lay(ALL_TUN_OFFLOADS);
      front.failMerged(EINVAL, 2);
      const runs = FLOWS.map(([, flow]) => run(flow, 10));
      const mixed = runs[0]!.flatMap((_, i) => runs.map(packets => packets[i]!));
      expect(front.write(packetBatch(mixed))).toBe(0);
      const packets = await arrived(40);
      FLOWS.forEach(([, flow]) => {
        const wanted = routed(flow, 10);
        const mine = packets.filter(
          p => p[0]! >> 4 === flow.version && p[flow.version === 4 ? 9 : 6] === flow.protocol,
        );
        expectPackets(mine, wanted);
      });
      expect(front.counters()).toMatchObject({ merged: 20, unmerged: 20, refused: 0 });
    });

    test.each([
      ['uso', 'UDP is not', 2],
      ['udptnl', 'everything is', 4],
    ] as const)('without %s %s merged, and nothing is lost', async (without, _what, merged) => {
      lay(ALL_TUN_OFFLOADS & ~TUN_OFFLOADS[without]);
      expect(front.offloads).toEqual(ALL_NAMES.filter(name => name !== without));
      for (const [, flow] of FLOWS) {
        expect(front.write(packetBatch(run(flow)))).toBe(0);
        expectPackets(await arrived(COUNT), routed(flow));
      }
      expect(front.counters()).toMatchObject({ merged: merged * COUNT, unmerged: 0, refused: 0 });
    });

    test.each([
      ['checksums', 0],
      ['TSO', TUN_OFFLOADS.csum],
    ])('without %s nothing is merged, and nothing is lost', async (_what, offloads) => {
      lay(offloads);
      for (const [, flow] of FLOWS) {
        expect(front.write(packetBatch(run(flow)))).toBe(0);
        expectPackets(await arrived(COUNT), routed(flow));
      }
      expect(front.counters()).toMatchObject({ merged: 0, unmerged: 0, refused: 0 });
    });

    test.each([
      ['in C', false],
      ['in TypeScript', true],
    ])('a device that is down refuses the merged and the single ones: every packet is counted (%s)', (_by, twin) => {
      lay(ALL_TUN_OFFLOADS, twin);
      execFileSync('ip', ['link', 'set', front.status()!.name, 'down']);
      expect(front.write(packetBatch(run(FLOWS[0][1])))).toBe(COUNT);
      expect(front.counters()).toMatchObject({ merged: 0, unmerged: COUNT, refused: COUNT });
    });
  },
  { limit: 600_000 },
);

/**
 * Hostile input through the whole device: any packet with any vnet header at any MTU, any datagram.
 * Each round terminates, all input is sent or counted, memory does not grow, and ordinary packets
 * pass afterwards. Runs over ports in memory, and over a real TUN and real sockets, where another
 * program injects frames into the device (AF_PACKET); with and without the addon. Runs in a
 * separate process, which is killed if it does not end. WG_FUZZ_RUNS and WG_FUZZ_SEED as in
 * support/seeded-cases.ts: one round per 800 runs, or per 20,000 with the kernel.
 *
 * @module-tag slow
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import type { Family } from '../../src/base/family.ts';
import { makeBackend } from '../../src/daemon/backend.ts';
import { offloadsWithout } from '../../src/daemon/offloads.ts';
import { MemoryTun } from '../../src/io/memory/tun.ts';
import { MemoryNetwork, type MemoryUdp } from '../../src/io/memory/udp.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import type { Clock } from '../../src/io/ports.ts';
import { openNativeUdp } from '../../src/io/udp.ts';
import { VNET_HEADER_SIZE } from '../../src/packet/batch.ts';
import { until as untilEvery } from '../netns/command.ts';
import { batchOf } from '../support/datagrams.ts';
import { sendFrames } from '../support/frames.ts';
import { hostileDatagram, hostileMtu, hostileRange } from '../support/hostile.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { between } from '../support/packet-shapes.ts';
import { HANG_MS } from '../support/patience.ts';
import { type Random, seeded } from '../support/random.ts';
import { CASES, SEED } from '../support/seeded-cases.ts';
import { counting, superPacket } from '../support/super-packet.ts';
import { udpPacket, udpPayload } from '../support/udp-packet.ts';
import { WatchedDevice } from '../support/watched-device.ts';

const ROUNDS = Math.max(50, Math.min(20_000, Math.floor(CASES / 800)));
const REAL_ROUNDS = Math.max(4, Math.min(200, Math.floor(CASES / 20_000)));
const FRAMES = 250;
const LIMIT_MS = 600_000;
const LANES = 8;
const MOST_MEMORY = 256 << 20;
const PORT = 7777;
const ALL = offloadsWithout(new Set());
const ADDRESS = {
  4: ['192.0.2.1', '192.0.2.2', '192.0.2.66'],
  6: ['2001:db8::1', '2001:db8::2', '2001:db8::66'],
} as const;
const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;
/** Always included, regardless of chance: segments that exceed any datagram at any MTU. */
const OVERSIZED = superPacket({ payload: counting(65_495) }, 65_480);
/** Counters that each account for one received datagram. */
const DROPS = [
  ...['malformedDatagram', 'unknownReceiver', 'badMac1', 'badMac2', 'badCookie', 'rateLimited', 'handshakeQueueFull'],
  ...['badHandshake', 'unknownPeer', 'replayedInitiation', 'initiationFlood', 'badTag', 'replayed', 'expiredKey'],
];

const devices: WatchedDevice[] = [];
afterEach(() => {
  for (const device of devices.splice(0)) device.loop.close();
});

const until = (what: string, ask: () => boolean) => untilEvery(what, ask, HANG_MS, 1);

function watched(...args: ConstructorParameters<typeof WatchedDevice>): WatchedDevice {
  const device = new WatchedDevice(...args);
  devices.push(device);
  return device;
}

/** Checks that a device counted every packet as it was classified when read. */
function mustBeCounted(device: WatchedDevice, what: string): void {
  const { expected, seen, faults, gone, loop } = device;
  // also takes back what lanes have
  const { malformedOutbound, oversized } = loop.counters();
  expect({ faults, gone, what }).toEqual({ faults: [], gone: false, what });
  expect({ what, malformedOutbound, oversized, messages: seen.messages }).toEqual({
    what,
    malformedOutbound: expected.malformedOutbound,
    oversized: expected.oversized,
    messages: expected.messages,
  });
  expect([what, device.sum('sealRefused', 'stagedOverflow', 'stagedExpired', 'routingLoop', 'noPeer')]).toEqual([
    what,
    0,
  ]);
}

inOwnNamespace(
  import.meta.url,
  ['python3'],
  () => {
    describe.each(['native', 'pure'] as const)('%s', name => {
      test.each([4, 6] as const)('ports in memory, over IPv%i', family => inMemory(name, family), LIMIT_MS);
      test.each([4, 6] as const)('a real TUN and real sockets, over IPv%i', family => inKernel(name, family), LIMIT_MS);
    });
    test.each([4, 6] as const)(
      `${LANES} lanes, a real TUN and real sockets, over IPv%i`,
      family => inKernel('native', family, LANES),
      LIMIT_MS,
    );
  },
  { limit: 2 * LIMIT_MS, show: 'fuzz' },
);

async function inMemory(name: 'native' | 'pure', family: Family): Promise<void> {
  const network = new MemoryNetwork();
  const [addressA, addressB, addressC] = ADDRESS[family].map(text => parseAddress(text)!);
  // slow enough that no session expires
  let now = 1000;
  const clock: Clock = { now: () => (now += 0.001), wall: () => BigInt(Math.floor(now * 1e6)) };
  const tunA = new MemoryTun({ up: true, mtu: 1420, name: 'a' });
  const tunB = new MemoryTun({ up: true, mtu: 1420, name: 'b' });
  const open = (address: Uint8Array) => (port: number) => network.open([address], port);
  const [backendA, backendB] = [makeBackend(name, ALL), makeBackend(name, ALL)];
  const a = watched(backendA, tunA, open(addressA!), clock, family);
  const b = watched(backendB, tunB, open(addressB!), clock, family);
  a.meet(1, b, makeEndpoint(addressB!, 2));
  b.meet(2, a, makeEndpoint(addressA!, 1));
  const attacker = network.open([addressC!], 3);
  const heard: Uint8Array[] = [];
  network.filter = (bytes, _from, to) => {
    if (heard.length < 64 && to.endsWith(':1')) heard.push(bytes.slice());
    return true;
  };
  let put = 0;
  const ping = async (number: number) => {
    for (const [from, to, address] of [
      [tunA, tunB, '10.0.0.2'],
      [tunB, tunA, '10.0.0.1'],
    ] as const) {
      if (from === tunA) put++;
      from.put(udpPacket(from === tunA ? '10.0.0.1' : '10.0.0.2', address, PORT, `ping ${number}`));
      await until(`ping ${number}`, () => to.written.some(packet => udpPayload(packet, address) === `ping ${number}`));
    }
  };
  await ping(-1);
  const memory = process.memoryUsage.rss();
  let hostile = 0;
  const dropsBefore = a.sum(...DROPS);
  for (let round = 0; round < ROUNDS; round++) {
    const random = seeded((SEED + Math.imul(round, 0x9e3779b1)) >>> 0);
    const what = `WG_FUZZ_SEED=${SEED}, round ${round}`;
    tunA.written.length = tunB.written.length = 0;
    if (random.chance(0.5)) tunA.change({ up: true, mtu: hostileMtu(random), name: 'a' });
    for (let count = random.below(6); count >= 0; count--) {
      const range = count === 0 ? OVERSIZED : hostileRange(random);
      if (range.length < VNET_HEADER_SIZE) continue;
      put++;
      tunA.put(range.subarray(VNET_HEADER_SIZE), range.slice(0, VNET_HEADER_SIZE));
    }
    const datagrams = attack(random, attacker, makeEndpoint(addressA!, 1), heard);
    hostile += datagrams;
    const before = { messages: a.seen.messages, out: undelivered(b) + tunB.written.length };
    await until(
      what,
      () => a.expected.read + a.sum('tun.malformed') >= put && a.sum(...DROPS) - dropsBefore >= hostile,
    );
    await until(what, () => undelivered(b) + tunB.written.length - before.out >= a.seen.messages - before.messages);
    mustBeCounted(a, what);
    expect([what, a.expected.read + a.sum('tun.malformed'), a.sum(...DROPS) - dropsBefore]).toEqual([
      what,
      put,
      hostile,
    ]);
    expect([what, undelivered(b) + tunB.written.length - before.out]).toEqual([
      what,
      a.seen.messages - before.messages,
    ]);
    await ping(round);
  }
  expect(process.memoryUsage.rss() - memory).toBeLessThan(MOST_MEMORY);
  const { expected, seen } = a;
  console.log(
    `fuzz ${name}, memory, IPv${family}: ${ROUNDS} rounds from WG_FUZZ_SEED=${SEED}: ${JSON.stringify({ ...expected, hostile })}`,
  );
  expect(Math.min(expected.messages, expected.malformedOutbound, expected.oversized, seen.messages)).toBeGreaterThan(0);
}

/** Counts the datagrams that reached a device without delivering a packet to its TUN. */
function undelivered(device: WatchedDevice): number {
  return device.sum('malformedPacket', 'sourceNotAllowed', 'udp.overflowed', 'tunDropped', ...DROPS);
}

function attack(random: Random, from: MemoryUdp, to: Uint8Array, heard: readonly Uint8Array[]): number {
  const datagrams = Array.from({ length: random.below(6) }, () => hostileDatagram(random, heard));
  from.send(batchOf(datagrams.map(bytes => ({ to, bytes }))));
  return datagrams.length;
}

let made = 0;

async function inKernel(name: 'native' | 'pure', family: Family, threads = 1): Promise<void> {
  // slow enough that no session is renewed: under emulation a round takes minutes, and the drops
  // of late handshakes would count as hostile
  const clock: Clock = { now: () => performance.now() / 1000, wall: () => BigInt(Date.now()) * 1_000_000n };
  const device = `fuzz${made++}`;
  const [backendA, backendB] = [makeBackend(name, ALL), makeBackend(name, ALL)];
  const tunB = new MemoryTun({ up: true, mtu: 1420, name: 'b' });
  const tunA = backendA.openTun(device, undefined, 1420);
  const ip = (...args: string[]) => execFileSync('ip', args);
  ip('link', 'set', 'lo', 'up');
  ip('addr', 'add', '10.0.0.1/24', 'dev', device);
  ip('link', 'set', device, 'up');
  const a = watched(backendA, tunA, backendA.openUdp, clock, family, threads);
  const b = watched(backendB, tunB, backendB.openUdp, clock, family);
  b.meet(0, a);
  const port = b.loop.status().listenPort!;
  a.meet(0, b, makeEndpoint(parseAddress(LOOPBACK[family])!, port));
  const own = makeEndpoint(parseAddress(LOOPBACK[family])!, a.loop.status().listenPort!);
  const host = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  const attacker = openNativeUdp(nativeBinding(), 0, 0);
  try {
    host.bind(PORT, '10.0.0.1');
    await once(host, 'listening');
    const answers = new Set<string>();
    host.on('message', bytes => answers.add(bytes.toString())).on('error', () => {});
    const ping = async (text: string) => {
      const again = (way: () => void, arrived: () => boolean) => {
        let next = 0;
        return until(text, () => {
          if (Date.now() >= next) {
            next = Date.now() + 500;
            way();
          }
          return arrived();
        });
      };
      await again(
        () => host.send(text, PORT, '10.0.0.2', () => {}),
        () => tunB.written.some(packet => udpPayload(packet, '10.0.0.2') === text),
      );
      await again(
        () => tunB.put(udpPacket('10.0.0.2', '10.0.0.1', PORT, text)),
        () => answers.has(text),
      );
    };
    await ping('hello');
    const memory = process.memoryUsage.rss();
    let [refused, hostile] = [0, a.sum(...DROPS)];
    for (let round = 0; round < REAL_ROUNDS; round++) {
      const random = seeded((SEED + Math.imul(round, 0x9e3779b1)) >>> 0);
      const what = `WG_FUZZ_SEED=${SEED}, round ${round}`;
      tunB.written.length = 0;
      const mtu = random.pick([65_535, 1420, 1280 + random.below(64_000), 68 + random.below(65_468)]);
      ip('link', 'set', device, 'mtu', String(mtu));
      await until('the MTU', () => a.tun.status()?.mtu === mtu);
      const frames = [OVERSIZED, ...Array.from({ length: FRAMES }, () => hostileRange(random))];
      refused += await sendFrames([], device, frames);
      // also in trains, which the kernel merges again (UDP_GRO)
      const trains = Array.from({ length: 50 }, () => {
        const bytes = hostileDatagram(random, []);
        const segment = random.chance(0.5) ? between(random, Math.ceil(bytes.length / 64), 1400) : 0;
        return { to: own, bytes, segment: segment < bytes.length ? segment : 0 };
      });
      const batch = batchOf(trains);
      expect(attacker.send(batch)).toBe(0);
      for (const { bytes, segment } of trains) hostile += segment > 0 ? Math.ceil(bytes.length / segment) : 1;
      await until(what, () => a.sum(...DROPS) >= hostile);
      expect([what, a.sum(...DROPS)]).toEqual([what, hostile]);
      await ping(what);
      mustBeCounted(a, what);
    }
    await sleep(50);
    mustBeCounted(a, 'at the end');
    const [link] = JSON.parse(execFileSync('ip', ['-s', '-j', 'link', 'show', device], { encoding: 'utf8' })) as {
      stats64: { tx: { packets: number } };
    }[];
    // every packet from the kernel was sent or counted
    expect(a.expected.read + a.sum('tun.malformed')).toBe(link!.stats64.tx.packets);
    expect(process.memoryUsage.rss() - memory).toBeLessThan(MOST_MEMORY);
    console.log(
      `fuzz ${name}, kernel, IPv${family}: ${REAL_ROUNDS} rounds of ${FRAMES} frames from WG_FUZZ_SEED=${SEED}: ${JSON.stringify({ ...a.expected, hostile, refused, errors: a.seen.refused })}`,
    );
    expect(Math.min(a.expected.messages, a.expected.oversized)).toBeGreaterThan(0);
    expect(a.lent > 0).toBe(threads > 1);
  } finally {
    host.close();
    attacker.close();
  }
}

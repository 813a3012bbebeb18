/**
 * Lanes of the addon with a real TUN and real sockets: order, errors, and what else the port
 * promises (src/io/lanes.ts). test/fuzz/twins-*.test.ts compare what they seal and open.
 */
import { execFileSync } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { createNativeCipher, type NativeCipher } from '../../src/io/native-cipher.ts';
import { NativeLanes } from '../../src/io/native-lanes.ts';
import { openTun } from '../../src/io/tun.ts';
import { type NativeUdp, openNativeUdp } from '../../src/io/udp.ts';
import { makeDatagramBatch, makePacketBatch, VNET_HEADER_SIZE, VNET_HEADROOM } from '../../src/packet/batch.ts';
import * as job from '../../src/protocol/transport-cipher.ts';
import { until } from '../netns/command.ts';
import { batchOf } from '../support/datagrams.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { HANG_MS } from '../support/patience.ts';
import { udpPacket } from '../support/udp-packet.ts';

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const binding = nativeBinding();
const opened: { close(): void }[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) each.close();
});

function kept<T extends { close(): void }>(each: T): T {
  opened.push(each);
  return each;
}

function made(threads = 8): { cipher: NativeCipher; lanes: NativeLanes } {
  const cipher = createNativeCipher(binding)!;
  return { cipher, lanes: kept(new NativeLanes(binding, cipher, threads)) };
}

/** Datagrams that are not sealed, each with a number, and no jobs. */
const numbered = (to: Uint8Array, from: number, count: number) =>
  batchOf(
    Array.from({ length: count }, (_, i) => ({ to, bytes: new Uint8Array(Uint32Array.of((from + i) << 8).buffer) })),
  );

async function receivedBy(udp: NativeUdp, count: number): Promise<number[]> {
  const numbers: number[] = [];
  const batch = makeDatagramBatch(16 * 65_536, 16);
  await until(
    'all datagrams',
    () => {
      udp.receive(batch);
      for (let i = 0; i < batch.count; i++) {
        const view = new DataView(batch.slab.buffer, batch.desc[i * 5]!, batch.desc[i * 5 + 1]!);
        for (let at = 0; at < view.byteLength; at += 4) numbers.push(view.getUint32(at, true) >>> 8);
      }
      return numbers.length >= count;
    },
    HANG_MS,
    1,
  );
  return numbers;
}

inOwnNamespace(import.meta.url, [], () => {
  test('what is lent leaves in its order, between calls that wait for it', async () => {
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    const { lanes } = made();
    const [from, to] = [kept(openNativeUdp(binding, 0, 0)), kept(openNativeUdp(binding, 0, 0))];
    const endpoint = makeEndpoint(LOOPBACK, to.port);
    // no number begins as a handshake does, for which there is another socket
    let sent = 1 << 16;
    for (let round = 0; round < 50; round++) {
      const next = () => {
        sent += 4;
        return numbered(endpoint, sent - 4, 4);
      };
      const batches = Array.from({ length: 5 }, next);
      for (const batch of batches) expect(lanes.seal(from, new Uint8Array(0), new Int32Array(0), 0, batch)).toBe(true);
      // sent at once, and so after what is lent
      expect(from.send(next())).toBe(0);
      expect(lanes.done()).toMatchObject({ sealed: 5, sendErrors: 0, refused: 0 });
      expect(await receivedBy(to, 24)).toEqual(Array.from({ length: 24 }, (_, i) => sent - 24 + i));
    }
  });

  test('a queue that is full takes no more until done() has counted', () => {
    const { lanes } = made(2);
    const udp = kept(openNativeUdp(binding, 0, 0));
    const lend = () => lanes.seal(udp, new Uint8Array(0), new Int32Array(0), 0, makeDatagramBatch(16, 1));
    const taken = Array.from({ length: 20 }, lend).filter(isTaken => isTaken).length;
    expect(taken).toBe(8);
    while (lanes.help());
    udp.counters();
    expect(lend()).toBe(false);
    expect(lanes.done().sealed).toBe(8);
    expect(lend()).toBe(true);
  });

  test('a refused datagram is counted, and the other queue of a closed device does no harm', () => {
    const { lanes } = made();
    const udp = kept(openNativeUdp(binding, 0, 0));
    udp.fail('any', 1, 1000);
    const batch = numbered(makeEndpoint(LOOPBACK, 9), 0, 3);
    lanes.seal(udp, new Uint8Array(0), new Int32Array(0), 0, batch);
    udp.close();
    expect(lanes.done()).toMatchObject({ sealed: 1, sendErrors: 3 });
    lanes.seal(udp, new Uint8Array(0), new Int32Array(0), 0, numbered(makeEndpoint(LOOPBACK, 9), 0, 2));
    lanes.next();
    expect(lanes.done()).toMatchObject({ sealed: 1, sendErrors: 2 });
  });

  test('a batch with a result that was not predicted is not sent at all', () => {
    const { cipher, lanes } = made();
    cipher.setKey(0, new Uint8Array(32).fill(1));
    const [from, to] = [kept(openNativeUdp(binding, 0, 0)), kept(openNativeUdp(binding, 0, 0))];
    const packet = Buffer.concat([new Uint8Array(VNET_HEADER_SIZE), udpPacket('10.0.0.1', '10.0.0.2', 7, 'text')]);
    const jobs = new Int32Array(2 * job.SEAL_STRIDE);
    for (const [i, key] of [0, 1].entries()) {
      const at = i * job.SEAL_STRIDE;
      jobs[at + job.SEAL_LENGTH] = packet.length;
      jobs[at + job.SEAL_KEY] = key; // the second slot is empty
      jobs[at + job.SEAL_COUNT] = 1;
      jobs[at + job.SEAL_OUT_OFFSET] = i * 128;
      jobs[at + job.SEAL_MTU] = 1420;
      jobs[at + job.SEAL_OUT_LENGTH] = jobs[at + job.SEAL_OUT_SEGMENT] = 64;
    }
    const output = numbered(makeEndpoint(LOOPBACK, to.port), 0, 2);
    lanes.seal(from, packet, jobs, 2, { ...output, slab: new Uint8Array(256) });
    lanes.next();
    expect(lanes.done()).toMatchObject({ sealed: 1, refused: 2, sendErrors: 0 });
    expect(to.receive(makeDatagramBatch(16 * 65_536, 16))).toBe(0);
  });

  test('keys are erased while lanes use them, and lanes see the new ones', () => {
    const { cipher, lanes } = made();
    const slab = new Uint8Array(1 << 20);
    const count = 700;
    for (let round = 0; round < 20; round++) {
      cipher.setKey(5, new Uint8Array(32).fill(round));
      const jobs = new Int32Array(count * job.OPEN_STRIDE);
      for (let i = 0; i < count; i++) jobs.set([i * 1456, 1456, 5, i, 0], i * job.OPEN_STRIDE);
      lanes.open(slab, jobs, count);
      cipher.eraseKey(5);
      const other = jobs.slice(0, job.OPEN_STRIDE);
      cipher.open(slab, other, 1);
      expect(other[job.OPEN_RESULT]).toBe(-1);
      lanes.next();
      expect(lanes.done().opened).toBe(1);
    }
  });

  test('a TUN gets its packets in order, and takes only its own kind of handle', async () => {
    const { lanes } = made();
    const tun = kept(openTun({ binding, name: 'lanes%d', mtu: 1420 }));
    execFileSync('ip', ['link', 'set', tun.status()!.name, 'up']);
    const batch = makePacketBatch(4096, 4);
    const packet = udpPacket('10.0.0.1', '10.0.0.2', 7, 'text');
    batch.slab.set(packet, VNET_HEADROOM);
    batch.desc.set([VNET_HEADROOM, packet.length]);
    batch.count = 1;
    expect(lanes.write(tun, batch)).toBe(true);
    const before = tun.counters();
    expect(lanes.done()).toMatchObject({ written: 1, dropped: 0, gone: false });
    tun.close();
    expect(lanes.write(tun, batch)).toBe(true);
    lanes.next();
    expect(lanes.done()).toMatchObject({ written: 1, gone: true });
    expect(before['refused']).toBe(0);
    expect(() => binding.lanesWrite({} as never, tun.handle, batch.slab, batch.desc, 1)).toThrow(TypeError);
    const udp = kept(openNativeUdp(binding, 0, 0));
    expect(() => lanes.write(udp as never, batch)).toThrow('lanes write to a TUN of the addon only');
    expect(() => lanes.seal(tun as never, batch.slab, batch.desc, 0, makeDatagramBatch(1, 1))).toThrow(TypeError);
  });

  test('a watch calls back once the batch is opened, and only then', async () => {
    const { lanes } = made(3);
    let calls = 0;
    lanes.onOpened(() => calls++);
    expect(lanes.watch()).toBe(false);
    for (let round = 0; round < 30; round++) {
      lanes.open(new Uint8Array(1 << 20), new Int32Array(600 * job.OPEN_STRIDE), 600);
      const before = calls;
      if (lanes.watch()) await until('the call', () => calls > before, HANG_MS, 1);
      expect([round, lanes.done().opened]).toEqual([round, 1]);
    }
  });

  test('closed lanes take nothing, and closing finishes what is lent', () => {
    const { lanes } = made();
    const jobs = new Int32Array(600 * job.OPEN_STRIDE).fill(7);
    lanes.open(new Uint8Array(1 << 20), jobs, 600);
    lanes.close();
    lanes.close();
    expect(lanes.done().opened).toBe(1);
    expect(jobs[job.OPEN_RESULT]).toBe(-1);
    expect(lanes.open(new Uint8Array(1), jobs, 0)).toBe(false);
    expect(lanes.help()).toBe(false);
  });

  test('a cipher has lanes once', () => {
    const { cipher } = made();
    expect(() => new NativeLanes(binding, cipher, 2)).toThrow('lanesOpen: File exists');
  });
});

/**
 * Every adapter of the Udp port with a second queue: only handshakes wait in it, and neither queue
 * displaces the other.
 *
 * @module-tag slow
 */
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { MemoryNetwork } from '../../src/io/memory/udp.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import type { Udp } from '../../src/io/ports.ts';
import { openNativeUdp, UDP_OFFLOADS } from '../../src/io/udp.ts';
import { openDgramUdp } from '../../src/io/udp-dgram.ts';
import { makeDatagramBatch } from '../../src/packet/batch.ts';
import { testWith } from '../netns/needs.ts';
import { batchOf, type Got, receive, unpack } from '../support/datagrams.ts';
import { HANG_MS } from '../support/patience.ts';

const network = new MemoryNetwork();
const native = (offloads: number) => (port: number) => openNativeUdp(nativeBinding(), port, 0, offloads);
const ADAPTERS: readonly (readonly [string, (port: number) => Udp])[] = [
  ['native', native(UDP_OFFLOADS.gso | UDP_OFFLOADS.gro | UDP_OFFLOADS.steer)],
  ['native, steering alone', native(UDP_OFFLOADS.steer)],
  ['dgram', port => openDgramUdp(port, 0)],
  ['memory', port => network.open([parseAddress('127.0.0.1')!, parseAddress('::1')!], port)],
];

const opened: Udp[] = [];
afterEach(() => {
  for (const udp of opened.splice(0)) udp.close();
});

/** Makes a datagram of `size` bytes that begins with a message type. */
function message(type: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size).fill(0x55);
  bytes.set([type, 0, 0, 0]);
  return bytes;
}

describe.each(ADAPTERS)('%s', (name, openAt) => {
  const open = (port = 0): Udp => {
    const udp = openAt(port);
    opened.push(udp);
    return udp;
  };

  test.each(['127.0.0.1', '[::1]'])('separates types 1 to 3 from everything else (%s)', async host => {
    const [a, b] = [open(), open()];
    const handshakes: Got[] = [];
    b.onHandshakes(() => handshakes.push(...takeHandshakes(b)));
    const to = `${host}:${b.port}`;
    const others = [
      message(4, 32),
      message(0, 148),
      message(5, 148),
      Uint8Array.of(1, 0, 0),
      Uint8Array.of(1, 0, 0, 1, 9),
    ];
    const mine = [message(1, 148), message(2, 92), message(3, 64), message(1, 4), message(2, 1500)];
    a.send(batchOf([...others, ...mine].map(bytes => ({ to, bytes }))));
    const data = await receive(b, others.length);
    await until(() => handshakes.length === mine.length);
    expect(data.map(text)).toEqual(others.map(asText));
    expect(handshakes.map(text)).toEqual(mine.map(asText));
    expect(handshakes[0]!.from).toBe(`${host}:${a.port}`);
  });

  // node:dgram has one socket and no control over the kernel's queue.
  if (name !== 'dgram')
    test.each(['127.0.0.1', '[::1]'])('a flood of handshakes displaces no unread data (%s)', async host => {
      const [a, b] = [open(), open()];
      b.onHandshakes(() => {}); // never reads
      const to = `${host}:${b.port}`;
      const items = (bytes: Uint8Array, count: number) => batchOf(Array.from({ length: count }, () => ({ to, bytes })));
      a.send(items(message(4, 100), 50));
      // More than any buffer holds.
      for (let i = 0; i < 400; i++) {
        a.send(items(message(1, 148), 100));
        await sleep(0);
      }
      a.send(items(message(4, 101), 50));
      const data = await receive(b, 100);
      expect(data.map(({ text: { length } }) => length)).toEqual([
        ...new Array(50).fill(100),
        ...new Array(50).fill(101),
      ]);
    });

  test('a port in use stays in use', () => {
    const a = open();
    expect(() => open(a.port)).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
    if (name !== 'memory')
      expect(() => openDgramUdp(a.port, 0)).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
  });

  test('calls nothing after close', async () => {
    const [a, b] = [open(), open()];
    let calls = 0;
    b.onHandshakes(() => calls++);
    a.send(batchOf([{ to: `127.0.0.1:${b.port}`, bytes: message(1, 148) }]));
    b.close();
    await sleep(30);
    expect(calls).toBe(0);
    expect(b.receiveHandshakes(makeDatagramBatch(65_536, 1))).toBe(0);
  });
});

// The kernel delivers broadcast and multicast to every socket of the port, bypassing the steering
// program (IPv6: test/netns/hostile.test.ts).
test.each(['127.255.255.255', '224.0.0.1'])('to %s: each message arrives at one of the two sockets', async address => {
  const udp = native(7)(0);
  opened.push(udp);
  const handshakes: Got[] = [];
  udp.onHandshakes(() => handshakes.push(...takeHandshakes(udp)));
  const mine = [message(1, 148), message(2, 92), message(3, 64)];
  const others = [message(4, 32), Uint8Array.of(7), message(4, 128)];
  const sender = createSocket('udp4');
  await new Promise<void>(resolve => sender.bind(0, resolve));
  sender.setBroadcast(true);
  sender.setMulticastInterface('127.0.0.1');
  for (const bytes of [...mine, ...others])
    await new Promise(resolve => sender.send(bytes, udp.port, address, resolve));
  sender.close();
  const data = await receive(udp, others.length);
  await until(() => handshakes.length >= mine.length);
  // A second copy would have arrived by now.
  const more = makeDatagramBatch(16 * 65_536, 16);
  udp.receive(more);
  expect([...data, ...unpack(more)].map(text)).toEqual(others.map(asText));
  expect(handshakes.map(text)).toEqual(mine.map(asText));
});

test('node:dgram: delivers a burst as a whole, so that the engine recognizes it', async () => {
  const [a, b] = [native(0)(0), openDgramUdp(0, 0)];
  opened.push(a, b);
  const calls: number[] = [];
  b.onHandshakes(() => calls.push(takeHandshakes(b).length));
  const items = Array.from({ length: 300 }, () => ({ to: `127.0.0.1:${b.port}`, bytes: message(1, 148) }));
  a.send(batchOf(items));
  await until(() => calls.reduce((sum, count) => sum + count, 0) === items.length);
  expect(calls).toEqual([items.length]);
  // A few are delivered at once, also right after a burst.
  a.send(batchOf(items.slice(0, 3)));
  await until(() => calls.length === 2);
  expect(calls[1]).toBe(3);
});

test('node:dgram: delivers handshakes even while they arrive without end', async () => {
  const [a, b] = [native(0)(0), openDgramUdp(0, 0)];
  opened.push(a, b);
  const calls: number[] = [];
  b.onHandshakes(() => calls.push(takeHandshakes(b).length));
  const items = Array.from({ length: 33 }, () => ({ to: `127.0.0.1:${b.port}`, bytes: message(1, 148) }));
  // In every turn of the loop as many as it reads.
  for (let turn = 0; turn < 100 && calls.length < 2; turn++) {
    a.send(batchOf(items));
    await new Promise(resolve => setImmediate(resolve));
  }
  expect(calls.length).toBe(2);
});

test('without steering everything arrives in one queue', async () => {
  const [a, b] = [native(0)(0), native(0)(0)];
  opened.push(a, b);
  a.send(batchOf([message(1, 148), message(4, 32)].map(bytes => ({ to: `127.0.0.1:${b.port}`, bytes }))));
  expect((await receive(b, 2)).map(({ text: { length } }) => length)).toEqual([148, 32]);
});

testWith(['root'], 'the native sockets keep the mark and the local address of both queues', async () => {
  const udp = openNativeUdp(nativeBinding(), 0, 7);
  opened.push(udp);
  expect(udp.offloads).toContain('steer');
  expect(() => udp.setMark(8)).not.toThrow();
});

function takeHandshakes(udp: Udp): Got[] {
  const batch = makeDatagramBatch(16 * 65_536, 16);
  const got: Got[] = [];
  while (udp.receiveHandshakes(batch) > 0) got.push(...unpack(batch));
  return got;
}

const text = (got: Got): string => got.text;
const asText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

async function until(done: () => boolean): Promise<void> {
  for (const end = Date.now() + HANG_MS; !done() && Date.now() < end; ) await sleep(1);
  expect(done()).toBe(true);
}

/**
 * What runs between the callbacks of polled descriptors, also while the thread waits awake: ticks,
 * promises, timers, immediates and other sockets.
 */
import { execFile } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addonPath } from '../../src/io/addon-file.ts';
import { nativeBinding, type PollHandle, type UdpHandle } from '../../src/io/native-binding.ts';
import { WAKE_DONE, WAKE_LONE } from '../../src/io/ports.ts';

const PROGRAM = fileURLToPath(new URL('spin-end.mjs', import.meta.url));
const native = nativeBinding();
const slab = new Uint8Array(1 << 17);
const desc = new Int32Array(64);
const endpoints = new Uint8Array(256);
let udp: UdpHandle;
let poll: PollHandle | undefined;
let sender: Socket;

beforeEach(async () => {
  udp = native.udpOpen(0, 0, 0);
  sender = createSocket('udp4').bind(0, '127.0.0.1');
  await once(sender, 'listening');
});

afterEach(() => {
  native.spinLimit(0);
  if (poll) native.pollStop(poll);
  poll = undefined;
  native.udpClose(udp);
  sender.close();
});

function send(): void {
  sender.send('x', native.udpInfo(udp).port, '127.0.0.1');
}

/** Polls; each callback takes one datagram before it calls back. */
function onDatagram(callback: () => unknown): void {
  poll = native.pollStart(native.udpInfo(udp).fd4, () => {
    native.udpReceive(udp, 1, 1, slab, desc, endpoints);
    return callback();
  });
}

/** Sends two datagrams, and records when their callbacks and what they left run. */
async function order(returns: unknown, stops = false): Promise<string[]> {
  const seen: string[] = [];
  let done = false;
  onDatagram(() => {
    const number = seen.filter(entry => entry.startsWith('call')).length;
    seen.push(`call ${number}`);
    void Promise.resolve().then(() => seen.push(`promise ${number}`));
    process.nextTick(() => seen.push(`tick ${number}`));
    if (stops) native.pollStop(poll!);
    if (stops || number === 1) done = true;
    return returns;
  });
  send();
  send();
  await expect.poll(() => done).toBe(true);
  await sleep(20);
  return seen;
}

describe('ticks and promises run', () => {
  test.each([undefined, true, 0, 3, 'text'])('after each callback that returns %o', async returns => {
    const seen = await order(returns);
    expect(seen).toEqual(['call 0', 'tick 0', 'promise 0', 'call 1', 'tick 1', 'promise 1']);
  });

  test.each([WAKE_DONE, WAKE_LONE])('only later after %o', async returns => {
    const seen = await order(returns);
    expect([...seen].sort()).toEqual(['call 0', 'call 1', 'promise 0', 'promise 1', 'tick 0', 'tick 1']);
    expect(seen[0]).toBe('call 0');
  });

  test('after a callback that ends its polling', async () => {
    expect(await order(undefined, true)).toEqual(['call 0', 'tick 0', 'promise 0']);
  });
});

test('an exception of a callback reaches the process, and polling goes on', async () => {
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  const caught: unknown[] = [];
  process.on('uncaughtException', error => caught.push(error));
  try {
    let calls = 0;
    onDatagram(() => {
      if (calls++ === 0) throw new Error('on purpose');
      return WAKE_LONE;
    });
    send();
    send();
    await expect.poll(() => calls).toBe(2);
    expect(caught).toEqual([expect.objectContaining({ message: 'on purpose' })]);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
  }
});

describe('while lone packets keep the thread awake', () => {
  let arrived = 0;

  beforeEach(() => {
    native.spinLimit(200);
    arrived = 0;
    // each packet asks for the next one, for ever
    onDatagram(() => {
      arrived++;
      setImmediate(send);
      return WAKE_LONE;
    });
    send();
  });

  test('timers, immediates and other sockets get their turns', async () => {
    let immediates = 0;
    const count = () => {
      immediates++;
      setImmediate(count);
    };
    setImmediate(count);
    const other = createSocket('udp4').bind(0, '127.0.0.1');
    await once(other, 'listening');
    let heard = 0;
    other.on('message', () => {
      heard++;
      sender.send('y', other.address().port, '127.0.0.1');
    });
    sender.send('y', other.address().port, '127.0.0.1');
    let timers = 0;
    const timer = setInterval(() => timers++, 5);
    await sleep(250);
    clearInterval(timer);
    other.close();
    expect(arrived).toBeGreaterThan(20);
    expect(immediates).toBeGreaterThan(20);
    expect(heard).toBeGreaterThan(20);
    expect(timers).toBeGreaterThan(10);
  });
});

test('a thread whose packets have ended sleeps', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, addonPath()]);
  // of 500; another process, because the test runner uses this thread as well
  expect(Number(stdout)).toBeLessThan(250);
});

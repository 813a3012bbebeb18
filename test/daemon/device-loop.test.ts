/**
 * How often the loop reads: a single packet after a silence costs no useless call, a busy tunnel is
 * read until it is empty.
 */
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import { DeviceLoop } from '../../src/daemon/device-loop.ts';
import type { Tun, Udp, Wake } from '../../src/io/ports.ts';
import { MAX_BATCH } from '../../src/packet/batch.ts';
import type { DeviceOptions } from '../../src/protocol/device.ts';
import { Engine } from '../../src/protocol/engine.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';

interface Batch {
  readonly desc: Int32Array;
  count: number;
}

/**
 * The result of one call: `count` datagrams that the kernel joined (UDP_GRO) from segments of that
 * size; 0: not joined.
 */
interface Train {
  readonly count: number;
  readonly length: number;
  readonly segment: number;
}

let loop: DeviceLoop | undefined;
afterEach(() => loop?.close());

function engineOptions(): DeviceOptions {
  const random = (bytes: Uint8Array) => void randomFillSync(bytes);
  return { crypto: opensslCrypto, cipher: new TwinCipher(opensslPacketAead), random, wall: () => 0n };
}

/** Makes a device whose ports return these lengths, one list per call, and nothing at the end. */
function device(
  udpHas: readonly (readonly number[])[],
  tunHas: readonly (readonly number[])[],
  handshakesHave: readonly Train[] = [],
) {
  const calls: string[] = [];
  const wake: Record<'tun' | 'udp' | 'handshakes', Wake> = { tun: () => {}, udp: () => {}, handshakes: () => {} };
  const trains = [...handshakesHave];
  const queues = { udp: [...udpHas], tun: [...tunHas] };
  const take = (name: 'udp' | 'tun', stride: number) => (batch: Batch, most?: number) => {
    calls.push(`${name} ${most === MAX_BATCH ? 'all' : most}`);
    const lengths = queues[name].shift() ?? [];
    for (const [i, length] of lengths.entries()) batch.desc.set([0, length], i * stride);
    batch.count = lengths.length;
    return lengths.length;
  };
  const none = () => ({});
  const status = { up: true, changed: () => {} };
  const common = { offloads: [], counters: none, close: () => {} };
  const tun: Tun = {
    ...common,
    read: take('tun', 2),
    write: () => 0,
    status: () => ({ up: status.up, mtu: 1420, name: 'test' }),
    onReadable: callback => {
      wake.tun = callback;
    },
    onStatus: callback => {
      status.changed = callback;
    },
  };
  const udp: Udp = {
    ...common,
    port: 51820,
    receive: take('udp', 5),
    receiveHandshakes: batch => {
      const { count, length, segment } = trains.shift() ?? { count: 0, length: 0, segment: 0 };
      if (count > 0) calls.push('handshakes');
      for (let i = 0; i < count; i++) batch.desc.set([0, length, segment], i * 5);
      batch.count = count;
      return count;
    },
    onHandshakes: callback => {
      wake.handshakes = callback;
    },
    send: () => 0,
    setMark: () => {},
    onReadable: callback => {
      wake.udp = callback;
    },
    onRoutesChanged: () => {},
  };
  const wall = () => 0n;
  loop = new DeviceLoop({
    engine: new Engine(engineOptions()),
    tun,
    openUdp: () => udp,
    clock: { now: () => 1000, wall },
    log: { verbose: () => {}, error: () => {} },
    onGone: () => {},
  });
  loop.start();
  return { calls, wake, tun, udp, status };
}

test('a datagram after a silence: reads it and the single answer of the host', () => {
  const { calls, wake } = device([[96]], [[94]]);
  wake.udp(5);
  expect(calls).toEqual(['udp 1', 'tun 1']);
});

test('a packet of the host after a silence: does not read the sockets', () => {
  const { calls, wake } = device([], [[94]]);
  wake.tun(5);
  expect(calls).toEqual(['tun 1']);
});

test('woken again before the event loop has waited a millisecond: reads both until they are empty', () => {
  const { calls, wake } = device([[96], [96, 96], [96]], [[94], [94], [94, 94]]);
  wake.udp(5);
  wake.udp(5.5);
  expect(calls.splice(0, 2)).toEqual(['udp 1', 'tun 1']);
  expect(calls).toEqual(['udp all', 'tun all', 'udp all', 'tun all', 'udp all', 'tun all']);
  calls.length = 0;
  wake.udp(10);
  expect(calls).toEqual(['udp 1', 'tun 1']);
});

test("time that the loop did not wait, such as our own work or another device's, is not silence", () => {
  const { calls, wake } = device([[96], [96]], [[94], [94]]);
  wake.udp(5);
  calls.length = 0;
  wake.tun(5);
  expect(calls).toEqual(['tun all']);
});

test('an adapter that does not report the waiting time is read until it is empty', () => {
  const { calls, wake } = device([], []);
  wake.udp();
  expect(calls).toEqual(['udp all', 'tun all']);
});

test.each(['udp', 'tun'] as const)('a super-packet from %s after a silence is the first of many', from => {
  const { calls, wake } = device(from === 'udp' ? [[60_000]] : [], from === 'tun' ? [[60_000]] : []);
  wake[from](5);
  expect(calls).toEqual([...(from === 'udp' ? ['udp 1'] : []), 'tun 1', 'udp all', 'tun all']);
});

test('under a flood the event loop gets its turn after eight rounds', () => {
  const flood = Array.from({ length: 100 }, () => [1400, 1400]);
  const { calls, wake } = device(flood, flood);
  wake.udp();
  expect(calls.length).toBe(16);
});

test('under a flood of handshakes the event loop gets its turn after 128 messages', () => {
  const flood = Array.from({ length: 100 }, () => ({ count: 16, length: 148, segment: 0 }));
  const { calls, wake } = device([], [], flood);
  wake.handshakes();
  expect(calls.length).toBe(8);
});

test.each([
  [16, 64 * 148, 148, 1],
  [1, 64 * 64, 64, 2],
  [2, 20 * 92 - 5, 92, 4],
])(
  'handshakes that the kernel joined count one by one: %i of %i bytes in segments of %i',
  (count, length, segment, turns) => {
    const flood = Array.from({ length: 100 }, () => ({ count, length, segment }));
    const { calls, wake } = device([], [], flood);
    wake.handshakes();
    expect(calls.length).toBe(turns);
  },
);

/** A device whose TUN can move to another process. */
function movable() {
  const made = device([], []);
  const starts: string[] = [];
  Object.assign(made.tun, {
    given: () => ({ descriptor: 50, kept: new Int32Array(1) }),
    pause: () => starts.push('pause'),
    onReadable: () => starts.push('read'),
  });
  Object.assign(made.udp, { given: () => [], pause: () => {} });
  return { ...made, starts };
}

const isBusy = expect.objectContaining({ code: 'EBUSY' });

test('between freeze() and thaw(), settings are neither changed nor shown, and the link is not followed', () => {
  const { starts, status } = movable();
  loop!.freeze();
  expect(() => loop!.configure({ fwmark: 7 })).toThrow(isBusy);
  expect(() => loop!.status()).toThrow(isBusy);
  status.up = false;
  status.changed();
  loop!.thaw();
  expect(starts).toEqual(['pause', 'read']);
  loop!.configure({ fwmark: 7 });
  expect(loop!.status().fwmark).toBe(7);
});

test('thaw() goes on after a freeze() that failed', () => {
  const { starts, tun } = movable();
  Object.assign(tun, { given: () => assert.fail('no descriptor') });
  expect(() => loop!.freeze()).toThrow('no descriptor');
  loop!.thaw();
  expect(starts).toEqual(['pause', 'read']);
  loop!.configure({ fwmark: 7 });
});

test('a loop that has closed does not begin again', () => {
  const { starts } = movable();
  loop!.close();
  loop!.thaw();
  const engine = new Engine(engineOptions());
  loop!.restart(engine, { privateKey: new Uint8Array(32).fill(1) });
  expect(starts).toEqual([]);
  const status = engine.status();
  expect(status.privateKey).toBeUndefined();
});

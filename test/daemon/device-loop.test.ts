/**
 * How often the loop reads: a single packet after a silence costs no useless call, a busy tunnel is
 * read until it is empty.
 */
import assert from 'node:assert/strict';
import { afterEach, expect, test } from 'vitest';
import type { DeviceLoop } from '../../src/daemon/device-loop.ts';
import { Engine } from '../../src/protocol/engine.ts';
import { engineOptions, scriptedDevice } from '../support/scripted-device.ts';

let loop: DeviceLoop | undefined;
afterEach(() => loop?.close());

function device(...lists: Parameters<typeof scriptedDevice>) {
  const made = scriptedDevice(...lists);
  loop = made.loop;
  return made;
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

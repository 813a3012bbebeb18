/**
 * What a device expects after lone packets: when it reads one packet only, when it looks for an
 * answer of the host, and what it says to the adapter.
 */
import { afterEach, expect, test, vi } from 'vitest';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { makePrefix } from '../../src/base/prefix.ts';
import type { DeviceLoop } from '../../src/daemon/device-loop.ts';
import { WAKE_DONE, WAKE_LONE } from '../../src/io/ports.ts';
import { Engine } from '../../src/protocol/engine.ts';
import { engineOptions, scriptedDevice } from '../support/scripted-device.ts';

let loop: DeviceLoop | undefined;
afterEach(() => loop?.close());

function device(...lists: Parameters<typeof scriptedDevice>) {
  const made = scriptedDevice(...lists);
  loop = made.loop;
  return made;
}

test('after four lone packets the next one is expected alone too, however short the silence', () => {
  const { calls, wake } = device([], [[94], [94], [94], [94], [94], [94, 94], [94]]);
  for (const waited of [5, 10, 15, 20, 20.1]) wake.tun(waited);
  expect(calls.splice(0)).toEqual(['tun 1', 'tun 1', 'tun 1', 'tun 1', 'tun 1']);
  // the loop has not waited: there is more
  wake.tun(20.1);
  expect(calls.splice(0)).toEqual(['tun all', 'udp all', 'tun all']);
  wake.tun(20.2);
  expect(calls).toEqual(['tun all']);
});

/** An engine for which each datagram holds a packet of a session. */
function openEngine(): Engine {
  const engine = new Engine(engineOptions());
  vi.spyOn(engine, 'receive').mockImplementation(({ count }) => {
    engine.deliveries.count = count;
    return count;
  });
  return engine;
}

test('what others send after lone packets foretells nothing: a flood is read until it is empty', () => {
  const { calls, wake } = device(
    Array.from({ length: 9 }, () => [148]),
    [[94], [94], [94], [94]],
  );
  for (const waited of [5, 10, 15, 20]) wake.tun(waited);
  calls.length = 0;
  for (const waited of [20.1, 20.2, 20.3]) expect(wake.udp(waited)).toBe(WAKE_DONE);
  expect(calls).toEqual(['udp 1', 'tun 1', 'udp all', 'tun all', 'udp all', 'tun all']);
});

/** Wakes the device for lone datagrams. @returns what it read for the last one */
function lastOf(datagrams: number, tunHas: readonly (readonly number[])[]) {
  const made = device(
    Array.from({ length: datagrams + 1 }, () => [96]),
    tunHas,
    [],
    openEngine(),
  );
  for (let i = 1; i <= datagrams; i++) {
    made.calls.length = 0;
    made.wake.udp(5 * i);
  }
  return made;
}

test('answers that do not come at once are not looked for, until one does again', () => {
  const none: number[] = [];
  expect(lastOf(2, []).calls).toEqual(['udp 1', 'tun 1']);
  expect(lastOf(3, []).calls).toEqual(['udp 1']);
  const { calls, wake } = lastOf(3, [none, none, [94], [94]]);
  // it came without a wait of the loop, so a look would have found it
  wake.tun(15);
  wake.udp(20);
  expect(calls).toEqual(['udp 1', 'tun all', 'udp 1', 'tun 1']);
});

test('answers that come later change nothing', () => {
  const { calls, wake } = lastOf(3, [[], [], [94], [94]]);
  wake.tun(20);
  wake.udp(25);
  expect(calls).toEqual(['udp 1', 'tun 1', 'udp 1']);
});

test('a wake-up says that it was for a lone packet, for several, or that its owner was called', () => {
  const { wake, tun, udp } = device([[], [96], [96, 96]], [[], [94]]);
  // the first one after the log said that the interface is up
  expect(wake.udp(3)).toBe(0);
  expect([wake.tun(4), wake.udp(5), wake.udp(5)]).toEqual([WAKE_LONE, WAKE_DONE, WAKE_DONE]);
  // what a log does may have to run after the wake-up, such as a promise
  const packet = Uint8Array.of(0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2);
  const endpoint = makeEndpoint(Uint8Array.of(192, 0, 2, 3), 1);
  const allowedIps = [{ prefix: makePrefix(new Uint8Array(4), 0) }];
  loop!.configure({ privateKey: new Uint8Array(32).fill(1) });
  loop!.configure({ peers: [{ publicKey: new Uint8Array(32).fill(9), endpoint, allowedIps }] });
  tun.read = batch => {
    batch.slab.fill(0, 0, 10);
    batch.slab.set(packet, 10);
    batch.desc.set([0, 30]);
    batch.count = 1;
    return 1;
  };
  expect(wake.tun(20)).toBe(0);
  expect(wake.tun(30)).toBe(WAKE_LONE);
  tun.read = () => -1;
  expect([wake.tun(40), wake.tun(50), udp.port]).toEqual([0, 0, 51820]);
});

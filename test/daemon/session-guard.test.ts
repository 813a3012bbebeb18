/**
 * A machine that slept, or may be a copy, uses no key from before (issue: sleep and snapshots).
 * Each test removes one reason to be woken, so that each call of the guard has a test of its own.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SessionGuard } from '../../src/daemon/session-guard.ts';
import {
  MESSAGE_INITIATION as INITIATION,
  MESSAGE_RESPONSE as RESPONSE,
  MESSAGE_TRANSPORT as TRANSPORT,
} from '../../src/packet/message-type.ts';
import type { Engine } from '../../src/protocol/engine.ts';
import { MemoryPair } from '../support/memory-pair.ts';

let pair: MemoryPair;
beforeEach(() => {
  pair = new MemoryPair();
  expect(pair.carry(pair.a, pair.b)).toBe(true);
  pair.now += 10_000;
  expect(pair.carry(pair.b, pair.a)).toBe(true);
  pair.taken('a');
  pair.taken('b');
});
afterEach(() => pair.close());

/** A sleeps; boot time goes on, and the sessions would not be too old. */
function sleep(milliseconds = 60_000): void {
  pair.now += milliseconds;
  pair.a.suspended += milliseconds;
}

describe('a device whose machine slept', () => {
  test('seals nothing with its old keys: the first packet waits for a handshake', () => {
    sleep();
    expect(pair.carry(pair.a, pair.b)).toBe(true);
    expect(pair.taken('a')).toEqual([INITIATION, TRANSPORT]);
    expect(pair.a.counters).toMatchObject({ 'forgotten.slept': 1, sessions: 2 });
    expect(pair.a.logged).toContain('the machine slept for 60 s: all sessions were erased');
  });

  test('opens nothing with its old keys', () => {
    sleep();
    expect(pair.carry(pair.b, pair.a)).toBe(false);
    expect(pair.a.counters).toMatchObject({ unknownReceiver: 1, 'forgotten.slept': 1 });
  });

  test('asks peers of a live session for a new one, so that they are heard again', () => {
    sleep();
    pair.a.disturb();
    // the handshakes of many peers are spread over a third of a second
    pair.now += 400;
    pair.a.disturb();
    pair.run();
    expect(pair.taken('a')).toEqual([INITIATION, TRANSPORT]);
    expect(pair.carry(pair.b, pair.a)).toBe(true);
    expect(pair.taken('b')).toEqual([RESPONSE, TRANSPORT]);
  });

  test('stays silent toward peers whose session would have been too old', () => {
    // B's packet is answered by a keepalive, and then nothing is due
    pair.now += 10_001;
    pair.a.disturb();
    pair.run();
    expect(pair.taken('a')).toEqual([TRANSPORT]);
    sleep(600_000);
    pair.a.disturb();
    pair.now += 400;
    pair.a.disturb();
    pair.run();
    expect(pair.taken('a')).toEqual([]);
    expect(pair.a.counters['forgotten.slept']).toBe(1);
  });

  test('erases its keys at the resume, without a packet', () => {
    sleep();
    pair.a.disturb();
    expect(pair.a.counters['forgotten.slept']).toBe(1);
  });

  test('does so before a configuration and before the interface comes up', () => {
    sleep();
    pair.a.loop.configure({});
    expect(pair.a.counters['forgotten.slept']).toBe(1);
    pair.a.tun.change({ up: false, mtu: 1420, name: 'test' });
    sleep();
    pair.a.tun.change({ up: true, mtu: 1420, name: 'test' });
    expect(pair.a.counters['forgotten.slept']).toBe(2);
  });

  test('does it once per sleep', () => {
    sleep();
    for (let i = 0; i < 5; i++) expect(pair.carry(pair.a, pair.b)).toBe(true);
    sleep();
    for (let i = 0; i < 5; i++) expect(pair.carry(pair.a, pair.b)).toBe(true);
    expect(pair.a.counters).toMatchObject({ 'forgotten.slept': 2, sessions: 3 });
  });

  test('a suspend between two batches of one wake-up is noticed before the second', () => {
    // the first read comes back when the machine sleeps; the loop then reads again
    const { a } = pair;
    const read = a.tun.read.bind(a.tun);
    let reads = 0;
    a.tun.read = batch => {
      const count = read(batch, 1);
      if (count > 0 && ++reads === 2) sleep();
      return count;
    };
    for (let i = 0; i < 6; i++)
      a.tun.put(Uint8Array.of(0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2));
    pair.run();
    expect(a.counters['forgotten.slept']).toBe(1);
    expect(pair.taken('a')).toContain(INITIATION);
  });

  test('a device that is closed is not woken', () => {
    const { a } = pair;
    a.loop.close();
    sleep();
    a.disturb();
    expect(a.counters['forgotten.slept']).toBe(0);
  });
});

describe('what is not sleep', () => {
  test('jitter between the clocks', () => {
    for (let i = 0; i < 100; i++) {
      // an interrupted reading makes the difference smaller; rounding moves it by nanoseconds
      pair.a.suspended = i % 7 === 0 ? -3000 : Math.sin(i) * 1e-3;
      expect(pair.carry(pair.a, pair.b)).toBe(true);
    }
    expect(pair.a.counters).toMatchObject({ 'forgotten.slept': 0, sessions: 1 });
  });

  test('a constant difference, as in a time namespace', () => {
    // the clock counts from its making, so a constant difference is zero; a frozen process
    // (SIGSTOP, a frozen cgroup) finds both clocks moved alike
    pair.now += 50_000;
    expect(pair.carry(pair.a, pair.b)).toBe(true);
    expect(pair.a.counters['forgotten.slept']).toBe(0);
  });
});

describe('the wall clock', () => {
  test.each([3_600_000, -3_600_000, 2_001])('that was set by %i ms erases all sessions', by => {
    pair.a.stepped += by;
    // after a step back too: the timestamps of initiations never go back
    expect(pair.carry(pair.a, pair.b)).toBe(true);
    expect(pair.taken('a')[0]).toBe(INITIATION);
    expect(pair.a.counters['forgotten.clockSet']).toBe(1);
  });

  test.each([1_000, -1_000])('a leap second (%i ms) erases nothing', by => {
    pair.a.stepped += by;
    expect(pair.carry(pair.a, pair.b)).toBe(true);
    expect(pair.a.counters['forgotten.clockSet']).toBe(0);
  });

  test('that an attacker sets again and again costs four handshakes, and then one a minute', () => {
    for (let second = 1; second <= 599; second++) {
      pair.now += 1_000;
      pair.a.stepped += 10_000;
      pair.a.disturb();
    }
    expect(pair.a.counters['forgotten.clockSet']).toBe(4 + 9);
  });

  test('that was set just before a snapshot, and again by its restoration, erases twice', () => {
    // chrony's makestep at boot, and a second later the snapshot that is restored twice
    pair.a.stepped += 10_000;
    pair.carry(pair.a, pair.b);
    pair.now += 1_000;
    pair.a.stepped += 3_600_000;
    expect(pair.carry(pair.a, pair.b)).toBe(true);
    expect(pair.taken('a').at(-2)).toBe(INITIATION);
    expect(pair.a.counters['forgotten.clockSet']).toBe(2);
  });

  test('that was set while erasing had to wait is heeded afterwards', () => {
    for (let i = 0; i < 5; i++) {
      pair.a.stepped += 10_000;
      pair.now += 1_000;
      pair.carry(pair.a, pair.b);
    }
    expect(pair.a.counters['forgotten.clockSet']).toBe(4);
    pair.now += 61_000;
    pair.carry(pair.a, pair.b);
    expect(pair.a.counters['forgotten.clockSet']).toBe(5);
  });
});

describe('a device whose virtual machine was copied', () => {
  test('seals and opens nothing with its old keys', () => {
    pair.a.copies++;
    expect(pair.carry(pair.a, pair.b)).toBe(true);
    expect(pair.taken('a')).toEqual([INITIATION, TRANSPORT]);
    pair.now += 10_000;
    pair.a.copies++;
    expect(pair.carry(pair.b, pair.a)).toBe(false);
    expect(pair.a.counters).toMatchObject({ unknownReceiver: 1, 'forgotten.copied': 2 });
  });

  test('that is idle erases its keys at once, and is heard again', () => {
    pair.a.copies += 3;
    pair.a.disturb();
    pair.now += 400;
    pair.a.disturb();
    pair.run();
    expect(pair.taken('a')).toEqual([INITIATION, TRANSPORT]);
    expect(pair.a.counters['forgotten.copied']).toBe(1);
    expect(pair.carry(pair.b, pair.a)).toBe(true);
  });
});

test('a copy between the making of the clock and the first turn is noticed, as in a hand-over', () => {
  const forgotten: number[] = [];
  const engine = { forgetSessions: (now: number) => void forgotten.push(now) } as unknown as Engine;
  const clock = { now: () => 5, wall: () => 0n, copies: () => 1 };
  const guard = new SessionGuard({ engine, clock, log: { verbose: () => {}, error: () => {} } });
  for (let turn = 0; turn < 3; turn++) guard.now();
  expect(forgotten).toEqual([5]);
});

describe('a notice from outside', () => {
  test('before sleep: erases keys and begins no handshake', () => {
    pair.a.loop.forgetSessions('sleepAhead');
    pair.now += 400;
    pair.a.disturb();
    pair.run();
    expect(pair.taken('a')).toEqual([]);
    expect(pair.a.counters['forgotten.sleepAhead']).toBe(1);
    // the suspend did not come: the next packet begins a handshake
    expect(pair.carry(pair.a, pair.b)).toBe(true);
    expect(pair.taken('a')).toEqual([INITIATION, TRANSPORT]);
  });

  test('of a copied machine: begins a handshake although the last one was just now', () => {
    pair.a.loop.forgetSessions('copied');
    expect(pair.carry(pair.a, pair.b)).toBe(true);
    pair.a.loop.forgetSessions('copied');
    expect(pair.carry(pair.a, pair.b)).toBe(false);
    pair.now += 50;
    pair.a.loop.forgetSessions('copied');
    expect(pair.carry(pair.a, pair.b)).toBe(true);
    expect(pair.a.counters['forgotten.copied']).toBe(3);
  });
});

/**
 * When a session is renewed, expired and erased (whitepaper sections 6.1 to 6.3, kernel timers.c).
 */
import { describe, expect, test } from 'vitest';
import { INITIATION_SENDER } from '../../src/packet/initiation.ts';
import {
  MESSAGE_INITIATION as INITIATION,
  MESSAGE_RESPONSE as RESPONSE,
  MESSAGE_TRANSPORT as TRANSPORT,
} from '../../src/packet/message-type.ts';
import { isKeepalive, pair, session, swallow } from './pair.ts';
import type { Sent } from './simulation.ts';

describe('after 120 s', () => {
  test('the initiator renews the session with the next packet that it sends, and not before', () => {
    const { sim, a, b, born } = session();
    sim.runUntil(born + 119_999);
    sim.send(a, b);
    expect(sim.sentBy(a, INITIATION)).toHaveLength(1);
    sim.runUntil(born + 120_000);
    const id = sim.send(a, b);
    expect(sim.sentBy(a, INITIATION).map(s => s.at)).toEqual([sim.overheard[0]!.at, born + 120_000]);
    sim.run(1000);
    expect(sim.wasDelivered(id)).toBe(true);
    expect(a.count('session')).toBe(2);
  });

  test('the packet that triggers the renewal is sent at once, under the old session', () => {
    const { sim, a, b, born } = session();
    sim.runUntil(born + 120_000);
    sim.send(a, b);
    expect(sim.sentBy(a, undefined, sim.now).map(s => s.bytes[0])).toEqual([TRANSPORT, INITIATION]);
  });

  test('the responder never renews while the session is valid', () => {
    for (const at of [121_000, 140_000, 179_980]) {
      const { sim, a, b, born } = session();
      sim.runUntil(born + at);
      swallow(sim, s => s.bytes[0] === INITIATION);
      const id = sim.send(b, a);
      sim.run(5000);
      expect(sim.wasDelivered(id)).toBe(true);
      expect(sim.sentBy(b, INITIATION)).toHaveLength(0);
    }
  });

  test('a passive keepalive of the initiator renews too, since it is a message like any other', () => {
    const { sim, a, b, born } = session();
    sim.runUntil(born + 115_000);
    sim.send(b, a);
    sim.runUntil(born + 130_000);
    expect(sim.sentBy(a, INITIATION).at(-1)!.at).toBe(born + 125_010);
  });

  test('a thousand packets while the renewal is lost cause one initiation every 5 s', () => {
    const { sim, a, b, born } = session();
    sim.runUntil(born + 121_000);
    swallow(sim, s => s.bytes[0] === INITIATION);
    const from = sim.now;
    for (let i = 0; i < 1000; i++) {
      sim.send(a, b);
      sim.run(20);
    }
    const times = sim.sentBy(a, INITIATION, from).map(s => s.at);
    expect(times).toHaveLength(4);
    for (let i = 1; i < 4; i++) expect(times[i]! - times[i - 1]!).toBeGreaterThanOrEqual(5000);
    expect(sim.arrived).toHaveLength(1001);
  });
});

describe('after 165 s', () => {
  test('an initiator that only receives renews on a received message, and not before', () => {
    const early = session();
    early.sim.runUntil(early.born + 164_989);
    early.sim.send(early.b, early.a);
    early.sim.run(100);
    expect(early.a.sentTypes).toEqual([INITIATION, TRANSPORT]);

    const { sim, a, b, born } = session();
    sim.runUntil(born + 164_990);
    sim.send(b, a);
    sim.run(100);
    expect(sim.sentBy(a, INITIATION).at(-1)!.at).toBe(born + 165_000);
    expect(a.count('session')).toBe(2);
  });

  test('it does so once per session', () => {
    const { sim, a, b, born } = session();
    swallow(sim, s => s.bytes[0] === RESPONSE || isKeepalive(s));
    sim.runUntil(born + 165_000);
    sim.send(b, a);
    sim.run(4900);
    const first = sim.sentBy(a, INITIATION).at(-1)!;
    expect(first.at).toBe(born + 165_010);
    // just before the timer retries, and 5 s after the first: a second renewal would be sent now
    sim.runUntil(first.at + 4990);
    const from = sim.now;
    sim.send(b, a);
    sim.runUntil(first.at + 5000);
    expect(sim.sentBy(a, INITIATION, from)).toHaveLength(0);
  });

  test('the responder does not', () => {
    const { sim, a, b, born } = session();
    sim.runUntil(born + 170_000);
    swallow(sim, s => s.bytes[0] === INITIATION);
    const id = sim.send(a, b);
    sim.run(1000);
    expect(sim.wasDelivered(id)).toBe(true);
    expect(sim.sentBy(b, INITIATION)).toHaveLength(0);
  });
});

describe('after 180 s', () => {
  test('neither side sends under the session: a handshake comes first, then the packet', () => {
    for (const who of ['a', 'b'] as const) {
      const { sim, a, b, born } = session();
      const [from, to] = who === 'a' ? [a, b] : [b, a];
      sim.runUntil(born + 180_000);
      const id = sim.send(from, to);
      expect(sim.sentBy(from, undefined, sim.now).map(s => s.bytes[0])).toEqual([INITIATION]);
      sim.run(100);
      expect(sim.wasDelivered(id)).toBe(true);
    }
  });

  test('a late message of the session is refused, and one just before the limit is not', () => {
    const { sim, a, b, born } = session();
    const late: Sent[] = [];
    const stop = swallow(sim, s => s.from === b && late.push(s) > 0);
    const ids = [sim.send(b, a), sim.send(b, a)];
    stop();
    sim.runUntil(born + 179_989);
    sim.inject(a.endpoint, b.endpoint, late[0]!.bytes);
    sim.runUntil(born + 179_990);
    sim.inject(a.endpoint, b.endpoint, late[1]!.bytes);
    sim.runUntil(born + 180_001);
    expect(ids.map(id => sim.wasDelivered(id))).toEqual([true, false]);
    expect(a.counters.expiredKey).toBe(1);
  });

  test('traffic continues across many renewals without losing a packet', () => {
    const { sim, a, b, born } = session();
    sim.keepOverheard = 10_000;
    const ids: number[] = [];
    for (let second = 0; second < 1000; second++) {
      ids.push(sim.send(a, b), sim.send(b, a));
      sim.run(1000);
    }
    expect(ids.filter(id => !sim.wasDelivered(id))).toEqual([]);
    // every 120 s and, since packets are a second apart, at most one more
    const renewals = sim.sentBy(a, INITIATION, born).map(s => Math.floor((s.at - born) / 1000));
    expect(renewals).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map(n => n * 121 - 1));
    expect(sim.sentBy(b, INITIATION)).toHaveLength(0);
  });
});

describe('after 540 s', () => {
  test('all keys of a peer are erased: messages refused as expired then have an unknown receiver', () => {
    const { sim, a, b, born } = session();
    const kept = sim.sentBy(a, TRANSPORT)[0]!;
    sim.runUntil(born + 539_000);
    sim.inject(b.endpoint, a.endpoint, kept.bytes);
    sim.run(20);
    expect([b.counters.expiredKey, b.counters.unknownReceiver]).toEqual([1, 0]);
    sim.runUntil(born + 540_000);
    expect(a.events.at(-1)).toEqual({ at: born + 540_000, kind: 'keys-erased' });
    expect(b.events.at(-1)).toEqual({ at: born + 540_000 - 10, kind: 'keys-erased' });
    sim.inject(b.endpoint, a.endpoint, kept.bytes);
    sim.run(20);
    expect([b.counters.expiredKey, b.counters.unknownReceiver]).toEqual([1, 1]);
  });

  test('a new session postpones the erasure', () => {
    const { sim, a, b, born } = session();
    sim.runUntil(born + 300_000);
    sim.send(a, b);
    sim.runUntil(born + 840_019);
    expect(a.count('keys-erased')).toBe(0);
    sim.runUntil(born + 840_020);
    expect(a.count('keys-erased')).toBe(1);
  });

  test('an unanswered initiation is erased too, that long after it was given up', () => {
    const { sim, a, b } = pair();
    sim.wire.cut = true;
    sim.send(a, b);
    sim.run(120_000);
    const initiation = sim.sentBy(a, INITIATION).at(-1)!;
    const given = a.events.find(event => event.kind === 'handshake-given-up')!.at;
    sim.runUntil(given + 539_999);
    expect(a.count('keys-erased')).toBe(0);
    sim.run(1);
    expect(a.count('keys-erased')).toBe(1);
    // its response would now have an unknown receiver
    sim.wire.cut = false;
    sim.inject(b.endpoint, a.endpoint, initiation.bytes);
    sim.run(100);
    expect(sim.sentBy(b, RESPONSE)).toHaveLength(1);
    expect(initiation.bytes.subarray(INITIATION_SENDER, 8)).toEqual(sim.sentBy(b, RESPONSE)[0]!.bytes.subarray(8, 12));
    expect([a.count('session'), a.counters.unknownReceiver]).toEqual([0, 1]);
  });

  test('idle peers send nothing for a day', () => {
    const { sim, a, b } = session();
    sim.run(20_000);
    const before = sim.overheard.length;
    sim.run(86_400_000);
    expect(sim.overheard).toHaveLength(before);
    const id = sim.send(b, a);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
    expect(a.nextDeadline).toBeGreaterThan(sim.now);
  });
});

/** Retries if the peer does not answer (whitepaper section 6.4, kernel timers.c). */
import { describe, expect, test } from 'vitest';
import { MESSAGE_INITIATION as INITIATION, MESSAGE_TRANSPORT as TRANSPORT } from '../../src/packet/message-type.ts';
import { isData, isKeepalive, pair, session, swallow } from './pair.ts';

const gaps = (times: readonly number[]) => times.slice(1).map((at, i) => at - times[i]!);

describe('an unanswered initiation', () => {
  test('is repeated after 5 s and a random part of up to a third of a second', () => {
    const all: number[] = [];
    for (let seed = 0; seed < 20; seed++) {
      const { sim, a, b } = pair({}, seed);
      sim.wire.cut = true;
      sim.send(a, b);
      sim.run(200_000);
      all.push(...gaps(sim.sentBy(a, INITIATION).map(s => s.at)));
    }
    expect(Math.min(...all)).toBeGreaterThanOrEqual(5000);
    expect(Math.max(...all)).toBeLessThanOrEqual(5333);
    // spread over the whole range, and hardly ever the same twice
    expect(Math.min(...all)).toBeLessThan(5020);
    expect(Math.max(...all)).toBeGreaterThan(5313);
    expect(new Set(all).size).toBeGreaterThan(200);
  });

  test('is never sent again unchanged', () => {
    const { sim, a, b } = pair();
    sim.wire.cut = true;
    sim.send(a, b);
    sim.run(200_000);
    const messages = sim.sentBy(a, INITIATION).map(s => s.bytes);
    for (const [from, to] of [
      [4, 8],
      [8, 40],
      [40, 88],
      [88, 116],
    ] as const)
      expect(new Set(messages.map(m => Buffer.from(m.subarray(from, to)).toString('hex'))).size).toBe(messages.length);
  });

  test('is given up after 20 attempts, and the staged packets are dropped', () => {
    const { sim, a, b } = pair();
    sim.wire.cut = true;
    const ids = [sim.send(a, b), sim.send(a, b), sim.send(a, b)];
    sim.run(300_000);
    expect(sim.sentBy(a, INITIATION)).toHaveLength(20);
    expect(a.count('handshake-given-up')).toBe(1);
    expect(a.counters.stagedExpired).toBe(3);
    const given = a.events.find(event => event.kind === 'handshake-given-up')!.at;
    expect(given - sim.sentBy(a, INITIATION).at(-1)!.at).toBeGreaterThanOrEqual(5000);
    // a peer that comes back gets no old packets
    sim.wire.cut = false;
    const fresh = sim.send(a, b);
    sim.run(1000);
    expect(sim.arrived).toEqual([fresh]);
    expect(ids.some(id => sim.wasDelivered(id))).toBe(false);
  });

  test('staged packets survive all attempts before that', () => {
    const { sim, a, b } = pair();
    sim.wire.cut = true;
    const id = sim.send(a, b);
    sim.run(90_000);
    sim.wire.cut = false;
    sim.run(6000);
    expect(sim.wasDelivered(id)).toBe(true);
  });

  test('is not given up while new packets arrive', () => {
    const { sim, a, b } = pair();
    sim.wire.cut = true;
    for (let second = 0; second < 300; second += 10) {
      sim.send(a, b);
      sim.run(10_000);
    }
    expect(a.count('handshake-given-up')).toBe(0);
    expect(sim.sentBy(a, INITIATION).length).toBeGreaterThan(55);
  });

  test('does not affect a session that is still valid', () => {
    const { sim, a, b, born } = session();
    sim.runUntil(born + 121_000);
    swallow(sim, s => s.bytes[0] === INITIATION);
    sim.send(a, b);
    sim.runUntil(born + 150_000);
    const id = sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
  });
});

describe('unanswered data', () => {
  test('causes a new handshake after 15 s and a random part of up to a third of a second', () => {
    const all: number[] = [];
    for (let seed = 0; seed < 60; seed++) {
      const { sim, a, b } = session({}, seed);
      sim.run(20_000);
      sim.wire.cut = true;
      sim.send(a, b);
      const from = sim.now;
      sim.run(15_999);
      all.push(...sim.sentBy(a, INITIATION, from).map(s => s.at - from));
    }
    expect(all).toHaveLength(60);
    expect(Math.min(...all)).toBeGreaterThanOrEqual(15_000);
    expect(Math.max(...all)).toBeLessThanOrEqual(15_333);
    expect(new Set(all).size).toBeGreaterThan(30);
  });

  test('counts from the first unanswered packet, not from the last', () => {
    const { sim, a, b } = session();
    sim.run(20_000);
    sim.wire.cut = true;
    const from = sim.now;
    for (let i = 0; i < 16; i++) {
      sim.send(a, b);
      sim.run(1000);
    }
    expect(sim.sentBy(a, INITIATION, from)).toHaveLength(1);
  });

  test('any authenticated message is an answer: a keepalive of the other side suffices', () => {
    const { sim, a, b } = session();
    sim.run(20_000);
    const from = sim.now;
    sim.send(a, b);
    sim.run(60_000);
    expect(sim.sentBy(b, TRANSPORT, from).every(isKeepalive)).toBe(true);
    expect(sim.sentBy(a, INITIATION, from)).toHaveLength(0);
  });

  test('keepalives are not data: they need no answer', () => {
    const { sim, a, b } = session();
    sim.run(20_000);
    sim.send(b, a);
    sim.run(5000);
    sim.wire.cut = true;
    const from = sim.now;
    sim.run(60_000);
    expect(sim.sentBy(a, TRANSPORT, from).map(isKeepalive)).toEqual([true]);
    expect(sim.sentBy(a, INITIATION, from)).toHaveLength(0);
  });

  test('a responder whose initiator has restarted begins its own handshake', () => {
    const { sim, a, b } = session();
    a.restart();
    const first = sim.send(b, a);
    sim.run(16_000);
    expect(a.counters.unknownReceiver).toBe(1);
    expect(sim.wasDelivered(first)).toBe(false);
    const second = sim.send(b, a);
    sim.run(100);
    expect(sim.wasDelivered(second)).toBe(true);
    expect(sim.sentBy(b, INITIATION)).toHaveLength(1);
  });
});

describe('the clock', () => {
  test('a jump of a day, as after suspend, costs one handshake and no packet', () => {
    const { sim, a, b } = session();
    sim.now += 86_400_000;
    a.timeout();
    b.timeout();
    const ids = [sim.send(a, b), sim.send(b, a)];
    sim.run(1000);
    expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
    expect(sim.overheard.filter(isData)).toHaveLength(3);
  });

  test('a deadline that is checked late fires once', () => {
    const { sim, a, b } = session();
    sim.run(20_000);
    sim.send(b, a);
    sim.run(11);
    const from = sim.now;
    sim.now += 100_000;
    a.timeout();
    a.timeout();
    expect(sim.sentBy(a, TRANSPORT, from)).toHaveLength(1);
  });
});

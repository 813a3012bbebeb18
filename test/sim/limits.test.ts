/** Limits of staged packets and of messages per key (whitepaper sections 6.1, 6.2 and 6.4). */
import { describe, expect, test } from 'vitest';
import { readU32le } from '../../src/packet/byte-order.ts';
import {
  MESSAGE_INITIATION as INITIATION,
  MESSAGE_RESPONSE as RESPONSE,
  MESSAGE_TRANSPORT as TRANSPORT,
} from '../../src/packet/message-type.ts';
import { REJECT_AFTER_MESSAGES_HIGH, REJECT_AFTER_MESSAGES_LOW } from '../../src/protocol/constants.ts';
import type { Keypair } from '../../src/protocol/keypair.ts';
import { batchOf } from '../support/datagrams.ts';
import { seeded } from '../support/random.ts';
import { barePair, settle } from './bare-node.ts';
import { pair, session } from './pair.ts';
import { makePacket } from './payload.ts';
import { type Sent, Simulation } from './simulation.ts';

const REJECT = 2n ** 64n - 2n ** 13n - 1n;
const fromA = (id: number, size = 40) => makePacket(0, 1, id, size, false);
const fromB = (id: number) => makePacket(1, 0, id, 40, false);
const types = (messages: readonly Uint8Array[]) => messages.map(message => message[0]);
const counterOf = (message: Uint8Array) => (BigInt(readU32le(message, 12)) << 32n) | BigInt(readU32le(message, 8));

function setCounter(keypair: Keypair, counter: bigint): void {
  keypair.counterHigh = Number(counter >> 32n);
  keypair.counterLow = Number(counter & 0xffffffffn);
}

/** A pair with a confirmed session that A began, 10 s old, so that a renewal is allowed. */
function talking() {
  const made = barePair();
  made.a.send(fromA(1));
  settle(made);
  made.b.send(fromB(2));
  settle(made);
  made.a.now += 10_000;
  made.b.now += 10_000;
  return { ...made, ours: made.ofB.keypairs.current!, theirs: made.ofA.keypairs.current! };
}

describe('packets staged for a session', () => {
  test('are 128 at most, and the oldest are dropped', () => {
    const { sim, a, b } = pair();
    const ids = Array.from({ length: 200 }, () => sim.send(a, b));
    expect(a.counters.stagedOverflow).toBe(72);
    sim.run(1000);
    expect(sim.arrived).toEqual(ids.slice(72));
  });

  test('are 128 at most, also from one batch', () => {
    const { sim, a, b } = pair();
    a.send(Array.from({ length: 130 }, (_, i) => makePacket(0, 1, 1000 + i, 40, false)));
    expect(a.counters.stagedOverflow).toBe(2);
    a.engine.down();
    sim.run(1000);
    expect(sim.delivered + b.sentTypes.filter(type => type === TRANSPORT).length).toBe(0);
  });

  test('are counted per peer', () => {
    const sim = new Simulation(seeded(2));
    const [a, b, c] = [sim.addNode(), sim.addNode(), sim.addNode()];
    sim.mesh();
    for (let i = 0; i < 128; i++) {
      sim.send(a, b);
      sim.send(a, c);
    }
    expect(a.counters.stagedOverflow).toBe(0);
    sim.run(1000);
    expect(sim.delivered).toBe(256);
  });

  test('are sent before later packets, in order', () => {
    const { sim, a, b, born } = session();
    sim.runUntil(born + 180_000);
    const ids = [sim.send(a, b), sim.send(a, b)];
    sim.run(20);
    ids.push(sim.send(a, b));
    sim.run(100);
    expect(sim.arrived.slice(1)).toEqual(ids);
  });

  test('that exceed the output are sent over several turns', () => {
    const sim = new Simulation(seeded(1));
    const nodes = Array.from({ length: 7 }, () => sim.addNode());
    const [a, ...others] = nodes as [(typeof nodes)[0], ...typeof nodes];
    sim.mesh();
    const ids = others.flatMap(other => Array.from({ length: 120 }, () => sim.send(a, other, { size: 1300 })));
    // all responses in one batch: about 900 kB become due at once, and the output has 256 KiB
    const held: Sent[] = [];
    sim.tamper = s => (s.bytes[0] === RESPONSE && held.push(s) > 0 ? undefined : s.bytes);
    sim.run(100);
    a.receiveBatch(batchOf(held.map(s => ({ to: s.source, bytes: s.bytes }))));
    sim.run(1000);
    expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
  });
});

describe('messages under one key', () => {
  test('are counted in 64 bits, without a gap at 2^32 and 2^53', () => {
    for (const around of [2n ** 32n, 2n ** 53n]) {
      const { a, b, ours } = talking();
      setCounter(ours, around - 3n);
      a.send(...Array.from({ length: 6 }, (_, i) => fromA(10 + i)));
      const messages = a.take();
      expect(messages.map(counterOf)).toEqual([-3n, -2n, -1n, 0n, 1n, 2n].map(n => around + n));
      b.delivered = [];
      b.receive(a.endpoint, ...messages);
      expect(b.delivered).toHaveLength(6);
    }
  });

  test('from 2^60 on make the initiator renew, and the session stays in use until then', () => {
    const { a, ours } = talking();
    setCounter(ours, 2n ** 60n - 2n);
    a.send(fromA(3));
    expect(types(a.take())).toEqual([TRANSPORT]);
    a.send(fromA(4));
    expect(types(a.take())).toEqual([TRANSPORT, INITIATION]);
  });

  test('from 2^60 on make the responder renew too', () => {
    const { b, theirs } = talking();
    setCounter(theirs, 2n ** 60n - 1n);
    b.send(fromB(3));
    expect(types(b.take())).toEqual([TRANSPORT, INITIATION]);
  });

  test('end at 2^64 - 2^13 - 1: the session sends nothing more, a handshake follows, then all staged packets', () => {
    const made = talking();
    const { a, b, ours, ofB } = made;
    setCounter(ours, REJECT - 1n);
    a.send(fromA(3), fromA(4), fromA(5));
    const messages = a.take();
    expect(types(messages)).toEqual([TRANSPORT, INITIATION]);
    expect(counterOf(messages[0]!)).toBe(REJECT - 1n);
    expect([ours.counterHigh, ours.counterLow]).toEqual([REJECT_AFTER_MESSAGES_HIGH, REJECT_AFTER_MESSAGES_LOW]);
    expect(ofB.staged.segments).toBe(2);
    b.delivered = [];
    for (const message of messages) b.receive(a.endpoint, message);
    settle(made);
    expect(b.delivered).toEqual([fromA(3), fromA(4), fromA(5)]);
    expect(ofB.keypairs.current).not.toBe(ours);
  });

  test('from that counter on are refused on arrival, even if authentic', () => {
    const { a, b, ours } = talking();
    b.delivered = [];
    for (const counter of [REJECT, 2n ** 64n - 2n, REJECT - 1n]) b.receive(a.endpoint, a.seal(ours, counter, fromA(3)));
    expect(b.device.counters.replayed).toBe(2);
    expect(b.delivered).toHaveLength(1);
  });

  test('the limit applies to keepalives too', () => {
    const { a, ours, ofB } = talking();
    setCounter(ours, REJECT);
    a.sender.keepalive(ofB, a.now);
    a.send();
    expect(types(a.take())).toEqual([INITIATION]);
  });
});

describe('key slots', () => {
  test('are released: a thousand handshakes need only a few', () => {
    const made = barePair();
    for (let i = 0; i < 1000; i++) {
      made.a.now += 10_000;
      made.b.now += 10_000;
      made.ofB.keypairs.current?.peer.timers.clearAll();
      made.a.sender.initiate(made.ofB, made.a.now);
      made.a.send();
      settle(made);
    }
    expect(made.a.device.counters.sessions).toBe(1000);
    for (const { device } of [made.a, made.b]) {
      expect(device.slots.inUse).toBeLessThanOrEqual(6);
      expect(device.indices.size).toBeLessThanOrEqual(3);
    }
    made.b.device.removePeer(made.ofA);
    expect([made.b.device.slots.inUse, made.b.device.indices.size]).toEqual([0, 0]);
  });

  test.each([0, 1])('of which only %i is left begin no session, on either side, and this is counted once', left => {
    for (const side of ['a', 'b'] as const) {
      const made = barePair();
      const { device } = made[side];
      // as if all slots but the last ones were in use
      let free = left;
      const give = device.slots.give.bind(device.slots);
      device.slots.take = () => (free > 0 ? --free : -1);
      device.slots.give = slot => {
        give(slot);
        free++;
      };
      made.a.send(fromA(1));
      settle(made);
      expect(made.b.delivered).toEqual([]);
      expect([device.counters.noKeySlot, device.counters.badHandshake, device.counters.sessions]).toEqual([1, 0, 0]);
      expect(free).toBe(left);
      free = 2;
      for (const node of [made.a, made.b]) node.now += 5000;
      made.a.sender.initiate(made.ofB, made.a.now);
      made.a.send();
      settle(made);
      expect(made.b.delivered).toEqual([fromA(1)]);
    }
  });
});

/**
 * Which session sends and which sessions receive (kernel noise.c, add_new_keypair and
 * wg_noise_received_with_keypair).
 */
import { describe, expect, test } from 'vitest';
import { readU32le } from '../../src/packet/byte-order.ts';
import { INITIATION_SENDER } from '../../src/packet/initiation.ts';
import {
  MESSAGE_INITIATION as INITIATION,
  MESSAGE_RESPONSE as RESPONSE,
  MESSAGE_TRANSPORT as TRANSPORT,
} from '../../src/packet/message-type.ts';
import { RESPONSE_SENDER } from '../../src/packet/response.ts';
import { TRANSPORT_RECEIVER } from '../../src/packet/transport.ts';
import { isKeepalive, pair, session, swallow } from './pair.ts';
import type { SimNode } from './sim-node.ts';
import type { Sent, Simulation } from './simulation.ts';

const receiver = (sent: Sent) => readU32le(sent.bytes, TRANSPORT_RECEIVER);
const lastReceiver = (sim: Simulation, node: SimNode) => receiver(sim.sentBy(node, TRANSPORT).at(-1)!);

describe('key confirmation', () => {
  test('a responder sends nothing under a new session before the initiator has used it', () => {
    const { sim, a, b } = pair();
    const stop = swallow(sim, s => s.from === a && s.bytes[0] === TRANSPORT);
    sim.send(a, b);
    sim.run(100);
    const id = sim.send(b, a);
    sim.run(3000);
    expect(b.sentTypes).toEqual([RESPONSE]);
    expect(b.count('session')).toBe(0);
    stop();
    sim.send(a, b);
    sim.run(100);
    expect(b.count('session')).toBe(1);
    expect(sim.wasDelivered(id)).toBe(true);
  });

  test('a response whose initiator stays silent leads to a handshake in the other direction', () => {
    const { sim, a, b } = pair();
    swallow(sim, s => s.from === a && s.bytes[0] === TRANSPORT && s.at < 1_000_500);
    sim.send(a, b);
    sim.run(1000);
    sim.run(5000);
    const id = sim.send(b, a);
    sim.run(100);
    expect(sim.sentBy(b, INITIATION)).toHaveLength(1);
    expect(sim.wasDelivered(id)).toBe(true);
  });

  test('during a renewal the responder uses the old session until it receives a message under the new one', () => {
    const { sim, a, b, born } = session();
    sim.send(b, a);
    const old = lastReceiver(sim, b);
    sim.runUntil(born + 120_000);
    const stop = swallow(sim, s => s.from === a && s.bytes[0] === TRANSPORT && s.at > born + 120_000);
    sim.send(a, b);
    sim.run(100);
    expect(a.count('session')).toBe(2);
    const between = sim.send(b, a);
    expect(lastReceiver(sim, b)).toBe(old);
    stop();
    sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(between)).toBe(true);
    sim.send(b, a);
    expect(lastReceiver(sim, b)).not.toBe(old);
    expect(b.count('session')).toBe(2);
  });

  test('the initiator uses the new session at once', () => {
    const { sim, a, b, born } = session();
    sim.runUntil(born + 120_000);
    sim.send(a, b);
    const old = lastReceiver(sim, a);
    sim.run(20);
    expect(sim.sentBy(a, TRANSPORT).filter(isKeepalive).map(receiver)).not.toContain(old);
    sim.send(a, b);
    expect(lastReceiver(sim, a)).toBe(readU32le(sim.sentBy(b, RESPONSE).at(-1)!.bytes, RESPONSE_SENDER));
  });

  test('a forged message does not confirm a session', () => {
    const { sim, a, b } = pair();
    swallow(sim, s => s.from === a && s.bytes[0] === TRANSPORT);
    sim.send(a, b);
    sim.run(100);
    const bent = Uint8Array.from(sim.sentBy(a, TRANSPORT)[0]!.bytes);
    bent[bent.length - 1]! ^= 1;
    sim.inject(b.endpoint, a.endpoint, bent);
    sim.run(100);
    expect([b.counters.badTag, b.count('session')]).toEqual([1, 0]);
  });
});

describe('the previous session', () => {
  test('still receives messages in flight, in both directions', () => {
    const { sim, a, b, born } = session();
    const held: Sent[] = [];
    const stop = swallow(sim, s => s.bytes[0] === TRANSPORT && held.push(s) > 0);
    const ids = [sim.send(a, b), sim.send(b, a)];
    stop();
    sim.runUntil(born + 120_000);
    sim.send(a, b);
    sim.run(100);
    expect([a.count('session'), b.count('session')]).toEqual([2, 2]);
    for (const s of held) sim.inject(s.destination, s.source, s.bytes);
    sim.run(100);
    expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
  });

  test('is forgotten on the second renewal', () => {
    const { sim, a, b, born } = session();
    const held: Sent[] = [];
    const stop = swallow(sim, s => s.bytes[0] === TRANSPORT && held.push(s) > 0);
    const id = sim.send(b, a);
    stop();
    for (const at of [120_000, 241_000]) {
      sim.runUntil(born + at);
      sim.send(a, b);
      sim.run(100);
    }
    expect(a.count('session')).toBe(3);
    sim.inject(a.endpoint, b.endpoint, held[0]!.bytes);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(false);
    expect([a.counters.unknownReceiver, a.counters.expiredKey]).toEqual([1, 0]);
  });

  test('is an unconfirmed session, if our own handshake finishes first', () => {
    // both begin at the same time; A's packet under B's session arrives after A has its own
    const { sim, a, b } = pair();
    const ids = [sim.send(a, b), sim.send(b, a)];
    sim.run(1000);
    expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
    expect([a.counters.unknownReceiver, b.counters.unknownReceiver]).toEqual([0, 0]);
  });
});

describe('replay', () => {
  test('every message is accepted once, however often it arrives, and never by its own sender', () => {
    const { sim, a, b } = session();
    for (let i = 0; i < 20; i++) sim.send(a, b);
    sim.run(100);
    const messages = sim.sentBy(a, TRANSPORT);
    const rx = b.status(a).rxBytes;
    for (const { bytes } of messages) {
      sim.inject(b.endpoint, a.endpoint, bytes);
      sim.inject(a.endpoint, b.endpoint, bytes);
    }
    sim.run(100);
    expect(b.counters.replayed).toBe(21);
    expect(a.counters.unknownReceiver).toBe(21);
    expect(b.status(a).rxBytes).toBe(rx);
    expect(sim.delivered).toBe(21);
  });

  test('messages out of order are all accepted within the window', () => {
    const { sim, a, b } = session();
    const held: Sent[] = [];
    const stop = swallow(sim, s => s.from === a && held.push(s) > 0);
    const ids = Array.from({ length: 300 }, () => sim.send(a, b));
    stop();
    for (const s of held.toReversed()) sim.inject(s.destination, s.source, s.bytes);
    sim.run(100);
    expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
  });
});

describe('receiver indices', () => {
  test('are random in all 32 bits and never repeat', () => {
    const seen: number[] = [];
    const { sim, a, b } = pair();
    for (let i = 0; i < 200; i++) {
      a.restart();
      sim.send(a, b);
      sim.run(100);
    }
    for (const s of sim.sentBy(a, INITIATION)) seen.push(readU32le(s.bytes, INITIATION_SENDER));
    for (const s of sim.sentBy(b, RESPONSE)) seen.push(readU32le(s.bytes, RESPONSE_SENDER));
    expect(seen).toHaveLength(400);
    expect(new Set(seen).size).toBe(400);
    for (let bit = 0; bit < 32; bit++) {
      const ones = seen.filter(index => (index >>> bit) & 1).length;
      expect(ones, `bit ${bit}`).toBeGreaterThan(140);
      expect(ones, `bit ${bit}`).toBeLessThan(260);
    }
  });

  test('a session keeps the indices of the initiation and the response', () => {
    const { sim, a, b } = session();
    sim.send(b, a);
    expect(lastReceiver(sim, b)).toBe(readU32le(sim.sentBy(a, INITIATION)[0]!.bytes, INITIATION_SENDER));
    expect(lastReceiver(sim, a)).toBe(readU32le(sim.sentBy(b, RESPONSE)[0]!.bytes, RESPONSE_SENDER));
  });
});

describe('sleep and going down', () => {
  test('keys that were forgotten because of suspend are renewed with the next packet', () => {
    const { sim, a, b } = session();
    sim.run(6000);
    a.engine.forgetSessions(sim.now);
    const id = sim.send(a, b);
    expect(a.sentTypes.at(-1)).toBe(INITIATION);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
  });

  test('a device that is down accepts nothing, answers nothing, and consumes no handshake', () => {
    const { sim, a, b } = pair();
    b.engine.down();
    const id = sim.send(a, b);
    sim.run(1000);
    expect([b.counters.deviceDown, b.sentTypes.length]).toEqual([1, 0]);
    b.engine.up(sim.now);
    // the initiation that arrived while it was down is still new to it
    sim.inject(b.endpoint, a.endpoint, sim.sentBy(a, INITIATION)[0]!.bytes);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
  });

  test('down forgets sessions and staged packets; up begins again at once', () => {
    const { sim, a, b } = session();
    const old = lastReceiver(sim, a);
    sim.wire.cut = true;
    a.engine.down();
    expect(a.nextDeadline).toBe(Number.POSITIVE_INFINITY);
    sim.wire.cut = false;
    a.engine.up(sim.now);
    const id = sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
    expect(lastReceiver(sim, a)).not.toBe(old);
  });
});

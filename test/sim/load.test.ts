/**
 * When a node is under load, and how it then behaves (kernel receive.c,
 * wg_receive_handshake_packet).
 */
import { describe, expect, test } from 'vitest';
import {
  MESSAGE_COOKIE_REPLY as COOKIE_REPLY,
  MESSAGE_INITIATION as INITIATION,
  MESSAGE_RESPONSE as RESPONSE,
} from '../../src/packet/message-type.ts';
import { MAX_QUEUED_HANDSHAKES, UNDER_LOAD_HANDSHAKES } from '../../src/protocol/constants.ts';
import { seeded } from '../support/random.ts';
import { deliver, EVE, flood, Handmade, withMac1 } from './handmade.ts';
import { answersTo, load, loaded } from './load.ts';
import { session } from './pair.ts';
import type { SimNode } from './sim-node.ts';
import { Simulation } from './simulation.ts';

describe('without load', () => {
  test('no cookie is required, however many handshakes there were', () => {
    const { sim, a, b } = loaded();
    const twin = new Handmade(b, a.privateKey);
    for (let i = 0; i < 300; i++) {
      deliver(b, a.endpoint, [twin.initiation()]);
      sim.now += 25;
    }
    expect(sim.sentBy(b, RESPONSE)).toHaveLength(300);
    expect(b.counters.cookiesSent).toBe(0);
  });

  test('a queue one message short of an eighth is not load', () => {
    const { sim, b } = loaded();
    flood(b, UNDER_LOAD_HANDSHAKES - 1);
    sim.run(0);
    expect([b.counters.cookiesSent, b.counters.badHandshake]).toEqual([0, UNDER_LOAD_HANDSHAKES - 1]);
  });

  test('a mac2 is not checked', () => {
    const { a, b } = loaded();
    const message = new Handmade(b, a.privateKey).initiation();
    message[147]! ^= 1;
    deliver(b, a.endpoint, [message]);
    expect(b.sentTypes).toEqual([RESPONSE]);
  });

  test('garbage causes no load: without our mac1 nothing enters the queue', () => {
    const { sim, a, b } = loaded();
    const junk = sim.random.bytes(148);
    junk.set([INITIATION, 0, 0, 0]);
    deliver(b, EVE, new Array<Uint8Array>(3000).fill(junk));
    const id = sim.send(a, b);
    sim.run(100);
    expect(b.counters.badMac1).toBe(3000);
    expect([b.counters.cookiesSent, sim.wasDelivered(id)]).toEqual([0, true]);
  });
});

describe('under load', () => {
  test('lasts for a second after the queue was last that long', () => {
    const { sim, a, b } = loaded();
    const twin = new Handmade(b, a.privateKey);
    load(sim, b);
    sim.run(999);
    deliver(b, a.endpoint, [twin.initiation()]);
    sim.run(1);
    deliver(b, a.endpoint, [twin.initiation()]);
    expect(answersTo(sim, b, a.endpoint)).toEqual([COOKIE_REPLY, RESPONSE]);
  });

  test('sessions are not affected: packets pass while a thousand initiations wait', () => {
    const { sim, a, b } = session();
    sim.keepOverheard = 100_000;
    flood(b, 1000);
    expect(b.nextDeadline).toBe(0);
    const before = sim.delivered;
    sim.send(a, b);
    b.receive(a.endpoint, sim.sentBy(a).at(-1)!.bytes);
    expect(sim.delivered).toBe(before + 1);
    expect(b.nextDeadline).toBe(0);
  });

  test('replies are smaller than the messages they answer, and there is at most one per message', () => {
    const { sim, b } = loaded();
    flood(b, 1000);
    sim.run(0);
    const replies = sim.sentBy(b, COOKIE_REPLY);
    // the last 511 were processed within the second
    expect(replies).toHaveLength(1000);
    expect(replies.every(s => s.bytes.length === 64)).toBe(true);
  });

  test('the queue holds 4096 messages and drops further ones', () => {
    const { b } = loaded();
    flood(b, MAX_QUEUED_HANDSHAKES + 100);
    expect(b.counters.handshakeQueueFull).toBe(100);
  });
});

test('a flood with our mac1 makes cookies necessary for all senders, and every peer still gets its session', () => {
  const sim = new Simulation(seeded(11));
  const nodes = Array.from({ length: 6 }, () => sim.addNode());
  const server = nodes[0]!;
  sim.mesh();
  const ids = nodes.slice(1).map(node => sim.send(node, server));
  for (let i = 0; i < 30; i++) {
    flood(server, UNDER_LOAD_HANDSHAKES + 40);
    sim.run(200);
  }
  expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
  expect(server.counters.cookiesSent).toBeGreaterThan(5000);
});

describe('a flood in small batches, as a socket delivers it', () => {
  /** One wake-up of the device loop: eight rounds of sixteen messages, then the timers. */
  function wake(node: SimNode, messages: () => Uint8Array): void {
    for (let round = 0; round < 8; round++) deliver(node, EVE, Array.from({ length: 16 }, messages));
    node.timeout();
  }

  test('causes load like one large batch, and is then answered with cookies', () => {
    const { sim, b } = loaded();
    const junk = sim.random.bytes(148);
    junk.set([INITIATION, 0, 0, 0]);
    const message = withMac1(b, junk);
    for (let i = 0; i < 40; i++) wake(b, () => message);
    // at 20,000 a second this takes a quarter of a second, too little for 5,120 times four X25519
    expect(b.counters.badHandshake).toBeLessThan(1000);
    expect(b.counters.cookiesSent).toBeGreaterThan(2000);
    expect(b.counters.handshakeQueueFull).toBe(0);
  });

  test('a genuine initiator with a cookie gets its answer during the flood', () => {
    const { sim, a, b } = loaded();
    const junk = sim.random.bytes(148);
    junk.set([INITIATION, 0, 0, 0]);
    const message = withMac1(b, junk);
    for (let i = 0; i < 20; i++) wake(b, () => message);
    const twin = new Handmade(b, a.privateKey);
    deliver(b, a.endpoint, [twin.initiation()]);
    for (let i = 0; i < 20; i++) wake(b, () => message);
    expect(twin.takeCookie(a.endpoint)).toBe(true);
    deliver(b, a.endpoint, [twin.initiation()]);
    for (let i = 0; i < 20; i++) wake(b, () => message);
    expect(answersTo(sim, b, a.endpoint)).toEqual([COOKIE_REPLY, RESPONSE]);
  });

  test('a few simultaneous handshakes are answered at once', () => {
    const { a, b } = loaded();
    deliver(b, a.endpoint, [new Handmade(b, a.privateKey).initiation()]);
    expect(b.sentTypes).toEqual([RESPONSE]);
  });
});

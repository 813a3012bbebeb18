/** When a node is under load, and what it does then (kernel receive.c, wg_receive_handshake_packet). */
import { describe, expect, test } from 'vitest';
import {
  MESSAGE_COOKIE_REPLY as COOKIE_REPLY,
  MESSAGE_INITIATION as INITIATION,
  MESSAGE_RESPONSE as RESPONSE,
} from '../../src/packet/message-type.ts';
import { MAX_QUEUED_HANDSHAKES, UNDER_LOAD_HANDSHAKES } from '../../src/protocol/constants.ts';
import { seeded } from '../support/random.ts';
import { deliver, EVE, flood, Handmade } from './handmade.ts';
import { answersTo, load, loaded } from './load.ts';
import { session } from './pair.ts';
import { Simulation } from './simulation.ts';

describe('without load', () => {
  test('no cookie is asked for, however many handshakes there were', () => {
    const { sim, a, b } = loaded();
    const twin = new Handmade(b, a.privateKey);
    for (let i = 0; i < 300; i++) {
      deliver(b, a.endpoint, [twin.initiation()]);
      sim.now += 25;
    }
    expect(sim.sentBy(b, RESPONSE)).toHaveLength(300);
    expect(b.counters.cookiesSent).toBe(0);
  });

  test('not even one short of an eighth of the queue waiting', () => {
    const { sim, b } = loaded();
    flood(b, UNDER_LOAD_HANDSHAKES - 1);
    sim.run(0);
    expect([b.counters.cookiesSent, b.counters.badHandshake]).toEqual([0, UNDER_LOAD_HANDSHAKES - 1]);
  });

  test('a mac2 that is there is not looked at', () => {
    const { a, b } = loaded();
    const message = new Handmade(b, a.privateKey).initiation();
    message[147]! ^= 1;
    deliver(b, a.endpoint, [message]);
    expect(b.sentTypes).toEqual([RESPONSE]);
  });

  test('garbage makes none: without our mac1 nothing enters the queue', () => {
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
  test('lasts for a second after the queue was last that long, and then is over', () => {
    const { sim, a, b } = loaded();
    const twin = new Handmade(b, a.privateKey);
    load(sim, b);
    sim.run(999);
    deliver(b, a.endpoint, [twin.initiation()]);
    sim.run(1);
    deliver(b, a.endpoint, [twin.initiation()]);
    expect(answersTo(sim, b, a.endpoint)).toEqual([COOKIE_REPLY, RESPONSE]);
  });

  test('sessions are not touched: packets pass while a thousand initiations wait', () => {
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

  test('replies are smaller than what they answer, and never two for one', () => {
    const { sim, b } = loaded();
    flood(b, 1000);
    sim.run(0);
    const replies = sim.sentBy(b, COOKIE_REPLY);
    // the last 511 were worked on within the second
    expect(replies).toHaveLength(1000);
    expect(replies.every(s => s.bytes.length === 64)).toBe(true);
  });

  test('the queue takes 4096 and drops what is more', () => {
    const { b } = loaded();
    flood(b, MAX_QUEUED_HANDSHAKES + 100);
    expect(b.counters.handshakeQueueFull).toBe(100);
  });
});

test('a flood with our mac1 makes cookies necessary for all, and still every peer gets its session', () => {
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

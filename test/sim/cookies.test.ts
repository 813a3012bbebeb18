/**
 * The validity of cookies and of cookie replies (whitepaper section 5.3, kernel cookie.c).
 * load.test.ts tests when cookies are required.
 */
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import {
  MESSAGE_COOKIE_REPLY as COOKIE_REPLY,
  MESSAGE_INITIATION as INITIATION,
  MESSAGE_RESPONSE as RESPONSE,
} from '../../src/packet/message-type.ts';
import { deliver, EVE, Handmade } from './handmade.ts';
import { answersTo, load, loaded, sentTo } from './load.ts';
import type { SimNode } from './sim-node.ts';

const elsewhere = (address: string, port = 51820) => makeEndpoint(parseAddress(address)!, port);

describe('under load', () => {
  test('an initiation is answered only with a cookie, without any DH', () => {
    const { sim, a, b } = loaded();
    load(sim, b);
    const before = b.counters.badHandshake;
    deliver(b, a.endpoint, [new Handmade(b, a.privateKey).initiation()]);
    expect(answersTo(sim, b, a.endpoint)).toEqual([COOKIE_REPLY]);
    expect([b.counters.badHandshake, b.counters.handshakesAnswered]).toEqual([before, 0]);
  });

  test('the cookie admits the same sender', () => {
    const { sim, a, b } = loaded();
    const twin = new Handmade(b, a.privateKey);
    load(sim, b);
    deliver(b, a.endpoint, [twin.initiation()]);
    expect(twin.takeCookie(a.endpoint)).toBe(true);
    deliver(b, a.endpoint, [twin.initiation()]);
    expect(answersTo(sim, b, a.endpoint)).toEqual([COOKIE_REPLY, RESPONSE]);
  });

  test('an engine whose initiation met load succeeds 5 s later, even though the load continues', () => {
    const { sim, a, b } = loaded();
    load(sim, b);
    const id = sim.send(a, b);
    sim.run(500);
    expect(a.count('cookie-received')).toBe(1);
    sim.run(4480);
    load(sim, b);
    sim.run(500);
    load(sim, b);
    sim.run(500);
    expect(sim.wasDelivered(id)).toBe(true);
    expect(sim.sentBy(a, INITIATION).map(s => s.bytes.subarray(132).some(byte => byte !== 0))).toEqual([false, true]);
    expect(b.counters.handshakesAnswered).toBe(1);
  });

  test('a cookie is valid only for its address and port', () => {
    const { sim, a, b } = loaded();
    const home = elsewhere('192.0.2.1', 51820);
    const twin = new Handmade(b, a.privateKey);
    load(sim, b);
    deliver(b, home, [twin.initiation()]);
    twin.takeCookie(home);
    const message = twin.initiation();
    for (const other of [
      elsewhere('192.0.2.1', 51821),
      elsewhere('192.0.2.9', 51820),
      elsewhere('2001:db8::1', 51820),
    ]) {
      deliver(b, other, [message]);
      expect(answersTo(sim, b, other)).toEqual([COOKIE_REPLY]);
    }
    deliver(b, home, [message]);
    expect(answersTo(sim, b, home)).toEqual([COOKIE_REPLY, RESPONSE]);
  });

  test('a cookie is valid as long as its secret, 120 s', () => {
    for (const [age, answer] of [
      [119_000, RESPONSE],
      [121_000, COOKIE_REPLY],
    ] as const) {
      const { sim, a, b } = loaded();
      const twin = new Handmade(b, a.privateKey);
      load(sim, b);
      deliver(b, a.endpoint, [twin.initiation()]);
      twin.takeCookie(a.endpoint);
      // made while the cookie was fresh, since the jar stops using it after 115 s
      sim.run(100_000);
      const message = twin.initiation();
      sim.run(age - 100_000);
      load(sim, b);
      deliver(b, a.endpoint, [message]);
      expect(answersTo(sim, b, a.endpoint).at(-1), `${age} ms`).toBe(answer);
    }
  });

  test('a response needs a mac2 too, and its cookie goes to the responder', () => {
    const { sim, a, b } = loaded();
    sim.send(a, b);
    load(sim, a);
    sim.run(500);
    expect([a.count('session'), b.count('cookie-received')]).toEqual([0, 1]);
    sim.run(4490);
    load(sim, a);
    sim.run(500);
    expect(a.count('session')).toBe(1);
  });
});

describe('a sender with a cookie', () => {
  /** The answers to initiations of a sender with a cookie, `gap` ms apart, under constant load. */
  function asked(node: SimNode, twin: Handmade, from: Uint8Array, count: number, gap: number): number {
    const { sim } = node;
    const before = node.counters.rateLimited;
    for (let i = 0; i < count; i++) {
      deliver(node, from, [twin.initiation()]);
      sim.run(gap);
    }
    return count - (node.counters.rateLimited - before);
  }

  test('gets five answers at once, then twenty per second', () => {
    const { sim, b } = loaded();
    const stranger = new Handmade(b);
    load(sim, b);
    deliver(b, EVE, [stranger.initiation()]);
    expect(stranger.takeCookie(EVE)).toBe(true);
    const before = b.counters.unknownPeer;
    expect(asked(b, stranger, EVE, 20, 0)).toBe(5);
    // none for 40 ms, then one every 50 ms
    expect(asked(b, stranger, EVE, 1, 10)).toBe(0);
    sim.run(490);
    expect(asked(b, stranger, EVE, 45, 10)).toBe(5 + 8);
    // the others were not even opened
    expect(b.counters.unknownPeer - before).toBe(5 + 5 + 8);
  });

  test('does not consume the limit of another address', () => {
    const { sim, a, b } = loaded();
    const stranger = new Handmade(b);
    const twin = new Handmade(b, a.privateKey);
    load(sim, b);
    for (const [who, where] of [
      [stranger, EVE],
      [twin, a.endpoint],
    ] as const) {
      deliver(b, where, [who.initiation()]);
      who.takeCookie(where);
    }
    expect(asked(b, stranger, EVE, 50, 0)).toBe(5);
    expect(asked(b, twin, a.endpoint, 5, 21)).toBe(5);
    expect(answersTo(sim, b, a.endpoint)).toEqual([COOKIE_REPLY, ...new Array<number>(5).fill(RESPONSE)]);
  });
});

describe('a cookie reply', () => {
  test('that does not answer our last message is refused: foreign, repeated, or for an earlier message', () => {
    const { sim, a, b } = loaded();
    load(sim, b);
    sim.send(a, b);
    sim.run(100);
    const reply = sim.sentBy(b, COOKIE_REPLY).find(sentTo(a.endpoint))!;
    expect(a.count('cookie-received')).toBe(1);
    sim.inject(a.endpoint, b.endpoint, reply.bytes);
    sim.run(100);
    expect([a.count('cookie-received'), a.counters.badCookie]).toEqual([1, 1]);
    const unknown = Uint8Array.from(reply.bytes);
    unknown[4]! ^= 1;
    sim.inject(a.endpoint, b.endpoint, unknown);
    sim.run(100);
    expect(a.counters.unknownReceiver).toBe(1);
    // a new initiation is pending: the old reply names its index but was made for another mac1
    sim.wire.cut = true;
    sim.run(5400);
    sim.wire.cut = false;
    const renamed = Uint8Array.from(reply.bytes);
    renamed.set(sim.sentBy(a, INITIATION).at(-1)!.bytes.subarray(4, 8), 4);
    sim.inject(a.endpoint, b.endpoint, renamed);
    sim.run(100);
    expect([a.count('cookie-received'), a.counters.badCookie]).toEqual([1, 2]);
  });

  test('with any flipped bit is refused, and the genuine one is still accepted afterwards', () => {
    const { sim, a, b } = loaded();
    load(sim, b);
    sim.tamper = s => (s.bytes[0] === COOKIE_REPLY ? undefined : s.bytes);
    sim.send(a, b);
    sim.run(100);
    const reply = sim.sentBy(b, COOKIE_REPLY).find(sentTo(a.endpoint))!;
    for (let bit = 64; bit < 512; bit += 7) {
      const bent = Uint8Array.from(reply.bytes);
      bent[bit >> 3]! ^= 1 << (bit & 7);
      a.receive(b.endpoint, bent);
    }
    expect([a.counters.badCookie, a.count('cookie-received')]).toEqual([64, 0]);
    a.receive(b.endpoint, reply.bytes);
    expect(a.count('cookie-received')).toBe(1);
  });

  test('is used for 115 s', () => {
    const { sim, a, b } = loaded();
    const twin = new Handmade(b, a.privateKey);
    load(sim, b);
    deliver(b, a.endpoint, [twin.initiation()]);
    twin.takeCookie(a.endpoint);
    const hasMac2 = () =>
      twin
        .initiation()
        .subarray(132)
        .some(byte => byte !== 0);
    sim.run(114_999);
    expect(hasMac2()).toBe(true);
    sim.run(1);
    expect(hasMac2()).toBe(false);
  });
});

/**
 * A forged message changes nothing: no counter, no window, no endpoint, no timer, no handshake in
 * progress.
 */
import { describe, expect, test } from 'vitest';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { CookieJar } from '../../src/protocol/cookie.ts';
import type { Keypair } from '../../src/protocol/keypair.ts';
import type { Peer } from '../../src/protocol/peer.ts';
import { withSeed } from '../support/random.ts';
import { type BareNode, type BarePair, barePair, settle } from './bare-node.ts';
import { EVE } from './handmade.ts';
import { makePacket } from './payload.ts';

const MAC1_FROM_END = 32;
const MAC2_FROM_END = 16;

/** The changeable state of a peer. */
function state({ device, queue }: BareNode, peer: Peer) {
  const keypair = (k: Keypair | undefined) => k && [k.localIndex, k.counterLow, k.counterHigh, k.maySend];
  const { keypairs, timers } = peer;
  return {
    keypairs: [keypairs.previous, keypairs.current, keypairs.next].map(keypair),
    pending: peer.pending?.localIndex,
    chaining: peer.pending && [...peer.pending.state.chainingKey],
    endpoint: [...peer.endpoint],
    timestamp: [...peer.latestTimestamp],
    handshakes: [peer.lastInitiationConsumed, peer.lastSentHandshake, peer.handshakeAttempts, peer.lastHandshakeWall],
    bytes: [peer.rxBytes, peer.txBytes],
    timers: [0, 1, 2, 3, 4, 5].map(timer => timers.pending(timer)),
    earliest: timers.earliest,
    staged: peer.staged.segments,
    tables: [device.indices.size, device.slots.inUse, queue.length],
  };
}

const dropped = ({ device: { counters } }: BareNode) =>
  counters.malformedDatagram +
  counters.unknownReceiver +
  counters.badMac1 +
  counters.badHandshake +
  counters.unknownPeer +
  counters.badTag +
  counters.badCookie +
  counters.replayed;

/**
 * Delivers each message later and from another address, and checks that it is counted as dropped
 * and changes nothing.
 */
function refused(node: BareNode, peer: Peer, messages: readonly Uint8Array[]): void {
  const before = state(node, peer);
  const count = dropped(node);
  const events = node.device.counters.sessions;
  node.now += 30;
  messages.forEach((message, i) => {
    node.receive(EVE, message);
    expect(state(node, peer), `message ${i}`).toEqual(before);
  });
  expect(node.take()).toEqual([]);
  expect(dropped(node) - count).toBe(messages.length);
  expect(node.device.counters.sessions).toBe(events);
  node.now -= 30;
}

/** The message with each bit of a range of bytes flipped in turn. */
function flips(message: Uint8Array, from = 0, to = message.length): Uint8Array[] {
  return Array.from({ length: 8 * (to - from) }, (_, bit) => {
    const bent = Uint8Array.from(message);
    bent[from + (bit >> 3)]! ^= 1 << (bit & 7);
    return bent;
  });
}

/**
 * Like `flips`, with a valid mac1, which anyone who knows the receiver's public key can compute.
 */
function flipsWithMac1(to: BareNode, message: Uint8Array, from: number): Uint8Array[] {
  const jar = new CookieJar(opensslCrypto, to.device.identity!.publicKey);
  const made = flips(message, from, message.length - MAC1_FROM_END);
  for (const bent of made) jar.addMacs(bent, 0);
  return made;
}

const cuts = (message: Uint8Array) => Array.from({ length: message.length }, (_, n) => message.subarray(0, n));

function initiated(): BarePair & { initiation: Uint8Array } {
  const made = barePair();
  made.a.send(makePacket(0, 1, 1, 40, false));
  return { ...made, initiation: made.a.take()[0]! };
}

function answered() {
  const made = initiated();
  made.b.receive(made.a.endpoint, made.initiation);
  return { ...made, response: made.b.take()[0]! };
}

function talking() {
  const made = barePair();
  made.a.send(makePacket(0, 1, 1, 40, false));
  settle(made);
  made.b.delivered = [];
  made.a.send(makePacket(0, 1, 2, 40, false));
  return { ...made, data: made.a.take()[0]! };
}

describe('an initiation', () => {
  test('with any bit wrong up to its mac1', () => {
    const { a, b, ofA, initiation } = initiated();
    refused(b, ofA, flips(initiation, 0, initiation.length - MAC2_FROM_END));
    // the genuine one is still valid
    b.receive(a.endpoint, initiation);
    expect(b.take()).toHaveLength(1);
  });

  test('with any bit of its key, identity or time flipped, and a valid mac1', () => {
    const { a, b, ofA, initiation } = initiated();
    refused(b, ofA, flipsWithMac1(b, initiation, 8));
    b.receive(a.endpoint, initiation);
    expect(b.take()).toHaveLength(1);
  });

  test('truncated anywhere, or extended', () => {
    const { b, ofA, initiation } = initiated();
    const cut = cuts(initiation).filter(message => message.length > 0);
    refused(b, ofA, [...cut, Buffer.concat([initiation, new Uint8Array(1)])]);
  });

  test('that is sent back to its sender', () => {
    const { a, ofB, initiation } = initiated();
    refused(a, ofB, [initiation]);
  });
});

describe('a response', () => {
  test('with any bit wrong up to its mac1', () => {
    const { a, b, ofB, response } = answered();
    refused(a, ofB, flips(response, 0, response.length - MAC2_FROM_END));
    a.receive(b.endpoint, response);
    expect(ofB.keypairs.current).toBeDefined();
  });

  test('with any bit of its key or tag flipped, and a valid mac1', () => {
    const { a, b, ofB, response } = answered();
    refused(a, ofB, flipsWithMac1(a, response, 8));
    a.receive(b.endpoint, response);
    expect(ofB.keypairs.current).toBeDefined();
  });

  test('truncated anywhere, or reflected to its sender', () => {
    const { a, b, ofA, ofB, response } = answered();
    refused(a, ofB, cuts(response).slice(1));
    refused(b, ofA, [response]);
  });
});

describe('a transport message', () => {
  test('with any bit flipped', () => {
    const { a, b, ofA, data } = talking();
    refused(b, ofA, flips(data));
    // neither its counter nor any other was consumed
    b.receive(a.endpoint, data);
    expect(b.delivered).toEqual([makePacket(0, 1, 2, 40, false)]);
  });

  test('with a counter far ahead, which must not move the window', () => {
    const { a, b, ofA, data } = talking();
    const far = Uint8Array.from(data);
    far.fill(0xff, 8, 14);
    refused(b, ofA, [far]);
    b.receive(a.endpoint, data);
    expect(b.delivered).toHaveLength(1);
  });

  test('truncated anywhere, or with trailing bytes', () => {
    const { b, ofA, data } = talking();
    refused(b, ofA, [...cuts(data).slice(1), Buffer.concat([data, new Uint8Array(16)])]);
  });

  test('that was already received', () => {
    const { a, b, ofA, data } = talking();
    b.receive(a.endpoint, data);
    refused(b, ofA, [data, data]);
  });

  test('that is reflected to its sender, with the sender’s own index', () => {
    const { a, ofB, data } = talking();
    const reflected = Uint8Array.from(data);
    new DataView(reflected.buffer).setUint32(4, ofB.keypairs.current!.localIndex, true);
    refused(a, ofB, [data, reflected]);
  });
});

test('random bytes of every size and type', () => {
  withSeed(random => {
    const { a, b, ofA, ofB } = talking();
    const messages: Uint8Array[] = [];
    for (const type of [0, 1, 2, 3, 4, 5, 255])
      for (const length of [1, 4, 31, 32, 33, 63, 64, 65, 91, 92, 93, 147, 148, 149, 1500, 65_507]) {
        const junk = random.bytes(length);
        junk.set([type, 0, 0, 0].slice(0, length));
        messages.push(junk);
      }
    refused(b, ofA, messages);
    refused(a, ofB, messages);
  });
});

/**
 * A handshake leaves no chaining key, message key or result of DH in memory, whether it succeeds or
 * is refused (kernel noise.c, which overwrites them in each of its functions).
 */
import { expect, test } from 'vitest';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { seeded } from '../support/random.ts';
import { BareNode } from './bare-node.ts';
import { makePacket } from './payload.ts';

/** Two nodes, and every such array that is left: all except the DH of the static keys. */
function talking() {
  const made = [0, 1].map(i => {
    const secrets = new Set<Uint8Array>();
    const keep = (value: unknown): void => {
      if (value instanceof Uint8Array) secrets.add(value);
      else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) keep(inner);
    };
    const crypto: CryptoProvider = {
      ...opensslCrypto,
      kdf: (chainingKey, input, count) => {
        const known = [...made[i]!.node.device.eachPeer()].map(peer => peer.staticShared && hex(peer.staticShared));
        if (known.includes(hex(input))) keep(input);
        const results = opensslCrypto.kdf(chainingKey, input, count);
        keep(results);
        return results;
      },
      dh: (key, theirs) => {
        const result = opensslCrypto.dh(key, theirs);
        keep(result);
        return result;
      },
      dhMany: (key, theirs) => {
        const results = opensslCrypto.dhMany(key, theirs);
        keep(results);
        return results;
      },
      dhEphemeral: jobs => {
        const results = opensslCrypto.dhEphemeral(jobs);
        for (const { shared } of results) keep(shared);
        return results;
      },
    };
    const node = new BareNode(seeded(i), i, crypto);
    const isOfPeer = (bytes: Uint8Array) => [...node.device.eachPeer()].some(peer => peer.staticShared === bytes);
    const left = () => [...secrets].filter(bytes => bytes.some(byte => byte !== 0) && !isOfPeer(bytes));
    return { node, secrets, left };
  });
  const [a, b] = made as [(typeof made)[0], (typeof made)[0]];
  const [ofB, ofA] = [a.node.meet(b.node), b.node.meet(a.node)];
  return { a, b, ofA, ofB };
}

test('are erased once a session exists, on both sides', () => {
  const { a, b } = talking();
  a.node.send(makePacket(0, 1, 1, 40, false));
  b.node.receive(a.node.endpoint, a.node.take()[0]!);
  expect([b.secrets.size > 12, b.left()]).toEqual([true, []]);
  // the initiator keeps the state of the handshake until the response
  expect(a.left().length).toBeGreaterThan(0);
  a.node.receive(b.node.endpoint, b.node.take()[0]!);
  expect([a.secrets.size > 12, a.left(), a.node.device.counters.sessions]).toEqual([true, [], 1]);
});

test('are erased of an initiation that is refused: replayed, too early, or with a wrong time', () => {
  const { a, b, ofA, ofB } = talking();
  a.node.send(makePacket(0, 1, 1, 40, false));
  const first = a.node.take()[0]!;
  a.node.now += 6000;
  a.node.sender.initiate(ofB, a.node.now);
  a.node.send();
  const second = a.node.take()[0]!;
  b.node.receive(a.node.endpoint, first);
  b.node.receive(a.node.endpoint, first);
  b.node.receive(a.node.endpoint, second);
  ofA.staticShared![0]! ^= 1;
  b.node.receive(a.node.endpoint, second);
  const { replayedInitiation, initiationFlood, badHandshake } = b.node.device.counters;
  expect([replayedInitiation, initiationFlood, badHandshake]).toEqual([1, 1, 1]);
  b.node.device.removePeer(ofA);
  b.node.receive(a.node.endpoint, second);
  expect([b.node.device.counters.unknownPeer, b.left()]).toEqual([1, []]);
});

test('are erased of a response that is refused, and the pending handshake goes on', () => {
  const { a, b, ofB } = talking();
  a.node.send(makePacket(0, 1, 1, 40, false));
  b.node.receive(a.node.endpoint, a.node.take()[0]!);
  const response = b.node.take()[0]!;
  const pending = a.left().length;
  ofB.presharedKey.fill(1);
  a.node.receive(b.node.endpoint, response);
  expect([a.node.device.counters.badHandshake, a.left().length]).toEqual([1, pending]);
  ofB.presharedKey.fill(0);
  a.node.receive(b.node.endpoint, response);
  expect([a.node.device.counters.sessions, a.left()]).toEqual([1, []]);
});

test('are erased of a session for which there is no key slot', () => {
  const answering = talking();
  answering.b.node.device.slots.take = () => -1;
  answering.a.node.send(makePacket(0, 1, 1, 40, false));
  answering.b.node.receive(answering.a.node.endpoint, answering.a.node.take()[0]!);
  expect([answering.b.node.device.counters.noKeySlot, answering.b.left()]).toEqual([1, []]);
  const { a, b } = talking();
  a.node.send(makePacket(0, 1, 1, 40, false));
  b.node.receive(a.node.endpoint, a.node.take()[0]!);
  const pending = a.left().length;
  a.node.device.slots.take = () => -1;
  a.node.receive(b.node.endpoint, b.node.take()[0]!);
  expect([a.node.device.counters.noKeySlot, a.left().length]).toEqual([1, pending]);
});

test('are erased of an unanswered initiation, with its peer', () => {
  const { a, ofB } = talking();
  a.node.send(makePacket(0, 1, 1, 40, false));
  const { staticShared } = ofB;
  a.node.device.removePeer(ofB);
  expect([a.left(), staticShared, ofB.presharedKey]).toEqual([[], new Uint8Array(32), new Uint8Array(32)]);
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

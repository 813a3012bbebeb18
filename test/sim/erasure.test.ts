/**
 * Erasure of ephemeral private keys: with one and a static key, recorded traffic can be decrypted
 * later (whitepaper sections 5.4.2 and 6.3).
 */
import { expect, test } from 'vitest';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { seeded } from '../support/random.ts';
import { BareNode } from './bare-node.ts';
import { makePacket } from './payload.ts';

/** A provider that records every private key it gets, and which of them were forgotten. */
function watched() {
  const used = new Set<Uint8Array>();
  const forgotten = new Set<Uint8Array>();
  const crypto: CryptoProvider = {
    ...opensslCrypto,
    publicKey(key) {
      used.add(key);
      return opensslCrypto.publicKey(key);
    },
    dh(key, theirs) {
      used.add(key);
      return opensslCrypto.dh(key, theirs);
    },
    dhMany(key, theirs) {
      used.add(key);
      return opensslCrypto.dhMany(key, theirs);
    },
    dhEphemeral(jobs) {
      for (const { privateKey } of jobs) used.add(privateKey);
      return opensslCrypto.dhEphemeral(jobs);
    },
    forget(key) {
      forgotten.add(key);
      opensslCrypto.forget(key);
    },
  };
  return { crypto, used, forgotten };
}

function hosts() {
  const [first, second] = [watched(), watched()];
  const [a, b] = [new BareNode(seeded(1), 0, first.crypto), new BareNode(seeded(2), 1, second.crypto)];
  a.meet(b);
  b.meet(a);
  return { a, b, first, second };
}

/** All keys except the static one. */
const ephemerals = (node: BareNode, used: Set<Uint8Array>): Uint8Array[] =>
  [...used].filter(key => key !== node.device.identity?.privateKey);

test('are forgotten on both sides as soon as a session exists', () => {
  const { a, b, first, second } = hosts();
  a.send(makePacket(0, 1, 1, 40, false));
  b.receive(a.endpoint, a.take()[0]!);
  expect(ephemerals(b, second.used)).toHaveLength(1);
  a.receive(b.endpoint, b.take()[0]!);
  expect(a.device.counters.sessions).toBe(1);
  for (const [node, { used, forgotten }] of [
    [a, first],
    [b, second],
  ] as const)
    for (const key of ephemerals(node, used)) expect([forgotten.has(key), key]).toEqual([true, new Uint8Array(32)]);
  expect(ephemerals(a, first.used)).toHaveLength(1);
});

test('of an unanswered initiation are forgotten with the next one, and when all sessions are forgotten', () => {
  const { a, first } = hosts();
  a.send(makePacket(0, 1, 1, 40, false));
  const peer = [...a.device.eachPeer()][0]!;
  a.now += 6000;
  a.sender.initiate(peer, a.now);
  const [early, late] = ephemerals(a, first.used);
  expect([first.forgotten.has(early!), first.forgotten.has(late!)]).toEqual([true, false]);
  a.device.forgetSessions(peer);
  expect([early, late]).toEqual([new Uint8Array(32), new Uint8Array(32)]);
});

test('a static key is forgotten when it is replaced or removed', () => {
  const { a, first } = hosts();
  const before = a.device.identity!.privateKey;
  a.device.setIdentity(new Uint8Array(32).fill(9));
  const after = a.device.identity!.privateKey;
  a.device.setIdentity(undefined);
  expect([first.forgotten.has(before), first.forgotten.has(after), before, after]).toEqual([
    true,
    true,
    new Uint8Array(32),
    new Uint8Array(32),
  ]);
});

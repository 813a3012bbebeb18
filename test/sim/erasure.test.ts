/**
 * Erasure of keys. With an ephemeral private key and a static key, recorded traffic can be
 * decrypted later (whitepaper sections 5.4.2 and 6.3). A hand-over leaves no key in the engine and
 * in the state that it leaves behind.
 */
import { describe, expect, test } from 'vitest';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { Engine } from '../../src/protocol/engine.ts';
import { eraseEngineState, type FullEngineState } from '../../src/protocol/engine-state.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import { seeded } from '../support/random.ts';
import { places } from '../support/state-mutations.ts';
import { BareNode } from './bare-node.ts';
import { frozenState, throughV8 } from './hand-over.ts';
import { load } from './load.ts';
import { session } from './pair.ts';
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

describe('a hand-over leaves no key', () => {
  /** Fields of a state that hold no secret. */
  const open =
    /(publicKey|endpoint|allowedIps|timers|ring|lastMac1|latestTimestamp|at|peers|isInitiation|messages|fragment|(sources|tokens|last)[46])$/;

  function secretsOf(state: FullEngineState): Uint8Array[] {
    return places(state).flatMap(({ path, parent, key }) => {
      const value = parent[key];
      return ArrayBuffer.isView(value) && !open.test(path) ? [value as Uint8Array] : [];
    });
  }

  /** Returns an engine with every kind of secret, and all arrays that its providers saw. */
  function handedOver() {
    const passed: Uint8Array[] = [];
    const cipher = new TwinCipher(opensslPacketAead);
    const { sim, a, b } = session({ presharedKey: seeded(3).bytes(32) });
    const random = seeded(4);
    const options = {
      crypto: recording(passed),
      cipher,
      random: (bytes: Uint8Array) => {
        random.fill(bytes);
        passed.push(bytes);
      },
      wall: () => 1_700_000_000_000_000_000n + BigInt(Math.floor(sim.now * 1e6)),
    };
    b.engine = new Engine(options, throughV8(frozenState(b.engine)));
    // a new session, in both roles, and a pending initiation under a cookie
    sim.run(130_000);
    sim.send(a, b);
    sim.send(b, a);
    sim.run(1000);
    load(sim, b);
    load(sim, a);
    b.configure({ peers: [{ publicKey: a.publicKey, initiate: true }] });
    sim.run(100);
    sim.wire.cut = true;
    sim.run(5500);
    sim.send(b, a);
    return { sim, a, b, cipher, options, passed };
  }

  test('in the engine that was frozen and closed', () => {
    const { b, cipher, passed } = handedOver();
    const state = frozenState(b.engine);
    const [peer] = state.peers;
    const kinds = [peer!.pending, peer!.current, peer!.cookies.cookie, peer!.staticShared, state.identity];
    expect(kinds.filter(kind => kind === undefined)).toEqual([]);
    const secrets = new Set(secretsOf(state).map(hex));
    const found = () => passed.filter(bytes => secrets.has(hex(bytes)));
    expect(found().length).toBeGreaterThan(5);
    b.engine.close();
    expect(found()).toEqual([]);
    const into = new Uint8Array(32);
    for (let slot = 0; slot < 12; slot++) expect(cipher.copyKey(slot, into)).toBe(false);
  });

  test('in the state, once it is erased', () => {
    const { b } = handedOver();
    const state = frozenState(b.engine);
    expect(secretsOf(state).every(bytes => bytes.some(byte => byte !== 0) || bytes.length === 0)).toBe(true);
    eraseEngineState(state);
    expect(secretsOf(state).every(bytes => bytes.every(byte => byte === 0))).toBe(true);
  });

  test('in the next engine, which copies the state and is closed in its turn', () => {
    const { b, options, passed } = handedOver();
    const state = frozenState(b.engine);
    const secrets = new Set(secretsOf(state).map(hex));
    b.engine.close();
    const next = new Engine(options, state);
    eraseEngineState(state);
    expect(new Set(secretsOf(frozenState(next)).map(hex))).toEqual(secrets);
    next.close();
    expect(passed.filter(bytes => secrets.has(hex(bytes)))).toEqual([]);
  });
});

/** A provider that keeps every array that it gets or returns. */
function recording(passed: Uint8Array[]): CryptoProvider {
  const keep = (value: unknown): void => {
    if (value instanceof Uint8Array) passed.push(value);
    else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) keep(inner);
  };
  return new Proxy(opensslCrypto, {
    get(target, name: keyof CryptoProvider) {
      const original = target[name];
      if (typeof original !== 'function') return original;
      return (...args: unknown[]) => {
        keep(args);
        const result = (original as (...given: unknown[]) => unknown).apply(target, args);
        keep(result);
        return result;
      };
    },
  });
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

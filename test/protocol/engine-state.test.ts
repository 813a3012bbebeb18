/**
 * The check of an engine's state names what is wrong. A mutated state is refused with a clear
 * error, or makes an engine that works.
 */
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import { makePacketBatch, PACKET_LENGTH, VNET_HEADER_SIZE } from '../../src/packet/batch.ts';
import { Engine } from '../../src/protocol/engine.ts';
import {
  type EngineState,
  eraseEngineState,
  type FullEngineState,
  type KeypairState,
  type PeerState,
} from '../../src/protocol/engine-state.ts';
import { checkEngineState } from '../../src/protocol/engine-state-check.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import { frozenState } from '../sim/hand-over.ts';
import { flood } from '../sim/handmade.ts';
import { makePacket } from '../sim/payload.ts';
import { Simulation } from '../sim/simulation.ts';
import { cryptoProviders } from '../support/crypto-providers.ts';
import { batchOf } from '../support/datagrams.ts';
import { type Random, seeded, withSeed } from '../support/random.ts';
import { change, mutate, places } from '../support/state-mutations.ts';

const RUNS = Number(process.env['WG_FUZZ_RUNS'] ?? 2000);
const HANG_LIMIT_MS = 600_000;
const EVE = makeEndpoint(parseAddress('203.0.113.9')!, 9);

const state = fullState();
/** An optional field may be undefined; every other one has one type. */
const fields = places(state).filter(({ path }) => !path.includes('[1]'));

describe('the check', () => {
  test('accepts the state of an engine, and returns it', () => {
    expect(checkEngineState(state)).toBe(state);
  });

  // any object may hold counters
  test.each(fields.map(({ path }) => path).filter(path => path !== 'counters'))('names %s of a wrong type', path => {
    for (const value of ['text', null, new Uint16Array(32), { length: 32 }]) {
      const wrong = change(state, path, () => value);
      expect(() => checkEngineState(wrong)).toThrow(`engine state: ${path}`);
    }
  });

  test('names a missing field, unless it is optional', () => {
    const optional = /^identity|\.(previous|current|next|pending|staticShared|cookie)$|^counters\./;
    for (const { path } of fields) {
      if (optional.test(path)) continue;
      expect(() => checkEngineState(change(state, path, () => undefined))).toThrow(`engine state: ${path} `);
    }
  });

  test.each<[string, (old: never) => unknown, string]>([
    ['version', () => 2, 'is 2; this program reads version 1 only'],
    ['version', () => 0, 'is 0; this program reads version 1 only'],
    ['mtu', () => 65_536, 'is not from 0 to 65535'],
    ['mtu', () => 0.5, 'is not a whole number'],
    ['lastTimestamp', () => 2n ** 63n, 'does not fit into 64 bits'],
    ['identity.privateKey', () => new Uint8Array(31), 'has 31 bytes instead of 32'],
    ['identity.privateKey', () => Buffer.alloc(32), 'is not a Uint8Array'],
    ['identity.privateKey', () => new Uint8Array(33), 'has 33 elements; the most is 32'],
    ['identity.cookieSecretBorn', () => Number.NaN, 'is not a time'],
    ['identity.cookieSecretBorn', () => Number.POSITIVE_INFINITY, 'is not a time'],
    ['dice', () => new Uint8Array(385), 'has 385 elements; the most is 384'],
    ['peers', () => new Array(2 ** 32 - 1), 'has 4294967295 entries; the most is 1048576'],
    ['peers', () => new Array(5), '[0] is not an object'],
    ['peers', (old: PeerState[]) => [...old, old[0]], '[3].publicKey is that of an earlier peer'],
    ['peers[0].allowedIps', (old: Uint8Array) => old.slice(1), 'ends within a prefix'],
    ['peers[0].allowedIps', (old: Uint8Array) => old.fill(5, 0, 1), 'has no prefix at byte 0'],
    ['peers[0].allowedIps', (old: Uint8Array) => old.fill(33, 1, 2), 'has no prefix at byte 0'],
    ['peers[0].allowedIps', (old: Uint8Array) => repeated(old), 'has a prefix twice, or one of an earlier peer'],
    ['peers[1].allowedIps', () => state.peers[0]!.allowedIps, 'has a prefix twice, or one of an earlier peer'],
    ['peers[0].timers', () => new Float64Array(5), 'has 5 times instead of 6'],
    ['peers[0].timers', () => new Float64Array(6).fill(-1), 'has a number that is not a time'],
    ['peers[0].timers', () => new Float64Array(6).fill(Number.NaN), 'has a number that is not a time'],
    ['peers[0].current.counterHigh', () => 2 ** 32, 'is not from 0 to 4294967295'],
    ['peers[0].current.counterHigh', () => -1, 'is not from 0 to 4294967295'],
    ['peers[0].current.born', () => Number.NEGATIVE_INFINITY, 'is not a time'],
    ['peers[0].current.replay.ring', () => new Uint32Array(255), 'has 255 words instead of 256'],
    ['peers[0].next.localIndex', () => 1, 'is in use by an earlier session or handshake'],
    ['peers[0].pending.localIndex', () => 2, 'is in use by an earlier session or handshake'],
    ['peers[0].staged[0].segments', () => 2, 'is 2, but the packet has 1'],
    ['peers[0].staged[0].bytes', () => new Uint8Array(60), 'is not a packet behind its vnet header'],
    ['peers[0].staged[0].bytes', () => new Uint8Array(70_000), 'has 70000 elements; the most is '],
    ['peers[0].staged', () => new Array(129), 'has 129 entries; the most is 128'],
    ['peers[0].rxBytes', () => 2 ** 53, 'is not from 0 to '],
    ['deadlines.peers', (old: Uint32Array) => old.fill(3, 0, 1), 'names a peer that does not exist'],
    ['deadlines.peers', () => new Uint32Array(4), 'has 4 elements; the most is 3'],
    ['deadlines.at', (old: Float64Array) => old.slice(1), 'has 2 times instead of 3'],
    ['deadlines.at', (old: Float64Array) => old.fill(Number.POSITIVE_INFINITY), 'has a number that is not a time'],
    ['queue.messages', (old: Uint8Array) => old.slice(1), 'bytes instead of'],
    ['queue.isInitiation', () => new Uint8Array(4097), 'has 4097 elements; the most is 4096'],
    ['limiter.sources4', () => new Uint32Array(65_537), 'has 65537 elements; the most is 65536'],
    ['limiter.sources6', () => new Uint32Array(3), 'ends within a source'],
    ['limiter.tokens4', () => new Float64Array(0), 'has 0 numbers instead of 1'],
    ['limiter.tokens4', () => Float64Array.of(251), 'has a number not from 0 to 250'],
    ['counters.badTag', () => -1, 'is not from 0 to '],
  ])('refuses %s %s', (path, to, problem) => {
    const wrong = change(state, path, to);
    expect(() => checkEngineState(wrong)).toThrow(`engine state: ${path}`);
    expect(() => checkEngineState(wrong)).toThrow(problem);
  });

  test('accepts a device without a private key', () => {
    const bare = { ...state, identity: undefined };
    expect(checkEngineState(bare)).toBe(bare);
  });

  test('refuses what is no state at all', () => {
    for (const value of [undefined, null, 1, 'state', [], new Uint8Array(4), new Float64Array(2)])
      expect(() => checkEngineState(value)).toThrow('engine state: the state is not an object');
    expect(() => checkEngineState({})).toThrow('engine state: version is not a whole number');
  });

  test('refuses more sessions than the cipher has keys', () => {
    const [like] = state.peers;
    const peers = Array.from({ length: 87_382 }, (_, i): PeerState => {
      const publicKey = new Uint8Array(32);
      new DataView(publicKey.buffer).setUint32(0, i);
      const keypair = (n: number): KeypairState => ({ ...like!.current!, localIndex: 3 * i + n });
      const sessions = { previous: keypair(0), current: keypair(1), next: keypair(2) };
      return { ...like!, ...sessions, pending: undefined, publicKey, allowedIps: new Uint8Array(0) };
    });
    expect(() => checkEngineState({ ...state, peers })).toThrow(
      'engine state: peers have 262146 sessions, which need too many keys',
    );
  });

  test('allows counters that this program does not know, and takes a missing one as 0', () => {
    const { badTag: _, ...others } = state.counters;
    const engine = restored({ ...state, counters: { ...others, ofTomorrow: 5 } as FullEngineState['counters'] });
    expect(engine.counters.badTag).toBe(0);
    expect(engine.counters).not.toHaveProperty('ofTomorrow');
  });
});

test('an engine refuses a state that the check refuses', () => {
  expect(() => restored(change(state, 'version', () => 2))).toThrow('engine state: version is 2');
});

test('an engine without memory for the keys of a state keeps none of them', () => {
  const cipher = new TwinCipher(opensslPacketAead);
  const setKey = cipher.setKey.bind(cipher);
  cipher.setKey = (slot, key) => {
    if (slot === 3) throw new Error('out of memory for packet keys');
    setKey(slot, key);
  };
  expect(() => restored(state, cipher)).toThrow('out of memory for packet keys');
  const into = new Uint8Array(32);
  expect(Array.from({ length: 8 }, (_, slot) => cipher.copyKey(slot, into))).toEqual(new Array(8).fill(false));
});

test('a freeze that fails at any key leaves no copy of the others', () => {
  for (let failing = 0; ; failing++) {
    const cipher = new TwinCipher(opensslPacketAead);
    const copies: Uint8Array[] = [];
    const copyKey = cipher.copyKey.bind(cipher);
    const engine = restored(state, cipher);
    cipher.copyKey = (slot, into) => {
      const isThere = copies.length !== failing && copyKey(slot, into);
      copies.push(into);
      return isThere;
    };
    let error: unknown;
    try {
      engine.freeze();
    } catch (caught) {
      error = caught;
    }
    if (error === undefined) {
      expect(failing).toBeGreaterThan(4);
      expect(copies.every(copy => copy.some(byte => byte !== 0))).toBe(true);
      return;
    }
    expect(String(error)).toContain('does not have the keys');
    expect(copies).toEqual(copies.map(() => new Uint8Array(32)));
    cipher.copyKey = copyKey;
    expect(engine.freeze()).toBeDefined();
  }
});

test('erasing overwrites every array, also of a value that is no state', () => {
  const [inner, outer] = [bytes(1), Float64Array.of(1, 2)];
  const circle: Record<string, unknown> = { version: 1, peers: [{ inner }, null, undefined, 7], outer };
  circle['itself'] = circle;
  eraseEngineState(circle as unknown as EngineState);
  expect([inner, outer]).toEqual([new Uint8Array(32), new Float64Array(2)]);
});

test('a restored engine freezes to the same state', () => {
  expect(restored(state).freeze()).toEqual(state);
});

test('mutated states are refused by an error that names a field, or work', { timeout: HANG_LIMIT_MS }, () => {
  withSeed(random => {
    const seen = { refused: 0, used: 0 };
    for (let i = 0; i < RUNS; i++) {
      const mutant = mutate(state, random);
      try {
        checkEngineState(mutant);
      } catch (error) {
        expect((error as Error).message).toMatch(/^engine state: (the state|[a-zA-Z]+[\w.[\]]*) [^\n]{1,200}$/);
        seen.refused++;
        continue;
      }
      use(restored(mutant as FullEngineState), random);
      seen.used++;
    }
    expect(Math.min(seen.refused, seen.used)).toBeGreaterThan(RUNS / 10);
  });
});

/** Gives an engine all kinds of input; its state must stay one that the check accepts. */
function use(engine: Engine, random: Random): void {
  const noise = batchOf([{ to: EVE, bytes: random.bytes(148).fill(0, 1, 4), tos: 0 }]);
  const packets = makePacketBatch(4096, 1);
  const packet = makePacket(0, random.below(4), 1, 200, false);
  packets.slab.set(packet, VNET_HEADER_SIZE);
  packets.desc[PACKET_LENGTH] = packet.length + VNET_HEADER_SIZE;
  packets.count = 1;
  let now = 2_000_000;
  for (let i = 0; i < 4; i++, now += random.below(100_000)) {
    engine.receive(noise, 0, now);
    engine.drained();
    engine.send(packets, 0, now);
    engine.drained();
    engine.timeout(now);
    engine.drained();
  }
  checkEngineState(engine.freeze());
  engine.close();
}

function restored(from: FullEngineState, cipher = new TwinCipher(opensslPacketAead)): Engine {
  const random = seeded(1);
  return new Engine(
    { crypto: cryptoProviders.at(-1)!, cipher, random: bytes => random.fill(bytes), wall: () => 10n ** 18n },
    from,
  );
}

/** Returns a state in which nothing is empty: that of a server under load, and what it lacks. */
function fullState(): FullEngineState {
  const sim = new Simulation(seeded(5));
  const [server, ...others] = Array.from({ length: 4 }, () => sim.addNode());
  sim.mesh({ presharedKey: new Uint8Array(32).fill(9), persistentKeepalive: 7 });
  for (const node of others) sim.send(node, server!);
  for (let i = 0; i < 30; i++) {
    flood(server!, 552);
    sim.run(i === 29 ? 0 : 200);
  }
  flood(server!, 20);
  const frozen = frozenState(server!.engine);
  const [peer, ...rest] = frozen.peers as [PeerState, ...PeerState[]];
  const packet = new Uint8Array(VNET_HEADER_SIZE + 60);
  packet.set(makePacket(0, 1, 7, 40, false).subarray(0, 60), VNET_HEADER_SIZE);
  const session = (localIndex: number): KeypairState => ({ ...structuredClone(peer.current!), localIndex });
  return structuredClone({
    ...frozen,
    peers: [
      {
        ...peer,
        previous: session(1),
        next: session(2),
        pending: { localIndex: 3, ephemeralPrivate: bytes(1), chainingKey: bytes(2), hash: bytes(3) },
        cookies: { ...peer.cookies, cookie: bytes(4).slice(16) },
        staged: [{ bytes: packet, segments: 1 }],
      },
      ...rest,
    ],
    limiter: {
      ...frozen.limiter,
      sources4: Uint32Array.of(7),
      tokens4: Float64Array.of(200),
      last4: Float64Array.of(sim.now),
      sources6: Uint32Array.of(0x20010db8, 1),
      tokens6: Float64Array.of(50),
      last6: Float64Array.of(sim.now),
    },
  });
}

function bytes(seed: number): Uint8Array {
  return seeded(seed).bytes(32);
}

function repeated(prefixes: Uint8Array): Uint8Array {
  const twice = new Uint8Array(2 * prefixes.length);
  twice.set(prefixes);
  twice.set(prefixes, prefixes.length);
  return twice;
}

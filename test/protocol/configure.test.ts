/** What a device shows of its configuration, and what a configuration must not cause. */
import { describe, expect, test } from 'vitest';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import { Engine } from '../../src/protocol/engine.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import { frozenState } from '../sim/hand-over.ts';
import { flood } from '../sim/handmade.ts';
import { pair, session } from '../sim/pair.ts';
import { seeded } from '../support/random.ts';

const NEVER = Number.POSITIVE_INFINITY;
const PRIVATE_KEY = seeded(3).bytes(32).fill(8, 0, 1).fill(65, 31);
const PUBLIC_KEY = opensslCrypto.publicKey(PRIVATE_KEY);
const PEER_KEY = opensslCrypto.publicKey(seeded(4).bytes(32));
const NO_KEY = new Uint8Array(32);

function made(): Engine {
  const random = seeded(1);
  const cipher = new TwinCipher(opensslPacketAead);
  const options = { crypto: opensslCrypto, cipher, random: (bytes: Uint8Array) => random.fill(bytes), wall: () => 5n };
  return new Engine(options);
}

describe('the status', () => {
  test('has no keys, endpoint and times that are not set', () => {
    const engine = made();
    engine.configure({ peers: [{ publicKey: PEER_KEY }] }, 0);
    expect(engine.status()).toEqual({
      peers: [
        {
          publicKey: PEER_KEY,
          lastHandshakeSeconds: 0,
          lastHandshakeNanoseconds: 0,
          rxBytes: 0,
          txBytes: 0,
          persistentKeepalive: 0,
          allowedIps: [],
        },
      ],
    });
    expect(Object.keys(engine.status().peers[0]!)).not.toContain('presharedKey');
    expect(Object.keys(engine.status().peers[0]!)).not.toContain('endpoint');
  });

  test('has both keys of the device, and a key that is removed goes', () => {
    const engine = made();
    engine.configure({ privateKey: PRIVATE_KEY }, 0);
    expect(engine.status()).toEqual({ privateKey: PRIVATE_KEY, publicKey: PUBLIC_KEY, peers: [] });
    engine.configure({ privateKey: NO_KEY }, 0);
    expect(engine.status()).toEqual({ peers: [] });
  });

  test('is a copy: to overwrite it changes nothing', () => {
    const { a, b } = session({ presharedKey: new Uint8Array(32).fill(9) });
    const before = structuredClone(a.engine.status());
    const status = a.engine.status();
    status.privateKey!.fill(0);
    status.publicKey!.fill(0);
    status.peers[0]!.presharedKey!.fill(0);
    status.peers[0]!.endpoint!.fill(0);
    expect(a.engine.status()).toEqual(before);
    expect(a.status(b).presharedKey).toEqual(new Uint8Array(32).fill(9));
  });

  test('has the time of the last handshake, to the nanosecond', () => {
    const { a, b, sim } = session();
    sim.run(0);
    const { lastHandshakeSeconds, lastHandshakeNanoseconds } = a.status(b);
    const wall = frozenState(a.engine).peers[0]!.lastHandshakeWall;
    expect(BigInt(lastHandshakeSeconds) * 1_000_000_000n + BigInt(lastHandshakeNanoseconds)).toBe(wall);
    expect(lastHandshakeNanoseconds).toBeLessThan(1_000_000_000);
  });
});

describe('a configuration that asks for no message leaves no deadline', () => {
  test.each([
    ['a first key', { privateKey: PRIVATE_KEY }],
    ['a keepalive that stays off', { peers: [{ publicKey: PEER_KEY, persistentKeepalive: 0 }] }],
    ['a preshared key', { peers: [{ publicKey: PEER_KEY, presharedKey: PRIVATE_KEY }] }],
  ])('%s', (_, config) => {
    const engine = made();
    engine.up(0);
    engine.configure({ peers: [{ publicKey: PEER_KEY }] }, 0);
    engine.configure(config, 0);
    expect(engine.nextDeadline()).toBe(NEVER);
    engine.down();
    engine.configure(config, 0);
    engine.up(0);
    expect(engine.nextDeadline()).toBe(NEVER);
  });

  test('a keepalive goes on from when it was turned on; to set it again changes nothing', () => {
    const { sim, a, b } = session({ persistentKeepalive: 20 });
    const due = a.nextDeadline;
    sim.run(1000);
    a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 25 }] });
    expect(a.nextDeadline).toBe(due);
  });
});

describe('the private key', () => {
  test('set again keeps sessions and the secret of the cookies', () => {
    const { sim, a, b } = session();
    flood(b, 600);
    sim.run(10);
    expect(b.counters.cookiesSent).toBeGreaterThan(0);
    const before = frozenState(b.engine);
    b.engine.thaw();
    b.configure({ privateKey: b.privateKey });
    expect(frozenState(b.engine).identity).toEqual(before.identity);
    b.engine.thaw();
    const id = sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
  });

  test('changed while a packet waits for a session sends nothing at once, as in the kernel', () => {
    const { sim, a, b } = pair();
    sim.wire.cut = true;
    sim.send(a, b);
    a.configure({ privateKey: PRIVATE_KEY });
    sim.run(4000);
    expect(a.counters.initiationsSent).toBe(1);
    sim.run(2000);
    expect(a.counters.initiationsSent).toBe(2);
  });

  test('is not needed to remove a peer', () => {
    const engine = made();
    engine.configure({ peers: [{ publicKey: PEER_KEY }] }, 0);
    engine.configure({ peers: [{ publicKey: PEER_KEY, remove: true }] }, 0);
    expect(engine.status().peers).toEqual([]);
  });
});

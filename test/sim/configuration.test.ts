/** The effect of configuration changes on live sessions (kernel netlink.c, set_peer; wg(8)). */
import { describe, expect, test } from 'vitest';
import { formatPrefix, makePrefix, parsePrefix } from '../../src/base/prefix.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { readU32le } from '../../src/packet/byte-order.ts';
import { MESSAGE_INITIATION as INITIATION, MESSAGE_TRANSPORT as TRANSPORT } from '../../src/packet/message-type.ts';
import { seeded } from '../support/random.ts';
import { pair, session } from './pair.ts';
import { innerAddress, makePacket } from './payload.ts';
import type { SimNode } from './sim-node.ts';
import { Simulation } from './simulation.ts';

const allowed = (node: SimNode, of: SimNode) => node.status(of).allowedIps.map(formatPrefix);

function three() {
  const sim = new Simulation(seeded(2));
  const [a, b, c] = [sim.addNode(), sim.addNode(), sim.addNode()];
  sim.mesh();
  return { sim, a, b, c };
}

describe('a live session', () => {
  test('survives every change except those of keys', () => {
    const { sim, a, b } = session();
    const receiver = () => readU32le(sim.sentBy(a, TRANSPORT).at(-1)!.bytes, 4);
    const before = receiver();
    const publicKey = b.publicKey;
    for (const peer of [
      { publicKey, endpoint: b.endpoint },
      { publicKey, persistentKeepalive: 25 },
      { publicKey, presharedKey: sim.random.bytes(32) },
      { publicKey, presharedKey: new Uint8Array(32) },
      { publicKey, allowedIps: [{ prefix: parsePrefix('10.9.0.0/16')! }] },
      { publicKey, allowedIps: [{ prefix: parsePrefix('10.9.0.0/16')!, remove: true }] },
      { ...a.peerConfig(b), replaceAllowedIps: true },
      { publicKey: sim.random.bytes(32), endpoint: b.endpoint },
      { publicKey: sim.random.bytes(32), updateOnly: true },
      { publicKey: sim.random.bytes(32), remove: true },
    ]) {
      a.configure({ peers: [peer] });
      const ids = [sim.send(a, b), sim.send(b, a)];
      sim.run(100);
      expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
      expect(receiver()).toBe(before);
    }
    a.configure({ privateKey: a.privateKey });
    a.configure({ listenPort: 4, fwmark: 7 });
    sim.send(a, b);
    expect(receiver()).toBe(before);
    expect(sim.sentBy(a, INITIATION)).toHaveLength(1);
  });

  test('ends with its peer, and later messages under it have an unknown receiver', () => {
    const { sim, a, b } = session();
    b.configure({ peers: [{ publicKey: a.publicKey, remove: true }] });
    const id = sim.send(a, b);
    sim.run(100);
    expect([b.counters.unknownReceiver, sim.wasDelivered(id)]).toEqual([1, false]);
    expect(b.engine.status().peers).toEqual([]);
  });

  test('of another peer survives when one is removed', () => {
    const { sim, a, b, c } = three();
    for (const from of [a, c]) sim.send(from, b);
    sim.run(100);
    b.configure({ peers: [{ publicKey: a.publicKey, remove: true }] });
    const ids = [sim.send(c, b), sim.send(b, c)];
    sim.run(100);
    expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
    expect(sim.sentBy(c, INITIATION)).toHaveLength(1);
  });

  test('ends with our private key: it sends nothing more, and the new key gets its own session', () => {
    const { sim, a, b } = session();
    const old = readU32le(sim.sentBy(a, TRANSPORT)[0]!.bytes, 4);
    const privateKey = sim.random.bytes(32);
    a.configure({ privateKey });
    b.configure({
      peers: [
        { publicKey: a.publicKey, remove: true },
        { ...b.peerConfig(a), publicKey: opensslCrypto.publicKey(privateKey) },
      ],
    });
    const from = sim.now;
    const id = sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
    expect(sim.sentBy(a, TRANSPORT, from).map(s => readU32le(s.bytes, 4))).not.toContain(old);
    expect(sim.sentBy(a, undefined, from)[0]!.bytes[0]).toBe(INITIATION);
  });

  test('ends when the private key is removed, and no handshake begins without one', () => {
    const { sim, a, b } = session();
    const from = sim.now;
    a.configure({ privateKey: new Uint8Array(32) });
    sim.send(a, b);
    sim.run(30_000);
    expect(sim.sentBy(a, undefined, from)).toHaveLength(0);
    expect(a.engine.status().privateKey).toBeUndefined();
    a.configure({ privateKey: a.privateKey });
    const id = sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
  });
});

describe('while the device is down', () => {
  test('everything can be configured, nothing is sent, and it all applies when the device comes up', () => {
    const { sim, a, b } = session();
    const presharedKey = sim.random.bytes(32);
    a.engine.down();
    const from = sim.now;
    a.configure({ replacePeers: true, peers: [{ ...a.peerConfig(b), presharedKey, persistentKeepalive: 25 }] });
    b.configure({ peers: [{ publicKey: a.publicKey, presharedKey }] });
    sim.run(60_000);
    expect(sim.sentBy(a, undefined, from)).toHaveLength(0);
    a.engine.up(sim.now);
    sim.run(100);
    expect(a.count('session')).toBe(2);
    const id = sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
  });
});

describe('a preshared key', () => {
  test('known to both sides carries traffic; a wrong one never makes a session', () => {
    const { sim, a, b } = pair();
    const presharedKey = sim.random.bytes(32);
    a.configure({ peers: [{ publicKey: b.publicKey, presharedKey }] });
    const id = sim.send(a, b);
    sim.run(20_000);
    expect([a.count('session'), b.count('session')]).toEqual([0, 0]);
    // the responder cannot detect it; the initiator cannot open the response
    expect(a.counters.badHandshake).toBeGreaterThan(2);
    b.configure({ peers: [{ publicKey: a.publicKey, presharedKey }] });
    sim.run(6000);
    expect(sim.wasDelivered(id)).toBe(true);
    expect(a.status(b).presharedKey).toEqual(presharedKey);
  });

  test('takes effect with the next handshake, not before', () => {
    const { sim, a, b } = pair();
    const was = sim.random.bytes(32);
    a.configure({ peers: [{ publicKey: b.publicKey, presharedKey: was }] });
    b.configure({ peers: [{ publicKey: a.publicKey, presharedKey: was }] });
    sim.send(a, b);
    sim.run(20);
    const born = sim.now;
    sim.run(100);
    const presharedKey = sim.random.bytes(32);
    a.configure({ peers: [{ publicKey: b.publicKey, presharedKey }] });
    const first = sim.send(a, b);
    sim.run(100);
    expect(sim.wasDelivered(first)).toBe(true);
    // only one side has the new key: the renewal fails
    sim.runUntil(born + 181_000);
    const second = sim.send(a, b);
    sim.run(1000);
    expect([sim.wasDelivered(second), a.counters.badHandshake]).toEqual([false, 1]);
    b.configure({ peers: [{ publicKey: a.publicKey, presharedKey }] });
    sim.run(5400);
    expect(sim.wasDelivered(second)).toBe(true);
  });
});

describe('allowed ips', () => {
  test('that move to another peer are only on its list, and route there', () => {
    const { sim, a, b, c } = three();
    const prefix = parsePrefix('10.0.0.2/32')!;
    expect(allowed(a, b)).toEqual(['10.0.0.2/32', 'fd00::2/128']);
    a.configure({ peers: [{ publicKey: c.publicKey, allowedIps: [{ prefix }] }] });
    expect(allowed(a, b)).toEqual(['fd00::2/128']);
    expect(allowed(a, c)).toEqual(['10.0.0.3/32', 'fd00::3/128', '10.0.0.2/32']);
    a.send([makePacket(0, 1, 77, 40, false)]);
    expect(sim.sentBy(a).map(s => s.destination)).toEqual([c.endpoint]);
  });

  test('are replaced as a whole or changed one by one, and only for the given peer', () => {
    const { a, b, c } = three();
    const publicKey = b.publicKey;
    a.configure({ peers: [{ publicKey, allowedIps: [{ prefix: parsePrefix('10.7.0.0/16')! }] }] });
    expect(allowed(a, b)).toEqual(['10.0.0.2/32', 'fd00::2/128', '10.7.0.0/16']);
    // a prefix of another peer cannot be removed
    a.configure({
      peers: [{ publicKey: c.publicKey, allowedIps: [{ prefix: parsePrefix('10.7.0.0/16')!, remove: true }] }],
    });
    expect(allowed(a, b)).toContain('10.7.0.0/16');
    a.configure({ peers: [{ publicKey, allowedIps: [{ prefix: parsePrefix('10.0.0.2/32')!, remove: true }] }] });
    expect(allowed(a, b)).toEqual(['fd00::2/128', '10.7.0.0/16']);
    a.configure({
      peers: [{ publicKey, replaceAllowedIps: true, allowedIps: [{ prefix: parsePrefix('10.8.0.1/32')! }] }],
    });
    expect(allowed(a, b)).toEqual(['10.8.0.1/32']);
    a.configure({ peers: [{ publicKey, replaceAllowedIps: true }] });
    expect(allowed(a, b)).toEqual([]);
    expect(allowed(a, c)).toEqual(['10.0.0.3/32', 'fd00::3/128']);
  });
});

describe('replace_peers', () => {
  test('keeps only the listed peers, without their old allowed IPs', () => {
    const { sim, a, b, c } = three();
    a.configure({ replacePeers: true, peers: [a.peerConfig(c)] });
    expect(a.engine.status().peers.map(p => p.publicKey)).toEqual([c.publicKey]);
    sim.send(a, b);
    expect([a.counters.noPeer, a.locals.length]).toEqual([1, 1]);
    a.configure({ replacePeers: true });
    expect(a.engine.status().peers).toEqual([]);
  });
});

describe('a peer', () => {
  test('with our own key is ignored, and an existing one is removed when its key becomes ours', () => {
    const { sim, a, b } = pair();
    const prefix = makePrefix(innerAddress(5, false), 32);
    a.configure({ peers: [{ publicKey: a.publicKey, allowedIps: [{ prefix }], endpoint: a.endpoint }] });
    expect(a.engine.status().peers.map(p => p.publicKey)).toEqual([b.publicKey]);
    a.configure({ privateKey: b.privateKey });
    expect(a.engine.status().peers).toEqual([]);
    sim.send(a, b);
    expect(a.counters.noPeer).toBe(1);
  });

  test('is not created by update_only', () => {
    const { sim, a, b } = pair();
    a.configure({ peers: [{ publicKey: sim.random.bytes(32), updateOnly: true, persistentKeepalive: 5 }] });
    expect(a.engine.status().peers.map(p => p.publicKey)).toEqual([b.publicKey]);
  });

  test('with a key of low order stays in the configuration and never gets a message', () => {
    const { sim, a, b } = pair();
    a.configure({ peers: [{ ...a.peerConfig(b), publicKey: new Uint8Array(32) }] });
    sim.send(a, b);
    sim.run(30_000);
    expect(a.engine.status().peers).toHaveLength(2);
    expect(a.sentTypes).toEqual([]);
  });

  test('without an endpoint causes an ICMP error to the sender, and is reachable after its first message', () => {
    const { sim, a, b } = pair();
    const { endpoint: _, ...config } = b.peerConfig(a);
    b.configure({ replacePeers: true, peers: [config] });
    sim.send(b, a);
    expect([b.counters.noEndpoint, b.locals.length, b.sentTypes.length]).toEqual([1, 1, 0]);
    sim.send(a, b);
    sim.run(100);
    const id = sim.send(b, a);
    sim.run(100);
    expect(sim.wasDelivered(id)).toBe(true);
  });

  test('that gets its endpoint later then gets its keepalive', () => {
    const { sim, a, b } = pair();
    a.configure({ replacePeers: true, peers: [{ publicKey: b.publicKey, persistentKeepalive: 25 }] });
    sim.run(60_000);
    expect(a.sentTypes).toEqual([]);
    a.configure({ peers: [{ publicKey: b.publicKey, endpoint: b.endpoint }] });
    sim.run(100);
    expect(a.sentTypes).toEqual([INITIATION, TRANSPORT]);
  });
});

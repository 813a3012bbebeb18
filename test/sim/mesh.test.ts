/**
 * Cryptokey routing among several peers: permitted sources, and the choice of the peer (whitepaper
 * section 2).
 */
import { describe, expect, test } from 'vitest';
import { parsePrefix } from '../../src/base/prefix.ts';
import { seeded } from '../support/random.ts';
import { makePacket } from './payload.ts';
import { Simulation } from './simulation.ts';

/** A full mesh with sessions between all nodes. */
function mesh(size: number, seed = 1) {
  const sim = new Simulation(seeded(seed));
  const nodes = Array.from({ length: size }, () => sim.addNode());
  sim.mesh();
  for (const from of nodes) for (const to of nodes) if (from.index < to.index) sim.send(from, to);
  sim.run(1000);
  return { sim, nodes };
}

const prefixes = (...texts: string[]) => texts.map(text => ({ prefix: parsePrefix(text)! }));

describe('a packet from a tunnel', () => {
  test('must have a source of the sender: an address of another peer, of no peer, or our own is dropped', () => {
    const { sim, nodes } = mesh(3);
    const [a, b] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
    for (const source of [2, 9, 1]) {
      a.send([makePacket(source, 1, 900 + source, 40, false), makePacket(source, 1, 950 + source, 40, true)]);
      sim.run(20);
    }
    expect(b.counters.sourceNotAllowed).toBe(6);
    expect(sim.delivered).toBe(3);
  });

  test('must not use a narrower prefix of another peer, even if the sender’s own prefix covers it', () => {
    const { sim, nodes } = mesh(3);
    const [a, b, c] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]];
    // at B: all of 10.0.0.0/24 is A's, but 10.0.0.3 is C's
    b.configure({ peers: [{ publicKey: a.publicKey, allowedIps: prefixes('10.0.0.0/24', '::/0') }] });
    a.send([makePacket(2, 1, 900, 40, false), makePacket(2, 1, 901, 40, true)]);
    sim.run(20);
    expect(b.counters.sourceNotAllowed).toBe(2);
    const ids = [sim.send(c, b), sim.send(c, b, { ipv6: true }), sim.send(a, b)];
    sim.run(20);
    expect(ids.every(id => sim.wasDelivered(id))).toBe(true);
    // C is removed, and its address belongs to A's prefix again
    b.configure({ peers: [{ publicKey: c.publicKey, remove: true }] });
    a.send([makePacket(2, 1, 902, 40, false)]);
    expect(() => sim.run(20)).toThrow('payload 902');
  });

  test('is checked against the table at arrival, not at sending', () => {
    const { sim, nodes } = mesh(2);
    const [a, b] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
    const id = sim.send(a, b);
    b.configure({ peers: [{ publicKey: a.publicKey, replaceAllowedIps: true, allowedIps: prefixes('10.0.0.7/32') }] });
    sim.run(20);
    expect([sim.wasDelivered(id), b.counters.sourceNotAllowed]).toEqual([false, 1]);
  });
});

describe('a packet into a tunnel', () => {
  test('goes only to the peer with the longest prefix', () => {
    const { sim, nodes } = mesh(4);
    const [a, b, c, d] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]];
    a.configure({
      peers: [
        { publicKey: b.publicKey, allowedIps: prefixes('0.0.0.0/0') },
        { publicKey: c.publicKey, allowedIps: prefixes('10.1.0.0/16') },
        { publicKey: d.publicKey, allowedIps: prefixes('10.1.2.0/24') },
      ],
    });
    const to = (text: string) => {
      const packet = makePacket(0, 0, 999, 40, false);
      packet.set(parsePrefix(text)!.address, 16);
      const from = sim.now;
      a.send([packet]);
      const went = sim.sentBy(a, 4, from).map(s => nodes.findIndex(n => Buffer.from(n.endpoint).equals(s.destination)));
      sim.tamper = () => undefined;
      sim.now += 1;
      return went;
    };
    sim.tamper = () => undefined;
    expect([to('8.8.8.8'), to('10.1.9.9'), to('10.1.2.3'), to('10.0.0.3')]).toEqual([[1], [2], [3], [2]]);
  });

  test('for no peer is answered with ICMP, and nothing is sent', () => {
    const { sim, nodes } = mesh(2);
    const a = nodes[0]!;
    const before = sim.overheard.length;
    a.send([makePacket(0, 77, 1, 40, false), makePacket(0, 77, 2, 40, true)]);
    expect(a.counters.noPeer).toBe(2);
    // ICMP type 3 code 1; ICMPv6 type 1 code 3
    expect(a.locals.map(p => (p[0]! >> 4 === 4 ? [p[9], p[20], p[21]] : [p[6], p[40], p[41]]))).toEqual([
      [1, 3, 1],
      [58, 1, 3],
    ]);
    expect(sim.overheard).toHaveLength(before);
  });

  test('from one batch to many peers keeps the order of each', () => {
    const { sim, nodes } = mesh(5);
    const a = nodes[0]!;
    const per = new Map<number, number[]>();
    // sent one by one and held, so that all arrive at the same time
    for (let i = 0; i < 40; i++) {
      const to = nodes[1 + (i % 4)]!;
      const list = per.get(to.index) ?? [];
      per.set(to.index, [...list, sim.send(a, to)]);
    }
    sim.run(100);
    for (const ids of per.values()) expect(sim.arrived.filter(id => ids.includes(id))).toEqual(ids);
  });
});

test('in a mesh of eight, every node reaches every other despite loss, repetition and reordering', () => {
  const { sim, nodes } = mesh(8);
  Object.assign(sim.wire, { loss: 0.05, duplicate: 0.2, jitter: 200 });
  const ids: number[] = [];
  for (let round = 0; round < 10; round++) {
    for (const from of nodes) for (const to of nodes) if (from !== to) ids.push(sim.send(from, to));
    sim.run(1000);
  }
  sim.run(2000);
  const arrived = ids.filter(id => sim.wasDelivered(id)).length / ids.length;
  expect(arrived).toBeGreaterThan(0.9);
  expect(nodes.reduce((sum, node) => sum + node.counters.replayed, 0)).toBeGreaterThan(50);
});

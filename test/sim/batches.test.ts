/** One batch with messages or packets of many peers, sources and states: none affects another. */
import { expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import { MESSAGE_INITIATION as INITIATION, MESSAGE_TRANSPORT as TRANSPORT } from '../../src/packet/message-type.ts';
import { SEAL_COUNT } from '../../src/protocol/transport-cipher.ts';
import { batchOf } from '../support/datagrams.ts';
import { seeded } from '../support/random.ts';
import { barePair } from './bare-node.ts';
import { session } from './pair.ts';
import { makePacket } from './payload.ts';
import type { SimNode } from './sim-node.ts';
import { Simulation } from './simulation.ts';

const at = (address: string) => makeEndpoint(parseAddress(address)!, 7000);

/** Nodes with sessions of the first with all others, whose messages to it were held back. */
function star(others: number, each: number) {
  const sim = new Simulation(seeded(1));
  const [target, ...peers] = Array.from({ length: 1 + others }, () => sim.addNode()) as [SimNode, ...SimNode[]];
  sim.mesh();
  for (const peer of peers) sim.send(target, peer);
  sim.run(1000);
  const held: Uint8Array[][] = peers.map(() => []);
  sim.tamper = ({ from, bytes }) => {
    held[peers.indexOf(from)]!.push(bytes);
    return undefined;
  };
  for (const peer of peers) for (let i = 0; i < each; i++) sim.send(peer, target);
  sim.tamper = undefined;
  return { sim, target, peers, held };
}

test('messages of several sessions that alternate in one batch are all delivered', () => {
  const { sim, target, peers, held } = star(3, 5);
  const messages = held[0]!.flatMap((_, i) =>
    peers.map((peer, p) => ({ to: peer.endpoint, bytes: held[p]![i]!, tos: -1 })),
  );
  const before = sim.delivered;
  target.receiveBatch(batchOf(messages));
  expect(sim.delivered - before).toBe(15);
  for (const peer of peers) expect(target.status(peer).endpoint).toEqual(peer.endpoint);
});

test('a message of a removed peer is unknown, whatever the batch before it held', () => {
  const { target, peers, held } = star(2, 6);
  const [gone, left] = peers as [SimNode, SimNode];
  const from = (peer: SimNode, bytes: Uint8Array) => ({ to: peer.endpoint, bytes, tos: -1 });
  target.receiveBatch(batchOf(held[0]!.slice(0, 5).map(bytes => from(gone, bytes))));
  target.configure({ peers: [{ publicKey: gone.publicKey, remove: true }] });
  target.receiveBatch(batchOf([from(left, held[1]![0]!), from(gone, held[0]![5]!), from(left, held[1]![1]!)]));
  expect([target.counters.unknownReceiver, target.counters.badTag]).toEqual([1, 0]);
  expect(target.status(left).rxBytes).toBeGreaterThan(0);
});

test('of messages of one peer from several sources in one batch, the last one tells its endpoint', () => {
  const { target, peers, held } = star(1, 3);
  const moves = ['198.51.100.1', '198.51.100.2', '198.51.100.3'].map(at);
  target.receiveBatch(batchOf(moves.map((to, i) => ({ to, bytes: held[0]![i]!, tos: -1 }))));
  expect(target.status(peers[0]!).endpoint).toEqual(moves[2]);
  expect(target.count('endpoint-changed')).toBe(3);
});

test('packets to several peers in one batch keep the order of each, and those without a session wait', () => {
  const sim = new Simulation(seeded(2));
  const [a, b, c, d] = Array.from({ length: 4 }, () => sim.addNode()) as [SimNode, SimNode, SimNode, SimNode];
  sim.mesh();
  sim.send(a, b);
  sim.send(a, c);
  sim.run(1000);
  a.sentTypes.length = 0;
  const sent: [number, string][] = [];
  sim.tamper = ({ bytes, destination }) => {
    const node = sim.nodes.findIndex(({ endpoint }) => Buffer.from(endpoint).equals(destination));
    const counter = bytes[0] === TRANSPORT ? bytes[8]! : -1;
    sent.push([node, counter < 0 ? 'initiation' : `counter ${counter}, ${bytes.length} bytes`]);
    return undefined;
  };
  // the size tells which packet it is
  a.send([b, c, d, b, d, c, b].map((to, i) => makePacket(a.index, to.index, 100 + i, 40 + 16 * i, false)));
  expect(sent).toEqual([
    [b.index, 'counter 1, 96 bytes'],
    [b.index, 'counter 2, 144 bytes'],
    [b.index, 'counter 3, 192 bytes'],
    [c.index, 'counter 1, 112 bytes'],
    [c.index, 'counter 2, 176 bytes'],
    [d.index, 'initiation'],
  ]);
});

test('handshakes that wait in the queue when the device goes down are forgotten', () => {
  const { sim, a, b } = session();
  sim.run(6000);
  a.engine.forgetSessions(sim.now);
  // more than are processed at once
  const held: Uint8Array[] = [];
  sim.tamper = ({ bytes }) => {
    held.push(bytes);
    return undefined;
  };
  sim.send(a, b);
  sim.tamper = undefined;
  expect(held[0]![0]).toBe(INITIATION);
  b.receiveBatch(batchOf(Array.from({ length: 9 }, () => ({ to: a.endpoint, bytes: held[0]!, tos: -1 }))));
  expect([b.nextDeadline, b.counters.handshakesAnswered]).toEqual([0, 1]);
  b.engine.down();
  b.engine.up(sim.now);
  expect(b.nextDeadline).toBeGreaterThan(sim.now);
  const { badHandshake, replayedInitiation } = b.counters;
  b.timeout();
  expect([b.counters.badHandshake, b.counters.replayedInitiation]).toEqual([badHandshake, replayedInitiation]);
});

test('a packet that cannot be parsed is counted, and those around it are sent', () => {
  const { sim, a, b } = session();
  const broken = makePacket(a.index, b.index, 1, 40, false);
  broken[0] = 0x55;
  const good = [2, 3].map(id => makePacket(a.index, b.index, id, 40, false));
  const since = sim.now;
  sim.tamper = () => undefined;
  a.send([good[0]!, broken, new Uint8Array(0), good[1]!]);
  expect([a.counters.malformedOutbound, sim.sentBy(a, TRANSPORT, since).length]).toEqual([2, 2]);
});

test('packets for which the output has no room wait for the next call, and none is lost', () => {
  const { sim, a, b } = session();
  const packets = Array.from({ length: 220 }, (_, i) => makePacket(a.index, b.index, i, 1400, false));
  const since = sim.now;
  sim.tamper = () => undefined;
  a.send(packets);
  // the slab of the output has 256 KiB
  const counters = sim.sentBy(a, TRANSPORT, since).map(({ bytes }) => bytes[8]!);
  expect(counters).toEqual(packets.map((_, i) => counters[0]! + i));
  expect(a.status(b).txBytes).toBeGreaterThan(256 * 1024);
});

test('ICMP errors: at most 64 of a batch, and at most 100 in a second', () => {
  const { sim, a } = session();
  sim.runUntil(Math.ceil(sim.now / 1000) * 1000);
  const lost = (count: number) => a.send(Array.from({ length: count }, (_, i) => makePacket(0, 77, i, 40, false)));
  lost(70);
  expect([a.locals.length, a.counters.noPeer]).toEqual([64, 70]);
  sim.run(999);
  lost(70);
  expect([a.locals.length, a.counters.noPeer]).toEqual([100, 140]);
  sim.run(1);
  lost(1);
  expect(a.locals.length).toBe(101);
});

test('a packet that the cipher refuses is counted, and only the others are sent', () => {
  const { a, b } = barePair();
  a.send(makePacket(0, 1, 1, 40, false));
  for (const message of a.take()) b.receive(a.endpoint, message);
  for (const message of b.take()) a.receive(b.endpoint, message);
  a.take();
  const seal = a.device.cipher.seal.bind(a.device.cipher);
  // the first job names a wrong number of messages
  a.device.cipher.seal = (input, output, jobs, count) => {
    jobs[SEAL_COUNT]! += 1;
    seal(input, output, jobs, count);
  };
  a.send(makePacket(0, 1, 2, 40, false), makePacket(0, 1, 3, 40, false));
  expect([a.device.counters.sealRefused, a.take().map(message => message[0])]).toEqual([1, [TRANSPORT]]);
});

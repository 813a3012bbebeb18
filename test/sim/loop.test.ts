/**
 * Datagrams that routing leads back into the tunnel that sent them, and datagrams that only look
 * like them: other hosts' tunnels to the same endpoint, from the same address and port after
 * masquerading (src/protocol/loop-guard.ts).
 */
import { describe, expect, test } from 'vitest';
import {
  MESSAGE_INITIATION as INITIATION,
  MESSAGE_RESPONSE as RESPONSE,
  MESSAGE_TRANSPORT as TRANSPORT,
} from '../../src/packet/message-type.ts';
import { type IpShape, ipPacket, MF, UDP } from '../support/ip-packet.ts';
import { seeded } from '../support/random.ts';
import { pair, session } from './pair.ts';
import type { SimNode } from './sim-node.ts';
import { Simulation } from './simulation.ts';

const FRAGMENT = 44;

/**
 * Wraps a datagram as the host's routing would hand it to the tunnel. The addresses are behind node
 * 1, so that it goes to node 0's peer.
 */
function around(payload: Uint8Array, change: Partial<IpShape> = {}): Uint8Array {
  const shape = { protocol: UDP, source: 1, destination: 2, sourcePort: 51820, destinationPort: 51820, ...change };
  return ipPacket({ ...shape, payload });
}

/**
 * Returns the number of messages that a packet from the TUN causes the node to send. They are not
 * delivered: the simulation does not know these packets.
 */
function sentFor(node: SimNode, packet: Uint8Array): number {
  const before = node.sentTypes.length;
  const { tamper } = node.sim;
  node.sim.tamper = () => undefined;
  node.send([packet]);
  node.sim.tamper = tamper;
  return node.sentTypes.length - before;
}

const fragment6 = (offset: number, more: number) => [
  [FRAGMENT, Uint8Array.of(0, offset >> 5, ((offset << 3) & 0xff) | more, 0, 0, 0, 7)] as const,
];

describe.each([4, 6] as const)('IPv%i', version => {
  test('a message of the session that comes back is dropped and counted, even if NAT changed its ports', () => {
    const { sim, a, b } = session();
    const { bytes } = sim.sentBy(a, TRANSPORT)[0]!;
    for (const change of [{}, { sourcePort: 1 }, { destinationPort: 9 }, { source: 77 }])
      expect(sentFor(a, around(bytes, { version, ...change }))).toBe(0);
    expect(a.counters.routingLoop).toBe(4);
    // the same on the other side
    expect(sentFor(b, around(sim.sentBy(a, TRANSPORT)[0]!.bytes, { version, source: 2, destination: 1 }))).toBe(1);
    const id = sim.send(b, a);
    sim.run(20);
    expect(sim.wasDelivered(id)).toBe(true);
    expect(sentFor(b, around(sim.sentBy(b, TRANSPORT)[0]!.bytes, { version, source: 2, destination: 1 }))).toBe(0);
  });

  test('our initiations and responses are recognised too', () => {
    const { sim, a, b } = session();
    expect(sentFor(a, around(sim.sentBy(a, INITIATION)[0]!.bytes, { version }))).toBe(0);
    expect(sentFor(b, around(sim.sentBy(b)[0]!.bytes, { version, source: 2, destination: 1 }))).toBe(0);
    expect([a.counters.routingLoop, b.counters.routingLoop]).toEqual([1, 1]);
  });

  test('a pending initiation that comes back is not staged for its own session', () => {
    const { sim, a, b } = pair();
    sim.wire.cut = true;
    sim.send(a, b);
    expect(sentFor(a, around(sim.sentBy(a, INITIATION)[0]!.bytes, { version }))).toBe(0);
    expect(a.counters.routingLoop).toBe(1);
  });

  test('fragments: all of our datagrams are dropped, and none of other datagrams', () => {
    const { sim, a, b } = session();
    sim.send(a, b, { size: 1300 });
    const { bytes } = sim.sentBy(a, TRANSPORT).at(-1)!;
    const part = (offset: number, more: boolean, change: Partial<IpShape> = {}) => {
      const header = { 4: { fragment: (more ? MF : 0) | offset }, 6: { extensions: fragment6(offset, more ? 1 : 0) } };
      const shape = { version, id: 7, ...header[version], ...change };
      // a later fragment has no UDP header, whatever its bytes are
      return around(bytes.subarray(offset * 8, offset * 8 + 800), shape);
    };
    expect(sentFor(a, part(100, false))).toBe(1);
    expect(sentFor(a, part(0, true))).toBe(0);
    expect(sentFor(a, part(100, true))).toBe(0);
    expect(sentFor(a, part(200, false))).toBe(0);
    expect(a.counters.routingLoop).toBe(3);
    expect(sentFor(a, part(100, false, { source: 9 }))).toBe(1);
    // a first fragment of another host's tunnel, and its later fragments
    const others = sim.random.bytes(800);
    others.set(bytes.subarray(0, 4));
    expect(
      sentFor(
        a,
        around(others, {
          version,
          id: 8,
          source: 9,
          ...(version === 4 ? { fragment: MF } : { extensions: fragment6(0, 1) }),
        }),
      ),
    ).toBe(1);
    sim.run(1001);
    expect(sentFor(a, part(100, false))).toBe(1);
  });

  test('what is no fragment, or a fragment of another datagram with the name of a whole one, passes', () => {
    const { sim, a, b } = session();
    sim.send(a, b, { size: 1300 });
    const { bytes } = sim.sentBy(a, TRANSPORT).at(-1)!;
    const fragment = (offset: number, more: boolean) =>
      version === 4
        ? { version, id: 7, fragment: (more ? MF : 0) | offset }
        : { version, extensions: fragment6(offset, more ? 1 : 0) };
    // a whole message of ours has no other fragments
    expect(sentFor(a, around(bytes, { version, id: 7 }))).toBe(0);
    expect(sentFor(a, around(bytes.subarray(800, 900), fragment(100, false)))).toBe(1);
    expect(sentFor(a, around(bytes.subarray(0, 800), fragment(0, true)))).toBe(0);
    expect(sentFor(a, around(bytes.subarray(800, 900), { version, id: 7, protocol: 253 }))).toBe(1);
    expect(sentFor(a, around(bytes.subarray(800, 900), fragment(100, false)))).toBe(0);
  });

  test('another tunnel to the same endpoint passes completely: handshake, data, keepalives, renewals', () => {
    const { sim, a } = session();
    // a host of the LAN with a tunnel to B's host
    const lan = new Simulation(seeded(77));
    const [client, server] = [lan.addNode(), lan.addNode()];
    lan.mesh({ persistentKeepalive: 20 });
    for (let i = 0; i < 30; i++) {
      lan.send(client, server, { size: 300 });
      lan.run(10_000);
    }
    const messages = lan.sentBy(client);
    expect(new Set(messages.map(({ bytes }) => bytes[0]))).toEqual(new Set([INITIATION, RESPONSE, TRANSPORT]));
    const from = sim.now;
    for (const { bytes } of messages) {
      expect(sentFor(a, around(bytes, { version }))).toBe(1);
      sim.run(1);
    }
    expect(sim.sentBy(a, TRANSPORT, from).length).toBeGreaterThanOrEqual(messages.length);
    expect(a.counters.routingLoop).toBe(0);
  });

  test('datagrams that are not messages, or are truncated, pass', () => {
    const { sim, a, b } = session();
    const { bytes } = sim.sentBy(a, TRANSPORT)[0]!;
    for (let length = 0; length < 16; length++) expect(sentFor(a, around(bytes.slice(0, length), { version }))).toBe(1);
    const reserved = Uint8Array.from(bytes);
    reserved[1] = 1;
    expect(sentFor(a, around(reserved, { version }))).toBe(1);
    expect(sentFor(a, around(bytes, { version, protocol: 253 }))).toBe(1);
    const initiation = Uint8Array.from(sim.sentBy(a, INITIATION)[0]!.bytes);
    expect(sentFor(a, around(initiation.slice(0, 100), { version }))).toBe(1);
    const response = sim.sentBy(b, RESPONSE)[0]!.bytes;
    const back = { version, source: 2, destination: 1 };
    expect(sentFor(b, around(response.slice(0, 91), back))).toBe(1);
    expect(sentFor(b, around(response, back))).toBe(0);
  });
});

test('sessions before and after a renewal are both recognised', () => {
  const { sim, a, b } = session();
  const first = sim.sentBy(a, TRANSPORT)[0]!.bytes;
  sim.run(125_000);
  sim.send(a, b);
  sim.run(100);
  sim.send(a, b);
  expect(a.count('session')).toBe(2);
  for (const bytes of [first, sim.sentBy(a, TRANSPORT).at(-1)!.bytes]) expect(sentFor(a, around(bytes))).toBe(0);
});

test('a loop stops at its first round if routing leads every message back into the tunnel', () => {
  const { sim, a, b } = session();
  const before = a.sentTypes.length;
  const inFlight: Uint8Array[] = [];
  sim.tamper = ({ from, bytes }) => {
    if (from === a) inFlight.push(bytes);
    return undefined;
  };
  for (let i = 0; i < 3; i++) sim.send(a, b);
  for (let turn = 0; turn < 100 && inFlight.length > 0; turn++)
    for (const bytes of inFlight.splice(0)) a.send([around(bytes)]);
  expect([inFlight.length, a.sentTypes.length - before, a.counters.routingLoop]).toEqual([0, 3, 3]);
});

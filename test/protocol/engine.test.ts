/** The engine's own calls: what a new one is, the MTU, drained(), and calls at the wrong moment. */
import { describe, expect, test } from 'vitest';
import { ENDPOINT_HAS_LOCAL, makeEndpoint } from '../../src/base/endpoint.ts';
import { makePacketBatch, VNET_HEADER_SIZE } from '../../src/packet/batch.ts';
import { MESSAGE_TRANSPORT } from '../../src/packet/message-type.ts';
import { eraseEngineState, type FullEngineState } from '../../src/protocol/engine-state.ts';
import { frozenState } from '../sim/hand-over.ts';
import { isKeepalive, pair, session, swallow } from '../sim/pair.ts';
import { makePacket } from '../sim/payload.ts';

const KEEPALIVE_S = 25;

test.each([
  [1, 1],
  [1420, 1420],
  [65_535, 65_535],
  [65_536, 0],
  [0, 0],
  [-1, 0],
  [1420.5, 0],
  [Number.NaN, 0],
])('an MTU of %d is taken as %d', (given, taken) => {
  const { a } = pair();
  a.engine.mtu = given;
  expect(frozenState(a.engine).mtu).toBe(taken);
});

test('a new engine is down: it drops what it gets, and counts the rest of a batch', () => {
  const { a, b } = pair();
  const engine = a.fresh();
  expect(engine.running).toBe(false);
  engine.configure({ privateKey: a.privateKey, peers: [a.peerConfig(b)] }, 0);
  const packets = makePacketBatch(1 << 12, 4);
  packets.count = 4;
  expect(engine.send(packets, 1, 0)).toBe(4);
  expect(engine.counters.deviceDown).toBe(3);
  expect(engine.transmits.count).toBe(0);
});

test('a removed peer is not served any more, whatever was due', () => {
  const { sim, a, b } = session({ persistentKeepalive: KEEPALIVE_S });
  a.configure({ peers: [{ publicKey: b.publicKey, remove: true }] });
  const since = sim.now;
  sim.run(10 * 60_000);
  expect(sim.sentBy(a, undefined, since)).toEqual([]);
  expect(a.engine.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
});

describe('drained()', () => {
  /** Lets B send from a local address. @returns whether it still does after drained() */
  function usesLocal(markOf: (drained: Uint8Array) => void): boolean {
    const { sim, a, b } = session();
    const from = makeEndpoint(a.endpoint.subarray(4, 8), 51_820);
    from[ENDPOINT_HAS_LOCAL] = 1;
    const stop = swallow(sim, sent => sent.from === a);
    sim.send(a, b);
    b.receive(from, sim.sentBy(a, MESSAGE_TRANSPORT).at(-1)!.bytes);
    stop();
    const packets = makePacketBatch(1 << 12, 1);
    const packet = makePacket(b.index, a.index, 1, 40, false);
    packets.slab.set(packet, VNET_HEADER_SIZE);
    packets.desc.set([0, packet.length + VNET_HEADER_SIZE]);
    packets.count = 1;
    b.engine.send(packets, 0, sim.now);
    expect(b.engine.transmits.endpoints[ENDPOINT_HAS_LOCAL]).toBe(1);
    markOf(b.engine.transmits.endpoints);
    b.engine.drained();
    return frozenState(b.engine).peers[0]!.endpoint[ENDPOINT_HAS_LOCAL] === 1;
  }

  test('keeps the local address of a peer', () => {
    expect(usesLocal(() => {})).toBe(true);
  });

  test('forgets it if the sender found that it is gone', () => {
    expect(
      usesLocal(endpoints => {
        endpoints[ENDPOINT_HAS_LOCAL] = 0xff;
      }),
    ).toBe(false);
  });
});

test('a state without a private key, and its limits of ICMP errors and fragments, go on in another engine', () => {
  const { sim, a } = pair();
  a.engine.configure({ privateKey: new Uint8Array(32) }, sim.now);
  const state = frozenState(a.engine);
  expect(state.identity).toBeUndefined();
  const outbound = {
    ...state.outbound,
    icmpSecond: 9,
    icmpCount: 7,
    fragment: state.outbound.fragment.map((_, i) => i + 1),
    fragmentUntil: 5,
  };
  const changed: FullEngineState = { ...state, outbound };
  const next = a.successor(changed);
  expect(frozenState(next)).toEqual(changed);
});

test('a state is a copy: erasing it leaves the frozen engine as it was', () => {
  const { sim, a, b } = session({ persistentKeepalive: KEEPALIVE_S });
  for (const node of [a, b]) {
    const state = frozenState(node.engine);
    const before = structuredClone(state);
    eraseEngineState(state);
    node.engine.thaw();
    expect(frozenState(node.engine)).toEqual(before);
    node.engine.thaw();
  }
  const id = sim.send(a, b);
  sim.run(100);
  expect(sim.wasDelivered(id)).toBe(true);
  expect([a.count('session'), b.count('session')]).toEqual([1, 1]);
});

describe('up()', () => {
  test('of a device that is up changes nothing: no keepalive is sent before its time', () => {
    const { sim, a } = session({ persistentKeepalive: KEEPALIVE_S });
    sim.run(5000);
    const since = sim.now;
    a.engine.up(sim.now);
    expect(a.engine.nextDeadline()).toBeGreaterThan(since);
    sim.run(5000);
    expect(sim.sentBy(a, 4, since).filter(isKeepalive)).toEqual([]);
  });
});

describe('timeout()', () => {
  test('of a frozen engine does nothing, however late it is', () => {
    const { sim, a } = session({ persistentKeepalive: KEEPALIVE_S });
    const state = frozenState(a.engine);
    a.engine.timeout(sim.now + 10 * 60_000);
    expect([a.engine.transmits.count, a.engine.events.length]).toEqual([0, 0]);
    a.engine.thaw();
    expect(frozenState(a.engine)).toEqual(state);
  });

  test('of a device that is down does nothing', () => {
    const { sim, a } = session({ persistentKeepalive: KEEPALIVE_S });
    a.engine.down();
    a.engine.drained();
    a.engine.timeout(sim.now + 10 * 60_000);
    expect([a.engine.transmits.count, a.engine.events.length]).toEqual([0, 0]);
  });
});

/**
 * Empty messages: the passive keepalive of a side that only receives, and the persistent one
 * (whitepaper section 6.5, wg(8)).
 */
import { describe, expect, test } from 'vitest';
import { MESSAGE_INITIATION as INITIATION, MESSAGE_TRANSPORT as TRANSPORT } from '../../src/packet/message-type.ts';
import { isData, isKeepalive, pair, session, swallow } from './pair.ts';
import type { SimNode } from './sim-node.ts';
import type { Simulation } from './simulation.ts';

const keepalives = (sim: Simulation, node: SimNode, since: number) =>
  sim
    .sentBy(node, TRANSPORT, since)
    .filter(isKeepalive)
    .map(s => s.at - since);

/** A session after its first exchange: only the key erasure timer is set. */
function quiet(seed = 1) {
  const made = session({}, seed);
  made.sim.run(19_900);
  return { ...made, from: made.sim.now };
}

describe('the passive keepalive', () => {
  test('is sent once, 10 s after data was received, and is not answered', () => {
    const { sim, a, b, from } = quiet();
    sim.send(a, b);
    sim.run(90_000);
    expect(keepalives(sim, b, from)).toEqual([10_010]);
    expect(keepalives(sim, a, from)).toEqual([]);
    expect(sim.overheard.filter(s => s.at >= from)).toHaveLength(2);
  });

  test('is not sent if data is sent back within 10 s', () => {
    const { sim, a, b, from } = quiet();
    sim.send(a, b);
    sim.run(9000);
    sim.send(b, a);
    sim.run(9000);
    sim.send(a, b);
    sim.run(5000);
    expect(keepalives(sim, a, from)).toEqual([]);
    expect(keepalives(sim, b, from)).toEqual([]);
  });

  test('is sent once in 10 s however much data was received, and once more after that', () => {
    const { sim, a, b, from } = quiet();
    for (let i = 0; i < 50; i++) {
      sim.send(a, b);
      sim.run(100);
    }
    sim.run(60_000);
    expect(keepalives(sim, b, from)).toEqual([10_010, 20_010]);
  });

  test('is sent only once if all data was received at the beginning', () => {
    const { sim, a, b, from } = quiet();
    sim.send(a, b);
    sim.run(60_000);
    expect(keepalives(sim, b, from)).toHaveLength(1);
  });

  test('is not sent at once on an idle session, and never on one that is idle in both directions', () => {
    const { sim, a, b, from } = quiet();
    sim.run(90_000);
    expect(keepalives(sim, a, from).concat(keepalives(sim, b, from))).toEqual([]);
  });

  test('counts as received bytes, and delivers nothing from the tunnel', () => {
    const { sim, a, b } = quiet();
    sim.send(a, b);
    sim.run(100);
    const before = a.status(b).rxBytes;
    const delivered = sim.arrived.length;
    sim.run(20_000);
    expect(a.status(b).rxBytes - before).toBe(32);
    expect(sim.arrived).toHaveLength(delivered);
    expect(a.counters.malformedPacket).toBe(0);
  });
});

describe('the first message under a session', () => {
  test('is the packet that caused the handshake, if any', () => {
    const { sim, a } = session();
    expect(sim.sentBy(a).map(s => s.bytes[0])).toEqual([INITIATION, TRANSPORT]);
    expect(sim.sentBy(a, TRANSPORT).map(isData)).toEqual([true]);
  });

  test('is a keepalive if nothing is staged, so that the responder may send', () => {
    const { sim, a, b, born } = session();
    sim.runUntil(born + 165_000);
    const from = sim.now;
    sim.send(b, a);
    sim.run(2000);
    // a renewal caused by receiving shortly before expiry
    expect(sim.sentBy(a, INITIATION, from)).toHaveLength(1);
    expect(keepalives(sim, a, from)).toEqual([30]);
    expect(b.count('session')).toBe(2);
  });
});

describe('persistent keepalive', () => {
  test('turned on sends one at once under the current session', () => {
    const { sim, a, b, from } = quiet();
    a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 25 }] });
    sim.run(0);
    expect(keepalives(sim, a, from)).toEqual([0]);
  });

  test('turned on begins a handshake at once if there is no session', () => {
    const { sim, a, b } = pair();
    a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 25 }] });
    sim.run(0);
    expect(sim.sentBy(a).map(s => s.bytes[0])).toEqual([INITIATION]);
    sim.run(1000);
    expect(keepalives(sim, a, 0)).toHaveLength(1);
    expect(b.count('session')).toBe(1);
  });

  test('with a changed or repeated interval sends nothing at once', () => {
    const { sim, a, b, from } = quiet();
    a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 25 }] });
    sim.run(1000);
    for (const persistentKeepalive of [25, 20, 65_535]) {
      a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive }] });
      sim.run(1000);
    }
    expect(keepalives(sim, a, from)).toEqual([0]);
  });

  test('is sent every interval on an idle session, and the other side answers none', () => {
    const { sim, a, b, from } = quiet();
    a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 7 }] });
    sim.run(36_000);
    expect(keepalives(sim, a, from)).toEqual([0, 7000, 14_000, 21_000, 28_000, 35_000]);
    expect(sim.sentBy(b, undefined, from)).toEqual([]);
  });

  test('is postponed by sent data', () => {
    const { sim, a, b, from } = quiet();
    a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 5 }] });
    sim.run(0);
    for (let second = 0; second < 40; second += 4) {
      sim.send(a, b);
      sim.run(4000);
    }
    expect(keepalives(sim, a, from)).toEqual([0]);
  });

  test('is postponed by received data, so that only the passive one remains', () => {
    const { sim, a, b, from } = quiet();
    a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 5 }] });
    sim.run(1000);
    for (let second = 0; second < 24; second += 4) {
      sim.send(b, a);
      sim.run(4000);
    }
    // the first data arrived at 1010 ms
    expect(keepalives(sim, a, from)).toEqual([0, 11_010, 21_010]);
  });

  test('is not postponed by forged messages', () => {
    const { sim, a, b, from } = quiet();
    a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 5 }] });
    sim.send(b, a);
    sim.run(1000);
    const bent = Uint8Array.from(sim.sentBy(b, TRANSPORT, from)[0]!.bytes);
    bent[40]! ^= 1;
    for (let i = 0; i < 4; i++) {
      sim.inject(a.endpoint, b.endpoint, bent);
      sim.run(1000);
    }
    expect(a.counters.badTag).toBe(4);
    sim.run(1000);
    expect(keepalives(sim, a, from)).toEqual([0, 5010]);
  });

  test('turned off stops', () => {
    const { sim, a, b } = session({ persistentKeepalive: 5 });
    sim.run(20_000);
    for (const [node, other] of [
      [a, b],
      [b, a],
    ] as const)
      node.configure({ peers: [{ publicKey: other.publicKey, persistentKeepalive: 0 }] });
    const from = sim.now;
    sim.run(300_000);
    expect(sim.overheard.filter(s => s.at >= from)).toHaveLength(0);
  });

  test('keeps trying for ever to reach a vanished peer, and reaches it once it is back', () => {
    const { sim, a, b } = pair({ persistentKeepalive: 25 });
    b.engine.down();
    sim.run(1_000_000);
    expect(a.count('handshake-given-up')).toBeGreaterThan(5);
    // given up after about 105 s, and begun again by the keepalive 25 s after the last attempt
    const times = sim.sentBy(a, INITIATION).map(s => s.at);
    expect(Math.max(...times.slice(1).map((at, i) => at - times[i]!))).toBeLessThan(25_001);
    b.engine.up(sim.now);
    sim.run(26_000);
    expect(b.count('session')).toBe(1);
  });

  test('continues across renewals of the session, with one handshake every 120 s', () => {
    const { sim, a, b } = pair({ persistentKeepalive: 25 });
    sim.run(1_000_000);
    const begun = sim.sentBy(a, INITIATION).length + sim.sentBy(b, INITIATION).length;
    // both begin at the same time; from then on every fifth keepalive is the first after 120 s
    expect(begun).toBeLessThanOrEqual(2 * 9);
    expect(a.count('handshake-given-up') + a.count('keys-erased')).toBe(0);
  });

  test('starts when the device comes up', () => {
    const { sim, a, b } = session({ persistentKeepalive: 25 });
    a.engine.down();
    sim.run(100_000);
    const from = sim.now;
    a.engine.up(from);
    sim.run(100);
    expect(sim.sentBy(a, INITIATION, from).map(s => s.at)).toEqual([from]);
    expect(b.count('session')).toBeGreaterThan(1);
  });
});

test('a side that receives nothing does not make the other side send more than once in 10 s', () => {
  const { sim, a, b, from } = quiet();
  swallow(sim, s => s.from === b);
  for (let i = 0; i < 14; i++) {
    sim.send(a, b);
    sim.run(1000);
  }
  expect(keepalives(sim, b, from)).toEqual([10_010]);
});

/** What the end of all sessions at once causes: who gets a new handshake, and how soon. */
import { describe, expect, test } from 'vitest';
import { MESSAGE_INITIATION as INITIATION } from '../../src/packet/message-type.ts';
import { pair, session, swallow } from '../sim/pair.ts';
import type { SimNode } from '../sim/sim-node.ts';
import type { Simulation } from '../sim/simulation.ts';

/** The jitter of a handshake, in milliseconds, and a little for the wire. */
const SOON_MS = 400;

/** Forgets, and returns the initiations that the node sends soon. */
function initiationsAfter(sim: Simulation, node: SimNode, renew?: boolean): number {
  node.engine.forgetSessions(sim.now, renew);
  const since = sim.now;
  sim.run(SOON_MS);
  return sim.sentBy(node, INITIATION, since).length;
}

describe('after forgetSessions()', () => {
  test('a live session is renewed without any packet', () => {
    const { sim, a, b } = session();
    sim.run(6000);
    expect(initiationsAfter(sim, a)).toBe(1);
    expect([a.count('session'), b.count('session')]).toEqual([2, 2]);
  });

  test('before suspend nothing is renewed', () => {
    const { sim, a } = session();
    sim.run(60_000);
    expect(initiationsAfter(sim, a, false)).toBe(0);
  });

  test('a peer without a session or with an expired one gets no handshake', () => {
    const { sim, a } = pair();
    expect(initiationsAfter(sim, a)).toBe(0);
    const old = session();
    old.sim.run(200_000);
    expect(old.a.count('keys-erased')).toBe(0);
    expect(initiationsAfter(old.sim, old.a)).toBe(0);
  });

  test('a handshake without packets that was under way begins again at once, not after 5 s', () => {
    const { sim, a, b } = pair();
    const stop = swallow(sim, () => true);
    a.configure({ peers: [{ publicKey: b.publicKey, initiate: true }] });
    sim.run(100);
    expect([a.sentTypes, a.count('session')]).toEqual([[INITIATION], 0]);
    stop();
    expect(initiationsAfter(sim, a)).toBe(1);
    expect(a.count('session')).toBe(1);
  });

  test('a device without a key or peers has nothing to forget', () => {
    const { sim, a } = pair();
    a.engine.close();
    a.engine.forgetSessions(sim.now);
    a.engine.up(sim.now);
    a.engine.forgetSessions(sim.now);
    expect(a.nextDeadline).toBe(Number.POSITIVE_INFINITY);
  });
});

test('a limit of staged bytes drops only what exceeds it, the oldest first', () => {
  const { sim, a, b } = pair();
  sim.wire.cut = true;
  const ids = Array.from({ length: 8 }, () => sim.send(a, b, { size: 1000 }));
  a.engine.stagedBytes = 8 * 2000;
  expect(a.counters.stagedOverBudget).toBe(0);
  a.engine.stagedBytes = 8 * 1000;
  expect(a.counters.stagedOverBudget).toBe(4);
  sim.wire.cut = false;
  sim.run(10_000);
  expect(ids.map(id => sim.wasDelivered(id))).toEqual([...Array(4).fill(false), ...Array(4).fill(true)]);
});

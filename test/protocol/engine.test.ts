/** The engine's own calls: the MTU, up() and timeout() at the wrong moment. */
import { describe, expect, test } from 'vitest';
import { frozenState } from '../sim/hand-over.ts';
import { isKeepalive, pair, session } from '../sim/pair.ts';

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

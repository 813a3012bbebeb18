/**
 * Hand-over of a device: an engine that was frozen and restored sends, delivers and remembers the
 * same, byte for byte, as one that never was. Between freeze and thaw an engine does nothing.
 */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { makeDatagramBatch } from '../../src/packet/batch.ts';
import { MESSAGE_TRANSPORT } from '../../src/packet/message-type.ts';
import { UNDER_LOAD_HANDSHAKES } from '../../src/protocol/constants.ts';
import { type Random, seeded, testSeed } from '../support/random.ts';
import { SLOW } from '../support/selection.ts';
import { frozenState, handOver, RecordedSimulation, throughV8, WAYS } from './hand-over.ts';
import { flood } from './handmade.ts';
import { pair, session } from './pair.ts';
import type { SimNode } from './sim-node.ts';
import type { Simulation } from './simulation.ts';
import { walk } from './walk.ts';

const WALKS = Number(process.env['SIM_WALKS'] ?? 200);
const HANG_LIMIT_MS = 900_000;

describe('a session', () => {
  test('goes on in the new engine without another handshake', () => {
    const { sim, a, b } = session();
    handOver(a);
    handOver(b);
    const ids = [sim.send(a, b), sim.send(b, a)];
    sim.run(1000);
    expect(ids.map(id => sim.wasDelivered(id))).toEqual([true, true]);
    expect([a.count('initiation-sent'), b.count('initiation-sent')]).toEqual([1, 0]);
  });

  test('that began before a hand-over completes after it, with the packets that waited', () => {
    const { sim, a, b } = pair();
    const id = sim.send(a, b);
    handOver(a);
    sim.run(10);
    handOver(b);
    sim.run(1000);
    expect(sim.wasDelivered(id)).toBe(true);
    expect(a.count('initiation-sent')).toBe(1);
  });

  test('refuses a replay of what the old engine received', () => {
    const { sim, a, b } = session();
    const data = sim.sentBy(a, MESSAGE_TRANSPORT).at(-1)!;
    handOver(b);
    sim.inject(b.endpoint, a.endpoint, data.bytes);
    sim.run(100);
    expect(b.counters.replayed).toBe(1);
  });

  test('of the engine that was initiated to again after a clock was set back: timestamps only grow', () => {
    const { sim, a, b } = session();
    a.wallOffset = -3_600_000_000_000n;
    handOver(a);
    a.engine.forgetSessions(sim.now);
    sim.run(6000);
    const id = sim.send(a, b);
    sim.run(1000);
    expect([sim.wasDelivered(id), b.counters.replayedInitiation]).toEqual([true, 0]);
  });
});

describe('a frozen engine', () => {
  test('sends, delivers and plans nothing, and counts what arrives', () => {
    const { sim, a, b } = session({ persistentKeepalive: 5 });
    const before = sim.sentBy(b).length;
    const state = frozenState(b.engine);
    sim.send(a, b);
    sim.send(b, a);
    sim.run(20_000);
    b.engine.timeout(sim.now);
    expect(sim.sentBy(b)).toHaveLength(before);
    expect([b.engine.frozen, b.engine.running, b.engine.nextDeadline()]).toEqual([
      true,
      true,
      Number.POSITIVE_INFINITY,
    ]);
    // its own packet, that of A, and A's keepalives
    expect(b.counters.frozen).toBeGreaterThanOrEqual(4);
    expect([b.counters.deviceDown, state.counters.frozen]).toEqual([0, 0]);
  });

  test('refuses changes that the next engine would not know', () => {
    const { sim, a } = session();
    a.engine.freeze();
    const frozen = /the engine is frozen: call thaw\(\) or close\(\) first/;
    expect(() => a.engine.freeze()).toThrow(frozen);
    expect(() => a.engine.configure({ peers: [] }, sim.now)).toThrow(frozen);
    expect(() => a.engine.up(sim.now)).toThrow(frozen);
    expect(() => a.engine.down()).toThrow(frozen);
    a.engine.close();
    expect(a.engine.frozen).toBe(false);
  });

  test('goes on after thaw() under the same session, and does what became due in between', () => {
    const { sim, a, b } = session({ persistentKeepalive: 5 });
    a.engine.freeze();
    sim.run(30_000);
    a.engine.thaw();
    expect(() => a.engine.thaw()).toThrow(/not frozen/);
    const id = sim.send(a, b);
    sim.run(1000);
    expect([sim.wasDelivered(id), a.count('initiation-sent'), b.count('initiation-sent')]).toEqual([true, 1, 1]);
  });

  test('is refused while output waits', () => {
    const { sim, a, b } = session();
    const engine = a.engine;
    engine.configure({ peers: [{ publicKey: b.publicKey, initiate: true }] }, sim.now);
    engine.timeout(sim.now);
    expect(engine.transmits.count).toBe(1);
    expect(() => engine.freeze()).toThrow(/drain the output before freeze/);
    engine.drained();
    expect(frozenState(engine).running).toBe(true);
  });

  test('that is down is restored as one that is down', () => {
    const { sim, a } = session();
    a.engine.down();
    const next = a.successor(a.engine.freeze());
    expect([next.running, next.nextDeadline()]).toEqual([false, Number.POSITIVE_INFINITY]);
    const batch = makeDatagramBatch(16, 1);
    batch.count = 1;
    next.receive(batch, 0, sim.now);
    expect(next.counters.deviceDown).toBe(1);
  });
});

describe('the watch of nonces', () => {
  test('sees a hand-over after which both engines go on', () => {
    const { sim, a, b } = session();
    const other = a.successor(throughV8(a.engine.freeze()));
    a.engine.thaw();
    sim.send(a, b);
    a.engine = other;
    expect(() => sim.send(a, b)).toThrow(/counter \d+ used again under one key/);
  });

  test('sees it also when the new engine goes on first', () => {
    const { sim, a, b } = session();
    const old = a.engine;
    a.engine = a.successor(throughV8(old.freeze()));
    sim.send(a, b);
    old.thaw();
    a.engine = old;
    expect(() => sim.send(a, b)).toThrow(/counter \d+ used again under one key/);
  });
});

describe('hand-overs between any two inputs change nothing', () => {
  walks('in random walks', Math.min(15, Math.ceil(WALKS / 20)), []);
  walks('in more random walks', WALKS, SLOW);

  test('under load: queued handshakes, cookies and rate limits go on', () => {
    const plain = recorded(seeded(11), busy);
    const server = plain.nodes[0]!;
    expect(server.counters.cookiesSent).toBeGreaterThan(1000);
    expect(frozenState(server.engine).limiter.sources4.length).toBeGreaterThan(0);
    server.engine.thaw();
    const other = recorded(seeded(11), busy, seeded(12), 0.5);
    expect(other.handOvers).toBeGreaterThan(50);
    expectSame(other.record(), plain.record());
  });

  /** A server under a flood, whose peers need cookies. */
  function busy(sim: Simulation): void {
    for (let i = 0; i < 4; i++) sim.addNode();
    sim.mesh();
    const [server, ...others] = sim.nodes as [SimNode, ...SimNode[]];
    for (const node of others) sim.send(node, server);
    for (let i = 0; i < 30; i++) {
      flood(server, UNDER_LOAD_HANDSHAKES + 40);
      sim.run(i === 29 ? 0.1 : 200);
    }
  }
});

function walks(name: string, count: number, tags: typeof SLOW | []): void {
  test(name, { timeout: HANG_LIMIT_MS, tags }, () => {
    const base = testSeed();
    let handOvers = 0;
    for (let i = 0; i < count; i++) {
      const seed = (base + i) >>> 0;
      try {
        const plain = recorded(seeded(seed), sim => walk(sim.random, sim));
        const other = recorded(seeded(seed), sim => walk(sim.random, sim), seeded(seed + 1));
        expectSame(other.record(), plain.record());
        handOvers += other.handOvers - plain.handOvers;
      } catch (error) {
        (error as Error).message += `\n(replay with TEST_SEED=${seed})`;
        throw error;
      }
    }
    expect(handOvers).toBeGreaterThan(10 * count);
  });
}

/** Runs a scenario; with `decide`, nodes are handed over before a share of all inputs. */
function recorded(
  random: Random,
  scenario: (sim: Simulation) => void,
  decide?: Random,
  share = 0.1,
): RecordedSimulation {
  const sim = new RecordedSimulation(random);
  if (decide)
    sim.beforeInput = node => {
      if (node.engine.frozen || !decide.chance(share)) return;
      sim.handOvers++;
      const state = node.engine.freeze();
      const arrived = decide.pick(WAYS)(state);
      node.takeOver(arrived);
      const again = node.engine.freeze();
      node.engine.thaw();
      // nothing is lost on the way, not even what no message shows
      if (!isDeepStrictEqual(again, state)) expect(again).toEqual(state);
    };
  scenario(sim);
  return sim;
}

/** Names the first difference; the whole records are too long to print. */
function expectSame(record: readonly string[], plain: readonly string[]): void {
  const at = plain.findIndex((line, i) => line !== record[i]);
  expect(at < 0 ? undefined : record[at]).toBe(at < 0 ? undefined : plain[at]);
  expect(record).toHaveLength(plain.length);
}

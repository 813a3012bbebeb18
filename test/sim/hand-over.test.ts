/** An engine that was frozen and restored goes on as one that never was: sessions, timers, order. */
import { deserialize, serialize } from 'node:v8';
import { expect, test } from 'vitest';
import type { EngineState } from '../../src/protocol/engine-state.ts';
import { seeded } from '../support/random.ts';
import { Simulation } from './simulation.ts';

/** Returns the state as it arrives in another process. */
const carried = (state: EngineState): EngineState => deserialize(serialize(state)) as EngineState;

function pair(): Simulation {
  const sim = new Simulation(seeded(1));
  sim.addNode();
  sim.addNode();
  sim.mesh();
  return sim;
}

test('a session goes on in the new engine without another handshake', () => {
  const sim = pair();
  const [a, b] = [sim.nodes[0]!, sim.nodes[1]!];
  sim.send(a, b);
  sim.run(1000);
  a.handOver(carried);
  const ids = [sim.send(a, b), sim.send(b, a)];
  sim.run(1000);
  expect(ids.map(id => sim.wasDelivered(id))).toEqual([true, true]);
  expect([a.count('initiation-sent'), b.count('initiation-sent')]).toEqual([1, 0]);
});

test('a handshake that began before goes on after', () => {
  const sim = pair();
  const [a, b] = [sim.nodes[0]!, sim.nodes[1]!];
  const id = sim.send(a, b);
  a.handOver(carried);
  sim.run(1000);
  expect(sim.wasDelivered(id)).toBe(true);
  expect(a.count('initiation-sent')).toBe(1);
});

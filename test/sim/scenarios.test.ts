import { expect, test } from 'vitest';
import { seeded } from '../support/random.ts';
import { Simulation } from './simulation.ts';

test('a pair talks', () => {
  const sim = new Simulation(seeded(1));
  const [a, b] = [sim.addNode(), sim.addNode()];
  sim.mesh();
  const id = sim.send(a, b);
  sim.run(1000);
  expect(sim.wasDelivered(id)).toBe(true);
  const ids = [sim.send(b, a), sim.send(b, a, { ipv6: true, size: 1300 })];
  sim.run(1000);
  expect(ids.every(i => sim.wasDelivered(i))).toBe(true);
  expect(a.sentTypes).toEqual([1, 4]);
  sim.run(600_000);
  console.log(
    a.events.map(e => `${e.at}: ${e.kind}`),
    a.sentTypes,
    b.sentTypes,
  );
});

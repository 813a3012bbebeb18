/** The memory that the staged packets of all peers share. */
import { expect, test } from 'vitest';
import { VNET_HEADER_SIZE } from '../../src/packet/batch.ts';
import { STAGED_OVERHEAD, StagedBudget } from '../../src/protocol/staged-budget.ts';
import { StagedQueue } from '../../src/protocol/staged-queue.ts';
import { barePair } from '../sim/bare-node.ts';
import { pair } from '../sim/pair.ts';
import { makePacket } from '../sim/payload.ts';
import { withSeed } from '../support/random.ts';

const LENGTH = 1000;
const COST = LENGTH + STAGED_OVERHEAD;
const push = (queue: StagedQueue, number = 0, length = LENGTH) =>
  queue.push(new Uint8Array(length).fill(number), 0, length, 1);

test('one queue holds at most as much as stays free, and drops its oldest', () => {
  const budget = new StagedBudget(10 * COST);
  const queue = new StagedQueue(budget);
  for (let i = 0; i < 20; i++) expect(push(queue, i)).toBe(0);
  expect([queue.segments, budget.used, queue.takeOverBudget()]).toEqual([5, 5 * COST, 15]);
  expect([queue.first!.bytes[0], queue.takeOverBudget()]).toEqual([15, 0]);
});

test('many queues share the budget evenly, and it is never exceeded', () => {
  const budget = new StagedBudget(100 * COST);
  const queues = Array.from({ length: 9 }, () => new StagedQueue(budget));
  for (let round = 0; round < 100; round++)
    for (const queue of queues) {
      push(queue);
      expect(budget.used).toBeLessThanOrEqual(budget.limit);
    }
  // a tenth each, and a tenth for the next
  for (const queue of queues) expect(Math.abs(queue.segments - 10)).toBeLessThanOrEqual(1);
  const next = new StagedQueue(budget);
  push(next);
  expect(next.segments).toBe(1);
});

test('a packet that does not fit is dropped and counted, a keepalive is not', () => {
  const queue = new StagedQueue(new StagedBudget(COST - 1));
  push(queue);
  expect([queue.empty, queue.takeOverBudget()]).toEqual([true, 1]);
  push(queue, 0, VNET_HEADER_SIZE);
  expect([queue.empty, queue.takeOverBudget()]).toEqual([false, 0]);
});

test('whatever happens to the queues, the budget knows what they hold', () => {
  withSeed(random => {
    const budget = new StagedBudget(50_000);
    const queues = Array.from({ length: 5 }, () => new StagedQueue(budget));
    const held = new Map(queues.map(queue => [queue, 0]));
    for (let i = 0; i < 2000; i++) {
      const queue = random.pick(queues);
      const action = random.below(10);
      if (action === 0) queue.clear();
      else if (action === 1) queue.dropHalf();
      else if (action < 4) queue.shift();
      else push(queue, 0, 1 + random.below(3000));
      held.set(queue, queue.segments);
      expect(budget.used >= 0 && budget.used <= budget.limit).toBe(true);
    }
    for (const queue of queues) queue.clear();
    expect(budget.used).toBe(0);
  });
});

test('a peer whose packets found no room gets its handshake, and later packets arrive', () => {
  const { sim, a, b } = pair();
  a.engine.stagedBytes = 0;
  const lost = sim.send(a, b);
  sim.run(100);
  expect([sim.wasDelivered(lost), a.counters.stagedOverBudget, a.counters.sessions]).toEqual([false, 1, 1]);
  const id = sim.send(a, b);
  sim.run(100);
  expect(sim.wasDelivered(id)).toBe(true);
  expect(a.counters.stagedOverBudget).toBe(1);
});

test('a lower limit drops what waits, the oldest first, and peers that go give their share back', () => {
  const { sim, a, b } = pair();
  sim.wire.cut = true;
  for (let i = 0; i < 100; i++) sim.send(a, b, { size: 1000 });
  a.engine.stagedBytes = 20_000;
  expect(a.counters.stagedOverBudget).toBeGreaterThan(80);
  const { a: node, ofB } = barePair();
  node.send(makePacket(0, 1, 1, 500, false));
  expect(node.device.staged.used).toBeGreaterThan(500);
  node.device.removePeer(ofB);
  expect(node.device.staged.used).toBe(0);
});

import { expect, test } from 'vitest';
import { DeadlineQueue } from '../../src/protocol/deadline-queue.ts';
import { withSeed } from '../support/random.ts';

test('a deadline queue returns the earliest first, over random pushes and pops', () => {
  withSeed(random => {
    const queue = new DeadlineQueue<number>();
    let model: number[] = [];
    for (let step = 0; step < 5000; step++) {
      if (random.chance(0.55)) {
        const at = random.chance(0.3) && model.length > 0 ? random.pick(model) : random.below(1000) / 8;
        queue.push(at, at);
        model.push(at);
        model = model.toSorted((a, b) => a - b);
      } else expect(queue.pop()).toBe(model.shift());
      expect([queue.earliest, queue.size]).toEqual([model[0] ?? Number.POSITIVE_INFINITY, model.length]);
    }
  });
});

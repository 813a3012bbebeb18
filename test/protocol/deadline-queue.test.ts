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

test('items of one deadline come out in the order of push, and entries() lists that order', () => {
  withSeed(random => {
    const queue = new DeadlineQueue<number>();
    let model: { at: number; item: number }[] = [];
    for (let item = 0; item < 2000; item++) {
      const at = random.below(5);
      queue.push(at, item);
      model.push({ at, item });
      model = model.toSorted((a, b) => a.at - b.at || a.item - b.item);
      if (item % 50 === 0) expect(queue.entries()).toEqual(model);
      while (random.chance(0.45) && model.length > 0) expect(queue.pop()).toBe(model.shift()!.item);
    }
  });
});

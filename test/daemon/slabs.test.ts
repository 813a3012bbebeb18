/** Slabs that grow with what is lent, and shrink without it. */
import { expect, test } from 'vitest';
import { Slabs } from '../../src/daemon/slabs.ts';

function counted(most: number) {
  let made = 0;
  const slabs = new Slabs(() => ({ count: 0, number: ++made }), most);
  return { slabs, made: () => made };
}

test('makes another slab only when the others are lent, and no more than it may', () => {
  const { slabs, made } = counted(3);
  const first = slabs.current!;
  expect(slabs.current).toBe(first);
  slabs.lend();
  const second = slabs.current!;
  slabs.lend();
  slabs.back(first);
  expect(slabs.current).toBe(first);
  slabs.lend();
  expect(slabs.current!.number).toBe(3);
  slabs.lend();
  expect(slabs.current).toBeUndefined();
  second.count = 7;
  slabs.back(second);
  expect([slabs.current, second.count, made()]).toEqual([second, 0, 3]);
});

test('forgets what is free, and makes it again', () => {
  const { slabs, made } = counted(3);
  const all = [1, 2, 3].map(() => {
    const slab = slabs.current!;
    slabs.lend();
    return slab;
  });
  slabs.back(all[0]!);
  slabs.back(all[1]!);
  slabs.shrink();
  expect([slabs.current!.number, made()]).toEqual([4, 4]);
  slabs.lend();
  expect(slabs.current!.number).toBe(5);
  slabs.lend();
  // one is still lent
  expect(slabs.current).toBeUndefined();
});

import { expect, test } from 'vitest';
import { IndexTable } from '../../src/routing/index-table.ts';
import { withSeed } from '../support/random.ts';

test('an index is four random bytes, little endian and unsigned', () => {
  const table = new IndexTable<string>(bytes => bytes.set([0x01, 0x02, 0x03, 0xff]));
  expect(table.insert('a')).toBe(0xff030201);
  expect(table.lookup(0xff030201)).toBe('a');
  expect(table.lookup(0xff030201 | 0)).toBeUndefined();
});

test('an index in use is never assigned again, and a free one may be', () => {
  const script = [1, 1, 1, 2, 1];
  const table = new IndexTable<string>(bytes => bytes.set([script.shift()!, 0, 0, 0]));
  expect([table.insert('a'), table.insert('b')]).toEqual([1, 2]);
  table.remove(1);
  expect([table.insert('c'), table.lookup(1), table.lookup(2), table.size]).toEqual([1, 'c', 'b', 2]);
});

test('an entry can be created with its index, and replaced in place', () => {
  withSeed(random => {
    const table = new IndexTable<{ index: number }>(bytes => random.fill(bytes));
    const made = table.insertWith(index => ({ index }));
    expect(table.lookup(made.index)).toBe(made);
    const successor = { index: made.index };
    table.replace(made.index, successor);
    expect(table.lookup(made.index)).toBe(successor);
    expect(table.size).toBe(1);
  });
});

test('ten thousand indices all differ', () => {
  withSeed(random => {
    const table = new IndexTable<number>(bytes => random.fill(bytes));
    const indices = new Set(Array.from({ length: 10_000 }, (_, i) => table.insert(i)));
    expect([indices.size, table.size]).toEqual([10_000, 10_000]);
    for (const index of indices) table.remove(index);
    expect(table.size).toBe(0);
  });
});

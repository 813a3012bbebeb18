import { expect, test } from 'vitest';
import { changedKeys, VersionedMap } from '../../src/base/versioned-map.ts';
import { withSeed } from '../support/random.ts';

const entriesOf = (map: ReadonlyMap<number, string>) => [...map].sort(([a], [b]) => a - b);

test('random versions: every one keeps its entries, and knows what changed since any other', () => {
  withSeed(random => {
    let newest = new VersionedMap<number, string>();
    const versions: { readonly map: VersionedMap<number, string>; readonly entries: ReadonlyMap<number, string> }[] =
      [];
    for (let step = 0; step < 300; step++) {
      // Sometimes continue from an older version.
      const base = random.chance(0.05) && versions.length > 0 ? random.pick(versions).map : newest;
      const entries = new Map(base);
      const changes = Array.from({ length: random.below(6) }, (): [number, string | undefined] => [
        random.below(20),
        random.chance(0.3) ? undefined : `${random.below(4)}`,
      ]);
      for (const [key, value] of changes)
        if (value === undefined) entries.delete(key);
        else entries.set(key, value);
      newest = base.with(changes);
      versions.push({ map: newest, entries });
      for (let i = 0; i < 5; i++) {
        const [a, b] = [random.pick(versions), random.pick(versions)];
        expect(entriesOf(a.map)).toEqual(entriesOf(a.entries));
        expect(a.map.size).toBe(a.entries.size);
        for (let key = 0; key < 20; key++) expect(a.map.get(key)).toBe(a.entries.get(key));
        const changed = [...changedKeys(a.map, b.map)].sort((x, y) => x - y);
        const expected = Array.from({ length: 20 }, (_, key) => key).filter(
          key => a.entries.get(key) !== b.entries.get(key),
        );
        expect(changed).toEqual(expected);
      }
    }
  });
});

test('a version that is being read stays as it is while later ones are made', () => {
  const first = new VersionedMap<number, string>(new Map([1, 2, 3].map(key => [key, `${key}`] as const)));
  const read: string[] = [];
  for (const [key, value] of first) {
    first.with([
      [key + 1, undefined],
      [key + 10, 'new'],
    ]);
    read.push(value);
  }
  expect(read).toEqual(['1', '2', '3']);
  expect([...first.keys()]).toEqual([1, 2, 3]);
});

test('the same entries are the same version', () => {
  const map = new VersionedMap(new Map([[1, 'a']]));
  expect(
    map.with([
      [1, 'a'],
      [2, undefined],
    ]),
  ).toBe(map);
});

test('a change costs its size: the difference of versions looks at no other entry', () => {
  let compared = 0;
  class Watched extends Map<number, object> {
    override get(key: number): object | undefined {
      compared++;
      return super.get(key);
    }
  }
  const entries = new Watched();
  for (let i = 0; i < 10_000; i++) entries.set(i, {});
  const before = new VersionedMap<number, object>(entries);
  const after = before.with([
    [5, {}],
    [20_000, {}],
  ]);
  expect([...changedKeys(before, after)]).toEqual([5, 20_000]);
  expect(compared).toBeLessThan(20);
});

test('an old version that is kept does not keep all later ones', () => {
  const first = new VersionedMap<number, number>(new Map([[0, 0]]));
  let newest = first;
  for (let i = 1; i < 5000; i++) newest = newest.with([[0, i]]);
  expect(first.get(0)).toBe(0);
  // The chain between them was cut.
  expect(first.changesUntil(newest)).toBeUndefined();
  expect([...changedKeys(first, newest)]).toEqual([0]);
});

/** Differences of objects: what counts, and how they are printed. */
import { describe, expect, test } from 'vitest';
import { comparable, isSame, unifiedDiff } from '../../../src/calico/install/change/diff.ts';

describe('two versions are the same', () => {
  const object = { kind: 'X', metadata: { name: 'a' }, spec: { b: 1, c: [1, 2] } };
  test.each<[string, object, boolean]>([
    ['another order of fields', { spec: { c: [1, 2], b: 1 }, metadata: { name: 'a' }, kind: 'X' }, true],
    ['what the server sets', { ...object, status: {}, metadata: { name: 'a', resourceVersion: '1', uid: 'u' } }, true],
    [
      'what kubectl keeps',
      {
        ...object,
        metadata: { name: 'a', annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' } },
      },
      true,
    ],
    ['another annotation', { ...object, metadata: { name: 'a', annotations: { b: 'c' } } }, false],
    ['another order of a list', { ...object, spec: { b: 1, c: [2, 1] } }, false],
    ['another value', { ...object, spec: { b: 2, c: [1, 2] } }, false],
  ])('%s: %j', (_, other, same) => {
    expect(isSame(object, other)).toBe(same);
  });

  test('a comparison leaves the object as it is', () => {
    const live = { metadata: { managedFields: [1] } };
    expect(comparable(live)).toEqual({ metadata: {} });
    expect(live).toEqual({ metadata: { managedFields: [1] } });
  });
});

describe('a difference', () => {
  const lines = (...names: (string | number)[]): string => names.map(name => `${name}\n`).join('');
  test('has three lines around each change', () => {
    const before = lines(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const after = before.replace('5\n', 'five\n').replace('14\n', '');
    expect(unifiedDiff('X a', before, after)).toBe(
      lines('--- live X a', '+++ merged X a', '@@ -2,7 +2,7 @@', ' 2', ' 3', ' 4', '-5', '+five', ' 6', ' 7', ' 8') +
        lines('@@ -11,5 +11,4 @@', ' 11', ' 12', ' 13', '-14', ' 15'),
    );
  });

  test('joins changes that are near', () => {
    expect(unifiedDiff('X a', lines(1, 2, 3, 4), lines(0, 2, 3, 9))).toBe(
      lines('--- live X a', '+++ merged X a', '@@ -1,4 +1,4 @@', '-1', '+0', ' 2', ' 3', '-4', '+9'),
    );
  });

  test('of nothing is a whole text, and of the same is empty', () => {
    expect(unifiedDiff('X a', '', lines(1))).toBe(lines('--- live X a', '+++ merged X a', '@@ -0,0 +1,1 @@', '+1'));
    expect(unifiedDiff('X a', lines(1, 2), lines(1, 2))).toBe('');
  });

  test('of very long texts is the whole of both', () => {
    const long = Array.from({ length: 5000 }, (_, i) => `${i}\n`).join('');
    expect(unifiedDiff('X a', long, `${long}x\n`).split('\n')).toHaveLength(2 * 5000 + 1 + 3 + 1);
  });
});

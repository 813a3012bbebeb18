/**
 * No allocation and no crossing per packet (bench/heap), checked with a million packets; the
 * benchmark itself sends ten million.
 */
import { expect, test } from 'vitest';
import { profileLoads } from '../../bench/heap/main.ts';
import { allocations } from '../../bench/heap/sites.ts';
import { testWith } from '../netns/needs.ts';

test('allocations are summed by function and line', () => {
  const frame = (functionName: string, url: string, lineNumber: number) => ({
    functionName,
    url,
    lineNumber,
    scriptId: '1',
    columnNumber: 0,
  });
  const leaf = { callFrame: frame('f', 'file:///a/b.js', 9), selfSize: 5, id: 3, children: [] };
  const head = {
    callFrame: frame('(root)', '', -1),
    selfSize: 0,
    id: 1,
    children: [
      { callFrame: frame('', 'file:///a/c.js', 0), selfSize: 7, id: 2, children: [leaf] },
      { ...leaf, id: 4 },
    ],
  };
  expect(allocations({ head })).toEqual([
    { name: 'f b.js:10', bytes: 10 },
    { name: '(anonymous) c.js:1', bytes: 7 },
  ]);
});

testWith(
  ['addon'],
  'a packet costs less than the smallest object, and a hundredth of a crossing',
  async () => {
    for (const { load, bytesPerPacket, crossingsPerPacket } of await profileLoads(1_000_000)) {
      expect(bytesPerPacket, load).toBeLessThan(12);
      expect(crossingsPerPacket, load).toBeLessThan(0.02);
    }
  },
  60_000,
);

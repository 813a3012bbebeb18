/** The line that a short run leaves: ratios run by run, and an error if something is missing. */
import { expect, test } from 'vitest';
import { historyLine } from '../../bench/history.ts';
import type { Results } from '../../bench/results.ts';

const RESULTS: Results = {
  machine: { cpu: 'A processor', cores: 2, memoryGib: 4, kernel: '6.1', system: 'Linux', node: '20.20.2' },
  date: '2026-12-01T13:00:00.000Z',
  runs: 3,
  seconds: 1,
  quick: false,
  contenders: [
    { name: 'wireguard-ts', kind: 'ours', version: '1' },
    { name: 'wireguard-go', kind: 'other', version: '2' },
  ],
  figures: [{ name: 'tcp1', title: 'TCP', unit: 'Gbit/s', better: 'more', digits: 2 }],
  values: { tcp1: { 'wireguard-ts': [6, 2, 9], 'wireguard-go': [2, 1, null] } },
  notes: ['a note'],
};

test('has date, commit, processor, versions, medians and the ratio of the runs that both finished', () => {
  expect(JSON.parse(historyLine(RESULTS, 'abc'))).toEqual({
    date: RESULTS.date,
    commit: 'abc',
    processor: 'A processor, 2 cores',
    runs: 3,
    seconds: 1,
    versions: ['wireguard-ts 1', 'wireguard-go 2'],
    tcp1: { ours: 6, other: 1.5, ratio: 2.5 },
  });
});

test('a figure that was not measured is an error, with what the run noted', () => {
  const values = { tcp1: { 'wireguard-ts': [6], 'wireguard-go': [null] } };
  expect(() => historyLine({ ...RESULTS, values }, 'abc')).toThrow('not measured against wireguard-go: tcp1; a note');
  expect(() => historyLine({ ...RESULTS, figures: [] }, 'abc')).toThrow('everything');
});

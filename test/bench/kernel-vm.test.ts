import { expect, test } from 'vitest';
import { Neighbours, noteOn } from '#dist/bench/kernel-vm/neighbours.js';
import { againstKernel } from '#dist/bench/kernel-vm/table.js';
import { formatResults, parseResults } from '#dist/bench/kernel-vm/transcript.js';
import type { Results } from '#dist/bench/results.js';

const results: Results = {
  machine: { cpu: 'CPU', cores: 2, memoryGib: 1, kernel: '6.1', system: 'Debian', node: '20.19.0' },
  date: '2026-01-02T03:04:05.000Z',
  runs: 3,
  seconds: 1,
  quick: false,
  contenders: [
    { name: 'wireguard-ts', kind: 'ours', version: '1' },
    { name: 'kernel', kind: 'kernel', version: 'the module' },
    { name: 'no tunnel', kind: 'bare', version: '' },
  ],
  figures: [{ name: 'tcp1', title: 'TCP, one stream', unit: 'Gbit/s', better: 'more', digits: 2 }],
  values: { tcp1: { 'wireguard-ts': [0.03, 0.04, null], kernel: [0.06, 0.04, 0.05] } },
  notes: ['a note'],
};

test('results pass through the console as one line among others', () => {
  const line = formatResults(results);
  expect(line).not.toContain('\n');
  expect(parseResults(line)).toEqual(results);
  expect(parseResults('[1/9] run 1, kernel: tcp1 0.06 Gbit/s')).toBeUndefined();
  expect(() => parseResults(line.slice(0, -5))).toThrow('damaged');
});

test('every contender is compared with the kernel, run by run', () => {
  const lines = againstKernel(results).split('\n');
  expect(lines[0]).toMatch(/TCP, one stream .* ratio to the kernel/);
  expect(lines[2]).toMatch(/wireguard-ts .* 0\.0350 \|.* 0\.0300 - 0\.0400 \|.* 0\.75x/);
  expect(lines[3]).toMatch(/kernel .* 0\.0500 .* 1\.00x/);
  expect(lines[4]).toMatch(/^\| no tunnel( *\|){4}$/);
  expect(lines).toContain('a note');
  expect(lines).not.toContain('The kernel module did not take part.');
});

test('the table says if the kernel did not take part', () => {
  const alone = { ...results, contenders: results.contenders.slice(0, 1) };
  expect(againstKernel(alone)).toContain('did not take part');
});

test('busy neighbours add a note', () => {
  expect(noteOn(0.01)).toBeUndefined();
  expect(noteOn(0.384)).toContain('took 38 %');
  const share = new Neighbours().share();
  expect(share).toBeGreaterThanOrEqual(0);
  expect(share).toBeLessThanOrEqual(1);
});

import { describe, expect, test } from 'vitest';
import { type Contest, concat, crossCheck, difference, type Prepared, pattern } from '#dist/bench/micro/contest.js';
import { runMicro } from '#dist/bench/micro/main.js';
import { MTU, plainPacket, superPacket, TCP4, TCP6, UDP4 } from '#dist/bench/micro/packets.js';
import { makeRow, markdown, significant } from '#dist/bench/micro/rows.js';
import { VNET_HEADER_SIZE } from '../../src/packet/batch.ts';
import { FLOW_MERGE, FlowPacket } from '../../src/packet/flow.ts';
import { SplitPlan } from '../../src/packet/segments.ts';
import { writeSegment } from '../../src/packet/split.ts';

describe('cross-check', () => {
  const contest: Contest = { name: 'sums', units: 1, prepare: () => ({ contenders: [] }) };
  const maker = (name: string, ...results: number[][]) => {
    let runs = 0;
    return {
      name,
      run: () => void runs++,
      result: () => Uint8Array.from(results[Math.min(runs, results.length) - 1]!),
    };
  };
  const check = (prepared: Prepared) => () => crossCheck('subject', contest, prepared);

  test('equal results pass', () => {
    expect(check({ contenders: [maker('a', [1, 2]), maker('b', [1, 2])] })).not.toThrow();
  });

  test('different results are reported with contender and position', () => {
    expect(check({ contenders: [maker('a', [1, 2]), maker('b', [1, 3])] })).toThrow(
      'subject, sums: a and b differ from byte 1 on',
    );
    expect(check({ contenders: [maker('a', [1, 2]), maker('b', [1])] })).toThrow('from byte 1 on');
  });

  test('detects a run that changes its input', () => {
    expect(check({ contenders: [maker('a', [1], [2])] })).toThrow('a and itself');
  });

  test('rejects a contest without contenders', () => {
    expect(check({ contenders: [] })).toThrow('no contender is available');
  });
});

test('bytes', () => {
  expect(difference(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBeUndefined();
  expect(difference(Uint8Array.of(1), Uint8Array.of(1, 2))).toBe(1);
  expect([...concat([Uint8Array.of(1), Uint8Array.of(), Uint8Array.of(2, 3)])]).toEqual([1, 2, 3]);
  expect(pattern(100)).toEqual(pattern(100));
  expect(pattern(100)).not.toEqual(pattern(100, 2));
});

describe('rows', () => {
  const contest: Contest = { name: 'c', units: 10, bytes: 1000, prepare: () => ({ contenders: [] }) };
  const subject = { name: 's', title: 'Title', unit: 'packet', contests: [contest] };

  test('overhead is subtracted, and the margin stays the same in seconds', () => {
    const row = makeRow(subject, contest, 'a', { seconds: 30e-6, margin: 0.1, samples: 5 }, 10e-6);
    expect(row.microseconds).toBeCloseTo(2);
    expect(row.perSecond).toBeCloseTo(500_000);
    expect(row.gigabitsPerSecond).toBeCloseTo(0.4);
    expect(row.margin).toBeCloseTo(0.15);
  });

  test('overhead that noise made too large leaves a positive time', () => {
    const row = makeRow(subject, contest, 'a', { seconds: 1e-6, margin: 0, samples: 5 }, 2e-6);
    expect(row.microseconds).toBeGreaterThan(0);
  });

  test('formats a table', () => {
    const timing = { seconds: 1e-5, margin: 0.012, samples: 5 };
    const rows = ['a', 'b'].map(name => makeRow(subject, contest, name, timing, 0));
    expect(markdown([subject], rows).split('\n')).toEqual([
      '### Title',
      '',
      '|     |  by | µs/packet | packets/s | Gbit/s |     ± |',
      '| --- | --: | --------: | --------: | -----: | ----: |',
      '| c   |   a |      1.00 | 1,000,000 |  0.800 | 1.2 % |',
      '|     |   b |      1.00 | 1,000,000 |  0.800 | 1.2 % |',
      '',
    ]);
  });

  test('formats three significant digits', () => {
    expect([0.012345, 1.2345, 99.4, 1234.5].map(significant)).toEqual(['0.0123', '1.23', '99.4', '1,235']);
  });
});

test.each([TCP4, TCP6, UDP4])('a super-packet of $name is split into full packets with correct checksums', flow => {
  const { bytes, segments } = superPacket(flow);
  const plan = new SplitPlan();
  expect(plan.read(bytes, 0, bytes.length)).toBe(segments);
  expect(bytes.length - VNET_HEADER_SIZE).toBeGreaterThan(65_535 - MTU);
  const out = new Uint8Array(MTU);
  const packet = new FlowPacket();
  for (let i = 0; i < segments; i++) {
    expect(writeSegment(bytes, plan, i, out, 0)).toBe(MTU);
    packet.read(out, 0, MTU);
    expect(packet.kind).toBe(FLOW_MERGE);
    expect(packet.sumsAreRight(out)).toBe(true);
  }
});

test('a plain packet is a single one and stays unchanged', () => {
  const bytes = plainPacket(64);
  const plan = new SplitPlan();
  expect(plan.read(bytes, 0, bytes.length)).toBe(1);
  const out = new Uint8Array(64);
  expect(writeSegment(bytes, plan, 0, out, 0)).toBe(64);
  expect(out).toEqual(bytes.subarray(VNET_HEADER_SIZE));
});

test('names an unknown subject', () => {
  expect(() => runMicro({ only: ['nothing'] })).toThrow('no such subject: nothing; there are: transport');
});

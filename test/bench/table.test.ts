import { describe, expect, test } from 'vitest';
import { frontPageTable } from '#dist/bench/front-page.js';
import { between } from '#dist/bench/marks.js';
import { parseOptions } from '#dist/bench/options.js';
import { plotBars } from '#dist/bench/plots/bars.js';
import type { Results } from '#dist/bench/results.js';
import { bestOther, markdown, ratioTo, table } from '#dist/bench/table.js';

const results: Results = {
  machine: { cpu: 'A <fast> CPU', cores: 2, memoryGib: 4, kernel: '6.1', system: 'Debian', node: '20.19.0' },
  date: '2026-01-02T03:04:05.000Z',
  runs: 3,
  seconds: 1,
  quick: false,
  contenders: [
    { name: 'wireguard-ts', kind: 'ours', version: '1' },
    { name: 'wireguard-go', kind: 'other', version: '2' },
    { name: 'boringtun-cli', kind: 'other', version: '3' },
    { name: 'gotatun', kind: 'other', version: '4' },
    { name: 'no tunnel', kind: 'bare', version: '' },
  ],
  figures: [
    { name: 'tcp1', title: 'TCP', unit: 'Gbit/s', better: 'more', digits: 1 },
    { name: 'ping', title: 'Ping', unit: 'ms', better: 'less', digits: 2 },
  ],
  values: {
    tcp1: {
      'wireguard-ts': [4, 6, 8],
      'wireguard-go': [2, 3, 4],
      'boringtun-cli': [1, 1, 1],
      gotatun: [null, 3, null],
      'no tunnel': [20, 20, 20],
    },
    ping: {
      'wireguard-ts': [0.1, 0.1, 0.1],
      'wireguard-go': [null, null, null],
      'boringtun-cli': [0.2, 0.2, 0.2],
      gotatun: [0.4, 0.4, 0.4],
    },
  },
  notes: ['Failed: something'],
};

describe('the table', () => {
  const lines = markdown(results).split('\n');

  test('has a row for each figure, medians and ratios', () => {
    const cells = (line: string): string[] =>
      line
        .split('|')
        .slice(1, -1)
        .map(text => text.trim());
    expect(cells(lines[2]!)).toEqual(['TCP (Gbit/s)', '6.0', '3.0', '1.0', '3.0', '20.0', '2.00x', '2.00x gotatun']);
    expect(cells(lines[3]!)).toEqual([
      'Ping (ms, less is better)',
      '0.10',
      '',
      '0.20',
      '0.40',
      '',
      '',
      '0.50x boringtun-cli',
    ]);
  });

  test('names the machine, and what went wrong', () => {
    const text = lines.join(' ');
    for (const fact of [
      'A <fast> CPU',
      'Linux 6.1',
      'Node 20.19.0',
      '2026-01-02',
      'wireguard-go 2',
      'Failed: something',
    ])
      expect(text).toContain(fact);
  });

  test('columns are aligned', () => {
    expect(
      table([
        ['a', 'bb'],
        ['long', 'c'],
      ]),
    ).toBe('| a    |  bb |\n| ---- | --: |\n| long |   c |\n');
  });

  test('the best is the most or the least, depending on the figure', () => {
    expect(bestOther(results, results.figures[0]!)?.name).toBe('gotatun');
    expect(bestOther(results, results.figures[1]!)?.name).toBe('boringtun-cli');
    expect(ratioTo(results, results.figures[0]!, 'gotatun')?.pairs).toBe(1);
  });
});

test('the plot is well formed, and every value is a number', () => {
  const svg = plotBars(results);
  expect(svg).toContain('A &lt;fast&gt; CPU');
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  expect(svg.match(/<rect/g)).toHaveLength(7);
});

test("the front pages' table has fewer rows and columns, but the same notes on machine and versions", () => {
  const own = { name: 'wireguard-ts (openssl)', kind: 'ours', version: '1' } as const;
  const figures = [...results.figures, { ...results.figures[1]!, name: 'ping-p99', title: 'Another' }];
  const whole = markdown({ ...results, figures, contenders: results.contenders.toSpliced(1, 0, own) });
  const page = between('<!-- bench --><!-- /bench -->', whole, 'a.md');
  const notes = (text: string): string[] => text.trim().split('\n\n').slice(1);
  const short = frontPageTable(page, ['TCP', 'Ping']);
  expect(whole.match(/^\| (?=[A-Z])/gm)).toHaveLength(3);
  expect(short.match(/^\| (?=[A-Z])/gm)).toHaveLength(2);
  expect(whole).toContain('(openssl) |');
  expect(short).not.toContain('(openssl) |');
  expect(notes(short)).toEqual(notes(markdown(results)));
  expect(() => frontPageTable(page, ['None'])).toThrow('no row "None"');
});

test('prose below the table wraps at 120 columns', () => {
  const long = markdown({ ...results, notes: ['word '.repeat(100).trim()] }).split('\n');
  expect(Math.max(...long.filter(line => !line.startsWith('|')).map(line => line.length))).toBeLessThanOrEqual(120);
});

test('replaces the text between the marks, and nothing else', () => {
  expect(between('a\n<!-- bench -->\nold\n<!-- /bench -->\nb', '| new |\n', 'a.md')).toBe(
    'a\n<!-- bench -->\n\n| new |\n\n<!-- /bench -->\nb',
  );
  expect(() => between('nothing', '', 'a.md')).toThrow('a.md has no <!-- bench -->');
});

describe('options', () => {
  test('have defaults', () => {
    expect(parseOptions([])).toMatchObject({ word: 'tunnel', runs: 5, seconds: 3, only: [], quick: false });
    expect(parseOptions(['--quick'])).toMatchObject({ runs: 2, seconds: 1, quick: true });
  });

  test('are parsed', () => {
    expect(parseOptions(['micro', '--runs=7', '--only=tcp1,ping', '--contenders=a b', '--seconds=0.5'])).toMatchObject({
      word: 'micro',
      runs: 7,
      only: ['tcp1', 'ping'],
      contenders: ['a b'],
      seconds: 0.5,
    });
  });

  test.each([['--nonsense'], ['-x'], ['--runs=0'], ['--runs=x'], ['--seconds=0'], ['tunnel', 'micro']])(
    'rejects %s %s',
    (...args) => expect(typeof parseOptions(args)).toBe('string'),
  );
});

/** Compares our regular expressions (RE2) with Go's. */
import { expect, test } from 'vitest';
import { goRegexp } from '../../../../src/calico/plan/config/go-regexp.ts';
import { describeWith } from '../../../netns/needs.ts';
import { askGo } from '../../../support/go-reference.ts';
import { type Random, seeded } from '../../../support/random.ts';

const SEED = Number(process.env['TEST_SEED'] ?? Date.now() >>> 0);
console.log(`TEST_SEED=${SEED}`);
const PATTERNS = Number(process.env['WG_FUZZ_RUNS'] ?? 30_000);
// biome-ignore format: several on a line
const NAMES = [
  'eth0', 'eth00', 'ens1', 'NET1', 'net0', 'wlan0', 'cali0', 'bond0.100', 'br-1', 'lo',
  'a_b', '', 'é0', 'eth0\n', 'ſ', 'K', 'enp3s0f1np1', 'veth-0',
];

const randomText = (random: Random, parts: readonly string[], most: number): string =>
  Array.from({ length: 1 + random.below(most) }, () => random.pick(parts)).join('');

describeWith(['go'], 'as Go', () => {
  test('patterns of interface names', () => {
    const random = seeded(SEED);
    // biome-ignore format: several on a line
    const parts = [
      'a', 'e', 'th', '0', '1', 'NET', '.', '*', '+', '?', '*?', '{1,2}', '{3}', '{,2}',
      '{1001}', '|', '(', ')', '(?:', '(?i)', '(?i:', '(?s)', '(?m)', '(?U)', '(?-i)', '(?P<n>',
      '(?<n>', '(?=', '(?!', '(?<=', '(?<!', '(?>', '(?#c)', '^', '$', '\\A', '\\z', '\\Z',
      '\\b', '\\B', '\\d', '\\D', '\\w', '\\W', '\\s', '\\S', '\\h', '\\R', '\\X', '\\C', '\\Q',
      '\\E', '\\pL', '\\p{Lu}', '\\p{Greek}', '\\PL', '\\p{^L}', '\\x41', '\\x{65}', '\\u0041',
      '\\101', '\\0', '\\1', '\\k<n>', '\\-', '\\_', '\\"', '\\/', '\\e', '\\a', '\\t', '\\n',
      '\\cA', '[', ']', '[a-z]', '[^a-z]', '[[:alpha:]]', '[[:^digit:]]', '[[:word:]]',
      '[[:foo:]]', '[]a]', '[^]a]', '[a\\]]', '[\\d-z]', '[a-]', '[z-a]', '[\\w.-]', '[\\Qa\\E]',
      '[a&&b]', '-', 'é', 'k', 's', ' ',
    ];
    // biome-ignore format: several on a line
    const fixed = [
      '(?i)^NET.*', '^[[:alpha:]]+[0-9]$', '^eth0\\z',
      '^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)', '(', '(?=a)', '(?!cali).*', '^eth0\\Z',
      '(?<n>a)', '(?P<n>a)', '', '(?i)K', '(?i)s', '\\p{L}+', '$', '^$', '(?m)^e', 'a{1000}',
      'a{1001}', '(a{100}){11}', '\\pN', '[[.a.]]', '(?x)a b', '[[:ALPHA:]]', 'x**', 'x*+',
      '(?i)[^k]', '\\8',
    ];
    const questions = [...fixed, ...Array.from({ length: PATTERNS }, () => randomText(random, parts, 6))].map(text => ({
      kind: 'regexp' as const,
      text,
      names: NAMES,
    }));
    const answers = askGo(questions);
    const mismatches = questions.flatMap(({ text }, i) => {
      const { error, matches } = answers[i]!;
      // Go accepts two groups of the same name; RE2 and we do not.
      if (/\(\?P?<n>.*\(\?P?<n>/.test(text)) return [];
      const ours = goRegexp(text);
      const theirs = error === undefined ? JSON.stringify(matches) : 'refused';
      const result = ours ? JSON.stringify(NAMES.map(name => ours.test(name))) : 'refused';
      return result === theirs ? [] : [`${JSON.stringify(text)}: ${result}, Go ${theirs} ${error ?? ''}`];
    });
    expect(mismatches).toEqual([]);
    expect(answers.filter(({ error }) => error === undefined).length).toBeGreaterThan(3000);
  });
});

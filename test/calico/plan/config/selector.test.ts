/** Calico's selector language. */
import { describe, expect, test } from 'vitest';
import { matches, parseSelector } from '../../../../src/calico/plan/config/selector.ts';
import { type Random, withSeed } from '../../../support/random.ts';

const LABELS = { a: 'x', b: 'yes', 'k8s.io/name': 'node-1', in: 'in', empty: '', 'has.not': '1', contains: 'c' };

const evaluate = (text: string, labels: Readonly<Record<string, string>> = LABELS) => {
  const selector = parseSelector(text);
  if ('error' in selector) throw new Error(`${text}: ${selector.error}`);
  return matches(selector, labels);
};

test.each([
  ['', true],
  ['all()', true],
  ['all( )', true],
  ['global()', true],
  ['has(a)', true],
  ['has( k8s.io/name )', true],
  ['has(none)', false],
  ['!has(none)', true],
  ['!!has(none)', false],
  ["a == 'x'", true],
  ['a=="x"', true],
  ["a == 'y'", false],
  ["none == ''", false],
  ["empty == ''", true],
  ["a != 'x'", false],
  ["a != 'y'", true],
  ["none != 'x'", true],
  ["a in {'x', 'y'}", true],
  ["a in{'y','x',}", true],
  ['a in {}', false],
  ["none in {'x'}", false],
  ["a not in {'x'}", false],
  ["a notin {'y'}", true],
  ["none not in {'x'}", true],
  ["b contains 'es'", true],
  ["b contains 'no'", false],
  ["none contains ''", false],
  ["b starts with 'ye'", true],
  ["b startswith 'es'", false],
  ["b ends with 'es'", true],
  ["b ends\twith 'ye'", false],
  ["in in {'in'}", true],
  ["contains contains 'c'", true],
  ["has.not == '1'", true],
  ["a == 'y' && a == 'y' || a == 'x'", true],
  ["a == 'x' || a == 'y' && a == 'y'", true],
  ["(a == 'x' || a == 'y') && a == 'y'", false],
  ["!(a == 'x' && b == 'no')", true],
  ["!a == 'x'", false],
  ["a == 'it\"s'", false],
  ['  has(a)\t&&\thas(b)  ', true],
])('%s is %s', (text, expected) => {
  expect(evaluate(text)).toBe(expected);
});

test.each([
  ["a = 'x'", 'character 3'],
  ['a == x', 'expected a quoted string at character 6, not "x"'],
  ['a', 'expected an operator at character 2, not the end'],
  ["'x' == a", 'character 1'],
  ['has()', 'character 1'],
  ['has(a', 'character 1'],
  ['all(a)', 'character 1'],
  ["a == 'x", 'character 6'],
  ["a == 'x' &&", 'not the end'],
  ["a == 'x' & b == 'y'", 'character 10'],
  ["a == 'x' b == 'y'", 'at character 10'],
  ["(a == 'x'", 'expected )'],
  ["a == 'x')", 'at character 9'],
  ["a in 'x'", 'expected {'],
  ["a in {'x'", 'expected }'],
  ['a in {x}', 'expected }'],
  ["a starts 'x'", 'expected an operator'],
  ["a like 'x'", 'expected an operator'],
  ['\u00e4 == "x"', 'character 1'],
  [`${'('.repeat(5000)}all()${')'.repeat(5000)}`, 'deeper than 100'],
])('%s names the mistake', (text, message) => {
  const selector = parseSelector(text);
  expect('error' in selector && selector.error).toContain(message);
  expect('error' in selector && selector.error.length).toBeLessThan(200);
});

test('a long chain does not count as nesting', () => {
  expect(evaluate(Array.from({ length: 5000 }, () => "a == 'x'").join(' && '))).toBe(true);
  expect(evaluate(`${'!'.repeat(5001)}has(a)`)).toBe(false);
});

test('properties that every JavaScript object inherits are not labels', () => {
  expect(evaluate('has(constructor) || has(__proto__) || has(toString)')).toBe(false);
});

describe('random selectors', () => {
  interface Sample {
    readonly text: string;
    readonly value: boolean;
  }
  const labels = { a: 'x', b: 'y' };
  const sample = (random: Random, depth: number): Sample => {
    if (depth === 0 || random.chance(0.3)) {
      const label = random.pick(['a', 'b', 'c']);
      const word = random.pick(['x', 'y', 'z']);
      const held = (labels as Record<string, string>)[label];
      return random.pick<Sample>([
        { text: `has(${label})`, value: held !== undefined },
        { text: `${label} == '${word}'`, value: held === word },
        { text: `${label}!="${word}"`, value: held !== word },
        { text: `${label} in {'${word}'}`, value: held === word },
        { text: `${label} not in {'${word}'}`, value: held !== word },
      ]);
    }
    const [left, right] = [sample(random, depth - 1), sample(random, depth - 1)];
    return random.pick<Sample>([
      { text: `(${left.text} && ${right.text})`, value: left.value && right.value },
      { text: `(${left.text}||${right.text})`, value: left.value || right.value },
      { text: `!(${left.text})`, value: !left.value },
    ]);
  };

  test('evaluate to the intended result', () => {
    withSeed(random => {
      for (let i = 0; i < 2000; i++) {
        const { text, value } = sample(random, 4);
        expect(evaluate(text, labels), text).toBe(value);
      }
    });
  });

  test('any text yields a selector or an error', () => {
    withSeed(random => {
      const words = [
        'a',
        "'",
        '"',
        '(',
        ')',
        '{',
        '}',
        ',',
        '==',
        '!',
        '&&',
        '||',
        'in',
        'has(',
        'all()',
        ' ',
        '=',
        '\0',
        'é',
      ];
      for (let i = 0; i < 5000; i++) {
        const text = Array.from({ length: random.below(12) }, () => random.pick(words)).join('');
        const selector = parseSelector(text);
        if ('error' in selector) expect(selector.error).not.toBe('');
        else expect(typeof matches(selector, labels)).toBe('boolean');
      }
    });
  });
});

test('global() matches everything outside of namespaceSelectors', () => {
  expect(evaluate('global()', { 'projectcalico.org/namespace': 'x' })).toBe(true);
  expect(evaluate('!global()', {})).toBe(false);
});

import { expect, test } from 'vitest';
import { ListSplitter } from '../../../../src/calico/datastore/parse/list-splitter.ts';
import { type Random, withSeed } from '../../../support/random.ts';

const LONGEST = 10_000;

function split(text: string, cuts: readonly number[] = [], longest = LONGEST) {
  const items: string[] = [];
  const splitter = new ListSplitter(item => items.push(item), longest);
  const bytes = Buffer.from(text);
  const ends = [...cuts, bytes.length].sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    splitter.push(bytes.subarray(from, end));
    from = end;
  }
  return { items, rest: splitter.end() };
}

const parsed = ({ items, rest }: ReturnType<typeof split>) => ({
  items: items.map(item => JSON.parse(item) as unknown),
  list: JSON.parse(rest) as unknown,
});

const WORDS = ['items', '"items":[', '{', '}', '[', ']', ',', '\\', '"', 'é🙂', '', '\n'];
// Node 26.10's JSON.parse takes `"\""` for the key `\`, if it has seen the key `\` before.
const KEYS = WORDS.map(word => (word === '\\' ? '\\x' : word));

function value(random: Random, depth: number): unknown {
  const kind = random.below(depth > 3 ? 4 : 7);
  if (kind < 2) return random.pick(WORDS) + random.pick(WORDS);
  if (kind === 2) return random.below(1000);
  if (kind === 3) return random.pick([null, true, false]);
  if (kind === 4) return Array.from({ length: random.below(4) }, () => value(random, depth + 1));
  return Object.fromEntries(
    Array.from({ length: random.below(4) }, () => [random.pick(KEYS), value(random, depth + 1)]),
  );
}

test('random lists, split at random bytes: the items, and the list without them', () => {
  withSeed(random => {
    for (let i = 0; i < 2000; i++) {
      const items = Array.from({ length: random.below(6) }, () => value(random, 0));
      const more = { kind: random.pick(WORDS), metadata: { items: value(random, 1), nested: [[], {}] } };
      const list = random.chance(0.5) ? { ...more, items } : { items, ...more };
      const text = JSON.stringify(list, null, random.pick([0, 2]));
      const cuts = Array.from({ length: random.below(8) }, () => random.below(Buffer.byteLength(text) + 1));
      expect(parsed(split(text, cuts))).toEqual({ items, list: { ...list, items: [] } });
    }
  });
});

test('any bytes are accepted, and what is no list stays as it is', () => {
  withSeed(random => {
    for (let i = 0; i < 2000; i++) {
      const text = Array.from({ length: random.below(20) }, () => random.pick([...WORDS, ':', '"items": [', '1'])).join(
        '',
      );
      const cuts = Array.from({ length: random.below(4) }, () => random.below(Buffer.byteLength(text) + 1));
      split(text, cuts);
    }
  });
  for (const text of ['<html>', '{"kind":"Status","code":500}', '[1,2]', '', '{"items":{"a":[1]}}', '"items":[1]'])
    expect(split(text)).toEqual({ items: [], rest: text });
});

test('a list that was cut off is not JSON', () => {
  const text = '{"metadata":{"resourceVersion":"1"},"items":[{"a":1},{"b":[2]}]}';
  for (let length = 1; length < text.length; length++)
    expect(() => parsed(split(text.slice(0, length)))).toThrow(SyntaxError);
});

test('nothing grows without bound', () => {
  const long = 'x'.repeat(LONGEST);
  expect(() => split(`{"items":[{"a":"${long}"}]}`)).toThrow(RangeError);
  expect(() => split(`{"items":[{"a":"${long}`)).toThrow(RangeError);
  expect(() => split(`{"a":"${long}`)).toThrow(RangeError);
  const many = `{"items":[${Array.from({ length: 1000 }, () => `{"a":"${'x'.repeat(100)}"}`).join()}]}`;
  expect(split(many).items).toHaveLength(1000);
});

/** Containment and difference of prefixes. */
import { expect, test } from 'vitest';
import { covers, formatPrefix, makePrefix, type Prefix } from '../../../../src/base/prefix.ts';
import { PrefixSet } from '../../../../src/base/prefix-set.ts';
import { subtractPrefixes } from '../../../../src/calico/plan/peers/prefix-sets.ts';
import { prefix } from '../../../support/calico-cluster.ts';
import { type Random, withSeed } from '../../../support/random.ts';

test.each([
  ['10.0.0.0/8', '10.255.255.255/32', true],
  ['10.0.0.0/8', '10.0.0.0/8', true],
  ['10.0.0.0/9', '10.128.0.0/9', false],
  ['10.0.0.0/9', '10.0.0.0/8', false],
  ['10.0.0.64/26', '10.0.0.127/32', true],
  ['10.0.0.64/26', '10.0.0.128/32', false],
  ['0.0.0.0/0', '1.2.3.4/32', true],
  ['0.0.0.0/0', '::/0', false],
  ['fd00::/122', 'fd00::3f/128', true],
  ['fd00::/122', 'fd00::40/128', false],
])('%s covers %s: %s', (outer, inner, expected) => {
  expect(covers(prefix(outer), prefix(inner))).toBe(expected);
  expect(new PrefixSet([prefix(outer)]).covers(prefix(inner))).toBe(expected);
});

test.each([
  ['10.0.0.0/30', ['10.0.0.1/32'], ['10.0.0.0/32', '10.0.0.2/31']],
  ['10.0.0.0/30', [], ['10.0.0.0/30']],
  ['10.0.0.0/30', ['10.0.0.4/32', 'fd00::/8'], ['10.0.0.0/30']],
  ['10.0.0.0/30', ['10.0.0.0/30'], []],
  ['10.0.0.0/30', ['10.0.0.0/8'], []],
  ['10.0.0.1/32', ['10.0.0.1/32'], []],
  ['10.0.0.0/30', ['10.0.0.0/31', '10.0.0.3/32'], ['10.0.0.2/32']],
  ['fd00::/126', ['fd00::2/127'], ['fd00::/127']],
])('%s without %j is %j', (whole, holes, left) => {
  expect(subtractPrefixes(prefix(whole), holes.map(prefix)).map(formatPrefix)).toEqual(left);
});

test('every address lies either in the result or in a hole, never in both', () => {
  const below = (random: Random, shortest: number): Prefix =>
    makePrefix(new Uint8Array([10, 0, 0, random.below(64)]), shortest + random.below(33 - shortest));
  withSeed(random => {
    for (let i = 0; i < 300; i++) {
      const whole = makePrefix(new Uint8Array([10, 0, 0, 0]), 26);
      const holes = Array.from({ length: random.below(5) }, () => below(random, 27));
      const left = subtractPrefixes(whole, holes);
      for (let last = 0; last < 64; last++) {
        const one = makePrefix(new Uint8Array([10, 0, 0, last]), 32);
        const inHole = holes.some(hole => covers(hole, one));
        expect(left.filter(each => covers(each, one))).toHaveLength(inHole ? 0 : 1);
      }
    }
  });
});

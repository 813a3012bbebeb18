import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { covers, formatPrefix, makePrefix, type Prefix, parsePrefix, prefixKey } from '../../src/base/prefix.ts';
import { AllowedIps } from '../../src/routing/allowed-ips.ts';
import { type Random, testSeed, withSeed } from '../support/random.ts';

const lookup = (table: AllowedIps, text: string) => {
  const address = parseAddress(text)!;
  return table.lookup(address, 0, address.length);
};
const insert = (table: AllowedIps, text: string, peer: number) => table.insert(parsePrefix(text)!, peer);
const list = (table: AllowedIps, peer: number) => table.entries(peer).map(formatPrefix);

/** A reference implementation: a list, searched linearly. */
class Linear {
  entries: { prefix: Prefix; key: number | string; peer: number }[] = [];

  insert(prefix: Prefix, peer: number): void {
    const key = prefixKey(prefix);
    this.entries = this.entries.filter(e => e.key !== key);
    this.entries.push({ prefix, key, peer });
  }

  remove(prefix: Prefix, peer: number): boolean {
    const before = this.entries.length;
    const key = prefixKey(prefix);
    this.entries = this.entries.filter(e => e.peer !== peer || e.key !== key);
    return this.entries.length < before;
  }

  lookup(address: Uint8Array): number {
    const host = { address, length: 8 * address.length };
    const fitting = this.entries.filter(({ prefix }) => covers(prefix, host));
    return fitting.reduce((best, e) => (e.prefix.length > best.prefix.length ? e : best), fitting[0] ?? NOTHING).peer;
  }
}
const NOTHING = { prefix: { address: new Uint8Array(4), length: -1 }, peer: -1 };

describe('allowed ips', () => {
  test('the longest prefix wins, down to the default route and up to a host', () => {
    const table = new AllowedIps();
    insert(table, '0.0.0.0/0', 0);
    insert(table, '10.0.0.0/8', 1);
    insert(table, '10.1.0.0/16', 2);
    insert(table, '10.1.2.3/32', 3);
    insert(table, '::/0', 4);
    insert(table, 'fd00::/8', 5);
    insert(table, 'fd00::1/128', 6);
    expect(
      ['1.2.3.4', '10.9.9.9', '10.1.9.9', '10.1.2.3', '2001::1', 'fd99::', 'fd00::1'].map(a => lookup(table, a)),
    ).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(lookup(new AllowedIps(), '10.0.0.1')).toBe(-1);
  });

  test('IPv4 and IPv6 are independent', () => {
    const table = new AllowedIps();
    insert(table, '0.0.0.0/0', 1);
    expect(lookup(table, '::')).toBe(-1);
    expect(lookup(table, '::ffff:10.0.0.1')).toBe(-1);
  });

  test('a prefix of another peer moves, and disappears from its list', () => {
    const table = new AllowedIps();
    insert(table, '10.0.0.0/24', 1);
    insert(table, '10.0.1.0/24', 1);
    insert(table, '10.0.0.0/24', 2);
    expect(list(table, 1)).toEqual(['10.0.1.0/24']);
    expect(list(table, 2)).toEqual(['10.0.0.0/24']);
    expect(lookup(table, '10.0.0.7')).toBe(2);
    expect(table.size).toBe(2);
  });

  test('lists prefixes in the order of insertion, both families mixed', () => {
    const table = new AllowedIps();
    const all = ['10.0.2.0/24', 'fd00::/64', '10.0.0.0/8', '::/0', '10.0.2.9/32'];
    for (const text of all) insert(table, text, 7);
    expect(list(table, 7)).toEqual(all);
    insert(table, 'fd00::/64', 7);
    expect(list(table, 7)).toEqual(['10.0.2.0/24', '10.0.0.0/8', '::/0', '10.0.2.9/32', 'fd00::/64']);
  });

  test('removes a prefix only from the peer that owns it', () => {
    const table = new AllowedIps();
    insert(table, '10.0.0.0/24', 1);
    expect(table.remove(parsePrefix('10.0.0.0/24')!, 2)).toBe(false);
    expect(table.remove(parsePrefix('10.0.0.0/25')!, 1)).toBe(false);
    expect(lookup(table, '10.0.0.1')).toBe(1);
    expect(table.remove(parsePrefix('10.0.0.0/24')!, 1)).toBe(true);
    expect(lookup(table, '10.0.0.1')).toBe(-1);
    expect(table.size).toBe(0);
  });

  test('hosts that differ in the last bit alone', () => {
    const table = new AllowedIps();
    const hosts = ['10.0.0.0', '10.0.0.1', 'fd00::', 'fd00::1'];
    for (const [peer, host] of hosts.entries()) insert(table, host, peer);
    expect(hosts.map(host => lookup(table, host))).toEqual([0, 1, 2, 3]);
  });

  test('a node that only joined two branches goes with one of them', () => {
    const table = new AllowedIps();
    for (const kept of [0, 1]) {
      for (const peer of [0, 1]) insert(table, `10.0.${peer}.0/24`, peer);
      expect(table.nodesInUse).toBe(3);
      table.removePeer(1 - kept);
      expect(table.nodesInUse).toBe(1);
      expect(lookup(table, `10.0.${kept}.1`)).toBe(kept);
    }
  });

  test('a chain of all 128 lengths is found at every depth', () => {
    const table = new AllowedIps();
    const address = parseAddress('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')!;
    for (let length = 0; length <= 128; length++) table.insert(makePrefix(address, length), length);
    expect(table.lookup(address, 0, 16)).toBe(128);
    for (let length = 128; length > 0; length--) {
      table.removePeer(length);
      expect(table.lookup(address, 0, 16)).toBe(length - 1);
    }
  });

  test.each(Array.from({ length: 30 }, (_, round) => round))(
    'agrees with a linear list, over random inserts, moves and removals, round %i',
    round => withSeed(compare, (testSeed() + round) >>> 0),
  );

  test('creates no node twice and leaks none: after removing everything, the same inserts need no more room', () => {
    const table = new AllowedIps();
    withSeed(random => {
      for (let round = 0; round < 20; round++) {
        for (let i = 0; i < 300; i++) table.insert(randomPrefix(random), i % 5);
        for (let peer = 0; peer < 5; peer++) table.removePeer(peer);
        expect(table.size).toBe(0);
        expect(table.nodesInUse).toBe(0);
      }
    });
  });
});

/** Few distinct bits, so that prefixes overlap. */
function randomPrefix(random: Random): Prefix {
  const bytes = random.chance(0.5) ? 4 : 16;
  const address = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) address[i] = random.chance(0.7) ? 0 : random.pick([1, 128, 255, random.below(256)]);
  return makePrefix(address, random.below(bytes * 8 + 1));
}

function compare(random: Random): void {
  const table = new AllowedIps();
  const linear = new Linear();
  for (let step = 0; step < 200; step++) {
    const prefix =
      random.chance(0.2) && linear.entries.length > 0 ? random.pick(linear.entries).prefix : randomPrefix(random);
    const peer = random.below(6);
    if (random.chance(0.15)) {
      expect(table.remove(prefix, peer)).toBe(linear.remove(prefix, peer));
    } else if (random.chance(0.02)) {
      table.removePeer(peer);
      linear.entries = linear.entries.filter(e => e.peer !== peer);
    } else {
      table.insert(prefix, peer);
      linear.insert(prefix, peer);
    }
    expect(table.size).toBe(linear.entries.length);
    for (let i = 0; i < 5; i++) {
      const { address } = randomPrefix(random);
      const found = table.lookup(address, 0, address.length);
      if (found !== linear.lookup(address)) expect(found, `step ${step} ${address}`).toBe(linear.lookup(address));
    }
  }
  for (let peer = 0; peer < 6; peer++)
    expect(list(table, peer)).toEqual(linear.entries.filter(e => e.peer === peer).map(e => formatPrefix(e.prefix)));
}

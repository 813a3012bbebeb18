/** Which IPAM blocks are believed: within pools, once for a CIDR, and not without bound. */
import { describe, expect, test } from 'vitest';
import type { IpamBlock } from '../../../../src/calico/model/cluster.ts';
import { PoolRanges } from '../../../../src/calico/plan/trust/pool-ranges.ts';
import { TrustedBlocks } from '../../../../src/calico/plan/trust/trusted-blocks.ts';
import {
  address,
  block,
  cluster,
  peersOf,
  planOf,
  pool,
  prefix,
  reasonsOf,
  routesOf,
} from '../../../support/calico-cluster.ts';
import { blockOf, blocksOf, enabled, MODES, member } from '../../../support/calico-families.ts';

describe.each(MODES)('$mode', ({ families }) => {
  const on = enabled(families);
  const me = member(families, 'me', 1);
  const [a, liar] = [member(families, 'a', 2), member(families, 'liar', 3)];
  const victim = blocksOf(families, 2, 'a');
  const pools = [pool('10.0.0.0/16', 26), pool('fd10::/48', 122)];
  const honest = planOf(cluster(on, me, a, liar, ...victim, ...pools));
  const wide = ['0.0.0.0/1', '128.0.0.0/1', '::/0', '10.0.0.0/8', '10.0.0.0/16', 'fd10::/48', '10.0.0.0/19'];

  test.each(wide)('a block of %s changes nothing, and names its owner', cidr => {
    const result = planOf(
      cluster(on, me, a, liar, ...victim, block(cidr, 'liar', `${cidr.split('/')[0]} liar`), ...pools),
    );
    expect(result.desired).toEqual(honest.desired);
    expect(result.peers).toEqual(honest.peers);
    expect(reasonsOf(result)).toEqual(['Node/liar BlockOutsidePools']);
    expect(result.problems[0]!.message).toContain(`"${cidr}"`);
    expect(result.problems[0]!.settling).toBe(true);
  });

  test.each(['192.0.2.0/26', '10.1.0.0/26', 'fd11::/122'])('nor does %s, which is in no pool', cidr => {
    const result = planOf(cluster(on, me, a, liar, ...victim, block(cidr, 'liar'), ...pools));
    expect(result.desired).toEqual(honest.desired);
    expect(reasonsOf(result)).toEqual(['Node/liar BlockOutsidePools']);
  });

  test('a second object for the CIDR of a block is refused: the name of a block is its CIDR', () => {
    const twins = families.map(family => ({ ...block(blockOf(family, 2), 'liar'), name: `aaa-${family}` }));
    const result = planOf(cluster(on, me, a, liar, ...victim, ...twins, ...pools));
    expect(result.desired).toEqual(honest.desired);
    expect(reasonsOf(result)).toEqual(['Node/liar MisnamedBlock']);
  });

  test("a block within another node's block is refused, one around it gets only the rest; both are named", () => {
    const inner = families.map(family => block(family === 4 ? '10.0.2.4/32' : 'fd10:0:0:2::4/128', 'liar'));
    const inside = planOf(cluster(on, me, a, liar, ...victim, ...inner, ...pools));
    expect(inside.desired).toEqual(honest.desired);
    expect(reasonsOf(inside)).toEqual(['Node/liar BlockInOtherBlock']);
    const outer = families.map(family => block(family === 4 ? '10.0.2.0/24' : 'fd10:0:0:2::/118', 'liar'));
    const around = planOf(cluster(on, me, a, liar, ...victim, ...outer, ...pools));
    expect(reasonsOf(around)).toEqual(['Node/liar BlockInOtherBlock']);
    for (const family of families)
      expect(peersOf(around.desired, family)['a']).toBe(peersOf(honest.desired, family)['a']);
  });

  test('disabled and terminating pools count', () => {
    for (const more of [{ disabled: true }, { terminating: true }]) {
      const kept = pools.map(each => ({ ...each, ...more }));
      expect(planOf(cluster(on, me, a, liar, ...victim, ...kept)).desired).toEqual(honest.desired);
    }
  });

  test('blocks of a pool that is gone stay believed as long as the pool is remembered', () => {
    const elsewhere = [pool('192.168.0.0/16', 26), pool('fd12::/64', 122)];
    const objects = [on, me, a, liar, ...victim, ...elsewhere];
    const known = planOf(cluster(...objects), { formerPools: pools });
    expect(known.desired).toEqual(honest.desired);
    expect(known.problems).toEqual([]);
    const unknown = planOf(cluster(...objects));
    expect(reasonsOf(unknown)).toEqual(['Node/a BlockOutsidePools']);
    for (const family of families) expect(routesOf(unknown.desired, family)).toEqual([]);
  });
});

describe('limits', () => {
  const names = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `10.0.0.${i}/32`);
  const made = (cidr: string, owner: string, day: number, ...lent: string[]): IpamBlock => ({
    ...block(cidr, owner, ...lent),
    creationTimestamp: `2026-01-0${day}T00:00:00Z`,
  });
  const judged = (limits: { blocks: number; borrowed: number }, all: readonly IpamBlock[]): TrustedBlocks => {
    const blocks = new TrustedBlocks(limits);
    blocks.update(new Map(all.map(each => [each.name, each])), new PoolRanges([pool('10.0.0.0/8', 32)], []));
    return blocks;
  };

  test('of a node with too many blocks, the oldest count, and the node is named', () => {
    const [old, late] = [names(3), names(9).slice(3)];
    const all = [
      ...late.map(each => made(each, 'a', 2)),
      ...old.map(each => made(each, 'a', 1)),
      made('10.0.0.99/32', 'b', 3),
    ];
    const blocks = judged({ blocks: 4, borrowed: 100 }, all);
    const kept = all.filter(each => blocks.isTrusted(each)).map(({ name }) => name);
    expect(kept.sort()).toEqual(['10-0-0-0-32', '10-0-0-1-32', '10-0-0-2-32', '10-0-0-3-32', '10-0-0-99-32']);
    expect(blocks.problems).toMatchObject([{ object: 'Node/a', reason: 'TooManyBlocks', message: /and 2 more/ }]);
  });

  test('beyond the limit, the addresses that the newest blocks lend are not routed to others', () => {
    const lending = (third: number, day: number): IpamBlock =>
      made(`10.0.${third}.0/26`, 'a', day, `10.0.${third}.1 b`, `10.0.${third}.2 b`);
    const all = [lending(3, 3), lending(1, 1), lending(2, 2)];
    const blocks = new TrustedBlocks({ blocks: 10, borrowed: 4 });
    blocks.update(new Map(all.map(each => [each.name, each])), new PoolRanges([pool('10.0.0.0/8', 26)], []));
    expect(all.map(each => blocks.isLending(each))).toEqual([false, true, true]);
    expect(all.every(each => blocks.isTrusted(each))).toBe(true);
    expect(blocks.problems).toMatchObject([{ object: 'Node/a', reason: 'TooManyBorrowedAddresses' }]);
    // Once one of them is gone, the limit is not reached.
    const fewer = all.slice(0, 2);
    expect(
      blocks.update(new Map(fewer.map(each => [each.name, each])), new PoolRanges([pool('10.0.0.0/8', 26)], [])),
    ).toBe('all');
    expect(fewer.every(each => blocks.isLending(each))).toBe(true);
    expect(blocks.problems).toEqual([]);
  });

  test('thousands of blocks that are refused are few Problems', () => {
    const hostile = Array.from({ length: 3000 }, (_, i) => block(`8.${i >> 8}.${i & 255}.0/26`, `liar-${i % 200}`));
    const result = planOf(cluster(enabled([4]), member([4], 'me', 1), ...hostile));
    expect(result.problems).toHaveLength(51);
    expect(result.problems.map(({ reason }) => reason)).toContain('MoreRefusedBlocks');
    const one = hostile.map(each => ({ ...each, owner: 'liar' }));
    expect(planOf(cluster(enabled([4]), member([4], 'me', 1), ...one)).problems).toMatchObject([
      { object: 'Node/liar', message: /^"8\.0\.0\.0\/26", "8\.0\.1\.0\/26", "8\.0\.10\.0\/26" and 2997 more/ },
    ]);
  });
});

test('finds the smallest trusted block of an address, and names what an update changed', () => {
  const blocks = new TrustedBlocks();
  const pools = new PoolRanges([pool('10.0.0.0/8', 26)], []);
  const [outer, inner, other] = [block('10.0.0.0/26', 'a'), block('10.0.1.0/26', 'b'), block('10.0.2.0/26', 'c')];
  const of = (...all: readonly IpamBlock[]) => new Map(all.map(each => [each.name, each]));
  expect(blocks.update(of(outer, inner), pools)).toBe('all');
  expect(blocks.update(of(outer, inner, other), pools)).toEqual(new Set([expect.anything()]));
  expect(blocks.blockOf(address('10.0.1.9'))).toBe(inner);
  expect(blocks.blockOf(address('10.0.3.9'))).toBeUndefined();
  const same = of(outer, inner, other);
  blocks.update(same, pools);
  expect(blocks.update(same, pools)).toEqual(new Set());
  blocks.update(of(outer), pools);
  expect(blocks.blockOf(address('10.0.1.9'))).toBeUndefined();
});

test('a pool contains blocks of sizes that Calico makes', () => {
  const ranges = new PoolRanges([pool('10.0.0.0/8', 26), pool('fd00::/8', 122)], [pool('172.16.0.0/12', 24)]);
  const is = (text: string): boolean => ranges.poolOf(prefix(text)) !== undefined;
  expect(['10.0.0.0/20', '10.0.0.0/32', 'fd00::/116', 'fd00::/128', '172.16.0.0/24'].map(is)).toEqual(
    Array(5).fill(true),
  );
  expect(['10.0.0.0/19', '11.0.0.0/26', 'fd00::/115', 'fe00::/122', '0.0.0.0/0'].map(is)).toEqual(Array(5).fill(false));
  // A pool that exists counts before one that is gone, but each block has the pool of its size.
  const both = new PoolRanges([pool('10.0.0.0/8', 26)], [pool('10.0.0.0/8', 24)]);
  expect(both.poolOf(prefix('10.0.0.0/24'))!.blockSize).toBe(24);
  expect(both.poolOf(prefix('10.0.0.0/25'))!.blockSize).toBe(26);
});

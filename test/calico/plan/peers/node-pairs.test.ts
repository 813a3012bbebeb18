/** Pairs of nodes that encrypt their traffic, for `wgts verify`. */
import { describe, expect, test } from 'vitest';
import type { Family } from '../../../../src/base/family.ts';
import { parseNode } from '../../../../src/calico/datastore/parse/node.ts';
import type { Cluster, ClusterNode } from '../../../../src/calico/model/cluster.ts';
import { eligibilityByNode, isFamilyInUse, pairs } from '../../../../src/calico/plan/peers/node-pairs.ts';
import { cluster, configuration, node, planOf } from '../../../support/calico-cluster.ts';
import { enabled, keyOf, MODES, member, per } from '../../../support/calico-families.ts';

describe.each(MODES)('$mode: pairs', ({ families }) => {
  const on = enabled(families);
  const describePairs = (of: Cluster, family: Family) =>
    [...pairs(eligibilityByNode(of, family))].map(({ a, b, because }) =>
      [`${a} ${b}`, ...because.map(each => `${each.node} ${each.reason}`)].join(', '),
    );

  test('are listed once, in order of name', () => {
    const all = cluster(on, member(families, 'c', 3), member(families, 'a', 1), member(families, 'b', 2));
    for (const family of families) expect(describePairs(all, family)).toEqual(['a b', 'a c', 'b c']);
  });

  test('name the reason at either end, or at both', () => {
    const all = cluster(
      on,
      member(families, 'a', 1),
      member(families, 'bad', 2, { key: per(families, () => 'x') }),
      member(families, 'keyless', 3, { key: {} }),
      member(families, 'lost', 4, { bgp: {} }),
      member(families, 'off', 5, { key: {} }),
      configuration('node.off', { WireguardEnabled: false, WireguardEnabledV6: false }),
    );
    for (const family of families)
      expect(describePairs(all, family)).toEqual([
        'a bad, bad invalid-key',
        'a keyless, keyless no-key',
        'a lost, lost no-node-address',
        'a off, off disabled',
        'bad keyless, bad invalid-key, keyless no-key',
        'bad lost, bad invalid-key, lost no-node-address',
        'bad off, bad invalid-key, off disabled',
        'keyless lost, keyless no-key, lost no-node-address',
        'keyless off, keyless no-key, off disabled',
        'lost off, lost no-node-address, off disabled',
      ]);
  });

  test('of nodes that share a key, only the oldest is encrypted with others', () => {
    const all = cluster(
      on,
      member(families, 'a', 1),
      member(families, 'b', 2),
      member(families, 'twin', 3, { key: per(families, family => keyOf(family, 1)) }),
    );
    for (const family of families)
      expect(describePairs(all, family)).toEqual(['a b', 'a twin, twin duplicate-key', 'b twin, twin duplicate-key']);
  });

  test('a node with a key is included even if its configuration disables it', () => {
    const off = configuration('node.b', { WireguardEnabled: false, WireguardEnabledV6: false });
    const all = cluster(on, off, member(families, 'a', 1), member(families, 'b', 2));
    for (const family of families) expect(describePairs(all, family)).toEqual(['a b']);
  });

  test('a family is in use if it is enabled or any node has a key', () => {
    for (const family of [4, 6] as const) {
      expect(isFamilyInUse(cluster(on, node('a')), family)).toBe(families.includes(family));
      expect(isFamilyInUse(cluster(member(families, 'a', 1)), family)).toBe(families.includes(family));
      expect(isFamilyInUse(cluster(node('a')), family)).toBe(false);
    }
  });
});

test('1,000 nodes yield half a million pairs, one by one', () => {
  const all = cluster(
    ...Array.from({ length: 1000 }, (_, i) =>
      node(`node-${i}`, { bgp: { 4: `172.16.${i >> 8}.${i & 255}` }, ...(i > 0 && { key: { 4: keyOf(4, i) } }) }),
    ),
  );
  let [encrypted, plain] = [0, 0];
  for (const { because } of pairs(eligibilityByNode(all, 4)))
    if (because.length === 0) encrypted++;
    else plain++;
  expect([encrypted, plain]).toEqual([(999 * 998) / 2, 999]);
});

test("selectors of configurations see calicoctl's labels, for verify as for the agent", () => {
  const on = configuration('default', { WireguardEnabled: true });
  const off = configuration('racks', { WireguardEnabled: false }, { nodeSelector: "rack == 'r1' && zone == 'k8s'" });
  const labelled = (name: string, labels: object): ClusterNode =>
    parseNode({
      metadata: {
        name,
        labels: { zone: 'k8s' },
        annotations: {
          'projectcalico.org/labels': JSON.stringify(labels),
          'projectcalico.org/IPv4Address': '10.0.0.1/24',
        },
      },
    }).value!;
  const all = cluster(on, off, labelled('in', { rack: 'r1', zone: 'calico' }), labelled('out', { rack: 'r2' }));
  const found = eligibilityByNode(all, 4);
  expect([found.get('in')!.plain, found.get('out')!.plain]).toEqual(['disabled', 'no-key']);
  for (const [nodeName, tunnels] of [
    ['in', []],
    ['out', ['4']],
  ] as const)
    expect(Object.keys(planOf(all, { nodeName }).desired.tunnels)).toEqual(tunnels);
});

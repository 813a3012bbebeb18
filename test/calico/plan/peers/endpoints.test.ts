/**
 * Addresses in a Node that lead back to this node, or to no host, become neither endpoint nor
 * route, and a Problem reports them.
 */
import { describe, expect, test } from 'vitest';
import { formatAddress, parseAddress } from '../../../../src/base/address.ts';
import { parsePrefix } from '../../../../src/base/prefix.ts';
import { parseNode } from '../../../../src/calico/datastore/parse/node.ts';
import type { ClusterNode } from '../../../../src/calico/model/cluster.ts';
import { eligibilityByNode, pairs } from '../../../../src/calico/plan/peers/node-pairs.ts';
import { isBroadcast, reservedEndpoint, reservedPrefix } from '../../../../src/calico/plan/peers/reserved-addresses.ts';
import {
  block,
  type ClusterObject,
  cluster,
  node,
  peersOf,
  planOf,
  pod,
  pool,
  reasonsOf,
  routesOf,
  tunnelOf,
} from '../../../support/calico-cluster.ts';
import { blockOf, enabled, hostOf, keyOf, MODES, member } from '../../../support/calico-families.ts';

const UNUSABLE = {
  4: [
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.1',
    '0.255.0.0',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
  ],
  6: ['::1', '::2', '::127.0.0.1', 'ff02::1', 'ff0e::1', 'fe80::1', 'febf::1'],
} as const;
const USABLE = {
  4: ['1.0.0.0', '126.255.255.255', '128.0.0.0', '169.254.0.1', '223.255.255.255', '100.64.0.1', '192.0.2.255'],
  6: ['2001:db8::1', 'fd01::1', 'fec0::1', 'fe00::1', '64:ff9b::7f00:1', '::1:0:0:0'],
} as const;

describe.each(MODES)('$mode', ({ families }) => {
  const on = enabled(families);
  const me = member(families, 'me', 1);
  const good = member(families, 'good', 2);

  for (const family of families) {
    const at = (text: string, more: object = {}): ClusterNode =>
      node('bad', { ...more, key: { [family]: keyOf(family, 3) }, bgp: { [family]: text } });

    test.each(UNUSABLE[family])(`IPv${family} %s is not an endpoint`, text => {
      const result = planOf(cluster(on, me, good, at(text), block(blockOf(family, 3), 'bad')));
      expect(Object.keys(peersOf(result.desired, family))).toEqual(['good']);
      expect(routesOf(result.desired, family)).toEqual([`${blockOf(family, 3)} throw`]);
      expect(result.peers[family]!.find(({ node: name }) => name === 'bad')!.plain).toBe('unusable-node-address');
      const found = result.problems.find(({ reason }) => reason === 'UnusableNodeAddress')!;
      expect(found.object).toBe('Node/bad');
      expect(found.message).toContain(formatAddress(parseAddress(text)!));
      expect(found.message).toContain(`projectcalico.org/IPv${family}Address`);
      const [pair] = [...pairs(eligibilityByNode(cluster(on, me, at(text)), family))];
      expect(pair!.because).toEqual([{ node: 'bad', reason: 'unusable-node-address' }]);
    });

    test.each(USABLE[family])(`IPv${family} %s is an endpoint`, text => {
      const result = planOf(cluster(on, me, good, at(text)));
      expect(Object.keys(peersOf(result.desired, family))).toEqual(['bad', 'good']);
      expect(result.problems).toEqual([]);
    });

    test.each(UNUSABLE[family])(`IPv${family} %s is not an endpoint from a Node's status either`, text => {
      for (const type of ['internal', 'external'] as const) {
        const result = planOf(cluster(on, me, good, at(text, { bgp: {}, [type]: [text] })));
        expect(Object.keys(peersOf(result.desired, family)), type).toEqual(['good']);
        expect(reasonsOf(result)).toContain('Node/bad UnusableNodeAddress');
      }
    });

    test(`IPv${family}: the unspecified address is not an endpoint`, () => {
      const result = planOf(cluster(on, me, at(family === 4 ? '0.0.0.0' : '::')));
      expect(peersOf(result.desired, family)).toEqual({});
      expect(reasonsOf(result)).toContain('Node/bad MissingNodeAddress');
    });

    test(`IPv${family}: no address of this node is another's endpoint, wherever the other publishes it`, () => {
      const mine = ['internal', 'external', 'tunnel', 'bgp'].map((_, i) => hostOf(family, 50 + i));
      const own = member(families, 'me', 1, {
        bgp: { [family]: mine[3]! },
        internal: [mine[0]!],
        external: [mine[1]!],
        wireguard: { [family]: mine[2]! },
      });
      for (const text of mine)
        for (const other of [at(text), at(text, { bgp: {}, internal: [text] })]) {
          const result = planOf(cluster(on, own, good, other));
          expect(Object.keys(peersOf(result.desired, family)), text).toEqual(['good']);
          expect(reasonsOf(result)).toContain('Node/bad UnusableNodeAddress');
          expect(result.problems.find(({ reason }) => reason === 'UnusableNodeAddress')!.message).toContain(
            '"me" itself',
          );
        }
      // For other nodes it is an ordinary endpoint.
      const elsewhere = planOf(cluster(on, own, good, at(mine[0]!)), { nodeName: 'good' });
      expect(Object.keys(peersOf(elsewhere.desired, family))).toContain('bad');
      const between = [...pairs(eligibilityByNode(cluster(on, own, good, at(mine[0]!)), family))];
      expect(between.filter(({ because }) => because.length > 0).map(({ a, b }) => `${a} ${b}`)).toEqual(['bad me']);
    });
  }
});

test('the broadcast address of our own network is not an endpoint if its prefix length is known', () => {
  const of = (name: string, text: string, key: number): ClusterNode =>
    parseNode({
      metadata: {
        name,
        annotations: { 'projectcalico.org/IPv4Address': text, 'projectcalico.org/WireguardPublicKey': keyOf(4, key) },
      },
    }).value!;
  const peers = (own: string, ...others: string[]) =>
    Object.keys(
      peersOf(
        planOf(cluster(enabled([4]), of('me', own, 1), ...others.map((each, i) => of(`n${i}`, each, i + 2)))).desired,
        4,
      ),
    );
  expect(peers('10.0.0.5/24', '10.0.0.255/24', '10.0.1.255/24')).toEqual(['n1']);
  expect(peers('10.0.0.5/16', '10.0.0.255/24', '10.0.255.255/16')).toEqual(['n0']);
  expect(peers('10.0.0.5/32', '10.0.0.255/32', '10.0.0.6/32')).toEqual(['n0', 'n1']);
  expect(peers('10.0.0.4/31', '10.0.0.5/31')).toEqual(['n0']);
  // IPv4-mapped IPv6 addresses count as IPv4.
  expect(peers('10.0.0.5/24', '::ffff:127.0.0.1/104', '::ffff:10.0.0.5/128', '::ffff:10.0.0.6/120')).toEqual(['n2']);
  for (const [address, network, length, expected] of [
    ['10.0.0.255', '10.0.0.5', 24, true],
    ['10.0.0.254', '10.0.0.5', 24, false],
    ['10.0.0.255', '10.0.1.5', 24, false],
    ['10.0.1.255', '10.0.0.5', 23, true],
    ['10.255.255.255', '10.0.0.5', 8, true],
    ['10.255.255.255', '10.0.0.5', 9, false],
    ['10.0.0.7', '10.0.0.5', 30, true],
    ['10.0.0.5', '10.0.0.4', 31, false],
    ['255.255.255.255', '10.0.0.5', 0, true],
    ['fd00::ffff', 'fd00::1', 112, false],
  ] as const)
    expect(isBroadcast(parseAddress(address)!, parseAddress(network)!, length), `${address} ${length}`).toBe(expected);
});

test('an IPv4 address in IPv6 notation is judged as IPv4, from every source', () => {
  const own = member([4], 'me', 1);
  const of = (annotations: object, addresses: readonly object[]): ClusterNode => {
    const key = {
      'projectcalico.org/WireguardPublicKey': keyOf(4, 3),
      'projectcalico.org/WireguardPublicKeyV6': keyOf(6, 3),
    };
    return parseNode({ metadata: { name: 'bad', annotations: { ...key, ...annotations } }, status: { addresses } })
      .value!;
  };
  for (const text of ['127.0.0.1', '224.0.0.1', '255.255.255.255', hostOf(4, 1)])
    for (const node of [
      of({ 'projectcalico.org/IPv4Address': `::ffff:${text}/128` }, []),
      of({}, [{ type: 'InternalIP', address: `::ffff:${text}` }]),
      of({}, [{ type: 'ExternalIP', address: `::ffff:${text}` }]),
    ]) {
      const { desired } = planOf(cluster(enabled([4, 6]), own, node));
      expect([peersOf(desired, 4), peersOf(desired, 6)], text).toEqual([{}, {}]);
    }
});

describe('pods and tunnels', () => {
  const on = enabled([4, 6]);
  const me = member([4, 6], 'me', 1);
  const plain = (...objects: readonly ClusterObject[]) => planOf(cluster(on, me, ...objects));

  test('at reserved addresses are not routed, but the rest of their node is', () => {
    const result = plain(
      member([4, 6], 'a', 2, {
        ipip: '127.0.0.1',
        vxlan: { 4: '224.0.0.5', 6: 'ff02::5' },
        wireguard: { 4: '10.0.2.1', 6: '::1' },
      }),
      // A careless administrator's: blocks outside every pool are refused before.
      pool('0.0.0.0/0', 24),
      pool('::/0', 122),
      block('10.0.2.0/26', 'a', '10.0.2.9 b'),
      block('169.254.169.0/24', 'a'),
      block('fe80::/122', 'a'),
      block('0.0.0.0/24', 'a'),
      block('::/122', 'a'),
    );
    expect(peersOf(result.desired, 4)).toEqual({ a: '172.16.0.2 51820 10.0.2.0/26 10.0.2.1/32' });
    expect(peersOf(result.desired, 6)).toEqual({ a: 'fd00::2 51821' });
    expect(routesOf(result.desired, 4)).toEqual(['10.0.2.0/26 tunnel', '10.0.2.1/32 tunnel', '10.0.2.9/32 throw']);
    const unusable = result.problems.filter(({ reason }) => reason === 'UnusablePrefix');
    expect(unusable.map(({ object, message }) => `${object} ${message.split(',')[0]}`)).toEqual(
      [
        '0.0.0.0/24',
        '127.0.0.1/32',
        '169.254.169.0/24',
        '224.0.0.5/32',
        '::/122',
        '::1/128',
        'fe80::/122',
        'ff02::5/128',
      ].map(each => `Node/a ${each}`),
    );
  });

  test('a rejected address takes effect as soon as it is corrected', () => {
    const bad = plain(member([4, 6], 'a', 2, { ipip: '127.0.0.1' }));
    expect(reasonsOf(bad)).toEqual(['Node/a UnusablePrefix']);
    const good = plain(member([4, 6], 'a', 2, { ipip: '10.0.0.7' }), block('10.0.0.0/26', undefined, '10.0.0.7 a'));
    expect(reasonsOf(good)).toEqual([]);
    expect(peersOf(good.desired, 4)).toEqual({ a: '172.16.0.2 51820 10.0.0.7/32' });
  });

  test("at an address of this node are rejected, so no traffic from it counts as another node's; a wider prefix stays", () => {
    const thief = member([4, 6], 'a', 2, { ipip: hostOf(4, 1), vxlan: { 6: hostOf(6, 1) } });
    const pools = [pool('172.16.0.0/16', 26), pool('fd00::/16', 122)];
    const blocks = [block('172.16.0.0/26', 'a'), block('fd00::/122', 'a')];
    for (const hosts of [false, true]) {
      const felixConfiguration = enabled([4, 6], { WireguardHostEncryptionEnabled: hosts });
      const result = planOf(cluster(felixConfiguration, me, thief, ...pools, ...blocks));
      const address = hosts ? '172.16.0.2 51820 172.16.0.0/26 172.16.0.2/32' : '172.16.0.2 51820 172.16.0.0/26';
      expect(peersOf(result.desired, 4)).toEqual({ a: address });
      expect(reasonsOf(result).filter(each => each.endsWith('UnusablePrefix'))).toHaveLength(2);
      // For other nodes it is an ordinary conflict.
      const elsewhere = planOf(
        cluster(felixConfiguration, me, thief, ...pools, ...blocks, member([4, 6], 'other', 9)),
        {
          nodeName: 'other',
        },
      );
      expect(reasonsOf(elsewhere).filter(each => each.endsWith('UnusablePrefix'))).toEqual([]);
    }
  });

  test('WorkloadIPs: pods of other nodes are checked as well', () => {
    const felixConfiguration = enabled([4], { RouteSource: 'WorkloadIPs' });
    const result = planOf(
      cluster(felixConfiguration, member([4], 'me', 1), member([4], 'a', 2), pod('p', 'a', '127.0.0.9', '10.0.0.9')),
    );
    expect(peersOf(result.desired, 4)).toEqual({ a: '172.16.0.2 51820 10.0.0.9/32' });
    expect(reasonsOf(result)).toEqual(['Node/a UnusablePrefix']);
  });

  test('our own tunnel cannot have a reserved address', () => {
    for (const text of ['127.0.0.1', '224.0.0.1', '169.254.1.1']) {
      const result = planOf(cluster(enabled([4]), member([4], 'me', 1, { wireguard: { 4: text } })));
      expect(tunnelOf(result.desired, 4).address).toBeUndefined();
      expect(reasonsOf(result)).toContain('Node/me UnusableTunnelAddress');
    }
  });
});

test('reserved ranges end at the exact bit', () => {
  const of = (text: string) => reservedEndpoint(parseAddress(text)!);
  expect([of('127.0.0.1'), of('224.0.0.1'), of('255.255.255.255'), of('0.0.0.0')]).toEqual([
    'a loopback address',
    'a multicast address',
    'the broadcast address',
    'the unspecified address',
  ]);
  expect([of('::1'), of('::'), of('ff02::1')]).toEqual([
    'the loopback address',
    'the unspecified address',
    'a multicast address',
  ]);
  expect(of('fe80::1')).toContain('zone');
  const prefix = (text: string, host = false) => reservedPrefix(parsePrefix(text)!, host);
  expect(prefix('126.0.0.0/8')).toBeUndefined();
  expect(prefix('126.0.0.0/7')).toContain('so wide');
  expect(prefix('169.254.1.0/24')).toBeDefined();
  expect(prefix('169.254.1.1/32', true)).toBeUndefined();
  expect(prefix('0.0.0.0/0')).toContain('so wide');
  expect(prefix('2000::/3')).toBeUndefined();
});

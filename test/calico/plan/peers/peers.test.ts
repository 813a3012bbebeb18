/**
 * Which nodes become peers and why others do not, in each family and in both
 * (docs/reference/calico-felix.md#allowed-ips, #eligible-peers, #unit-tests).
 */
import { describe, expect, test } from 'vitest';
import type { Family } from '../../../../src/base/family.ts';
import { problemKey } from '../../../../src/calico/model/problem.ts';
import { plan } from '../../../../src/calico/plan/planner.ts';
import {
  block,
  cluster,
  configuration,
  input,
  keyBytes,
  node,
  peersOf,
  planOf,
  reasonsOf,
  routesOf,
} from '../../../support/calico-cluster.ts';
import {
  alone,
  blockOf,
  blocksOf,
  enabled,
  hostOf,
  inBlock,
  keyOf,
  MODES,
  member,
  PORT,
  per,
} from '../../../support/calico-families.ts';

const endpoint = (family: Family, number: number) => `${hostOf(family, number)} ${PORT[family]}`;

describe.each(MODES)('$mode: peers', ({ families }) => {
  const on = enabled(families);
  const me = member(families, 'me', 1);
  const a = member(families, 'a', 2);
  const b = member(families, 'b', 3);
  const state = (plan: ReturnType<typeof planOf>, family: Family, name: string) =>
    plan.peers[family]!.find(each => each.node === name)!;

  test('two nodes with distinct keys are both peers, with address and port', () => {
    const result = planOf(cluster(on, me, a, b, ...blocksOf(families, 2, 'a'), ...blocksOf(families, 3, 'b')));
    for (const family of families) {
      expect(peersOf(result.desired, family)).toEqual({
        a: `${endpoint(family, 2)} ${blockOf(family, 2)}`,
        b: `${endpoint(family, 3)} ${blockOf(family, 3)}`,
      });
      expect(result.peers[family]).toEqual([
        { node: 'a', publicKey: keyOf(family, 2), endpointAddress: a.bgpAddress[family], prefixes: 1 },
        { node: 'b', publicKey: keyOf(family, 3), endpointAddress: b.bgpAddress[family], prefixes: 1 },
      ]);
    }
    expect(Object.keys(result.desired.tunnels)).toEqual(families.map(String));
    expect(Object.keys(result.peers)).toEqual(families.map(String));
    expect(result.problems).toEqual([]);
  });

  test('the local node is never a peer, with any key', () => {
    const result = planOf(cluster(on, me, a), { ownPublicKey: per(families, () => keyBytes(1)) });
    for (const family of families) expect(Object.keys(peersOf(result.desired, family))).toEqual(['a']);
    const gone = planOf(cluster(on, member(families, 'me', 1, { bgp: {} }), a));
    for (const family of families) expect(Object.keys(peersOf(gone.desired, family))).toEqual(['a']);
  });

  test('if two nodes share a key, the older one stays a peer, and the other one is reported', () => {
    const twin = member(families, 'twin', 4, { key: per(families, family => keyOf(family, 2)) });
    const result = planOf(cluster(on, me, twin, a, b, ...blocksOf(families, 2, 'a'), ...blocksOf(families, 4, 'twin')));
    for (const family of families) {
      expect(Object.keys(peersOf(result.desired, family))).toEqual(['a', 'b']);
      expect(routesOf(result.desired, family)).toEqual([`${blockOf(family, 2)} tunnel`, `${blockOf(family, 4)} throw`]);
      expect(state(result, family, 'a')).not.toHaveProperty('plain');
      expect(state(result, family, 'twin')).toMatchObject({ plain: 'duplicate-key', publicKey: keyOf(family, 2) });
    }
    expect(reasonsOf(result)).toEqual(families.map(() => 'Node/twin DuplicatePublicKey'));
    expect(result.problems[0]!.message).toContain('"a"');
    expect(result.problems[0]!.message).toContain(keyOf(families[0]!, 2));
  });

  test('once the conflict is resolved both are peers again', () => {
    const result = planOf(cluster(on, me, member(families, 'twin', 4), a, ...blocksOf(families, 2, 'a')));
    for (const family of families) expect(Object.keys(peersOf(result.desired, family))).toEqual(['a', 'twin']);
  });

  test("a node with our own device's key is not a peer", () => {
    const result = planOf(cluster(on, me, a, b), {
      ownPublicKey: per(families, family => keyBytes(family === 4 ? 2 : 1002)),
    });
    for (const family of families) {
      expect(Object.keys(peersOf(result.desired, family))).toEqual(['b']);
      expect(state(result, family, 'a').plain).toBe('duplicate-key');
    }
    expect(result.problems[0]!.message).toContain('"me"');
  });

  test('a node without a key is not a peer and has only throw routes', () => {
    const result = planOf(cluster(on, me, member(families, 'a', 2, { key: {} }), ...blocksOf(families, 2, 'a')));
    for (const family of families) {
      expect(peersOf(result.desired, family)).toEqual({});
      expect(routesOf(result.desired, family)).toEqual([`${blockOf(family, 2)} throw`]);
      expect(state(result, family, 'a')).toEqual({
        node: 'a',
        plain: 'no-key',
        endpointAddress: a.bgpAddress[family],
        prefixes: 1,
      });
    }
    expect(result.problems).toEqual([]);
  });

  test.each([
    ['no base64', 'not a key'],
    ['too short', 'AAAA'],
    ['all zero', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='],
    ['endless', 'A'.repeat(100_000)],
  ])('an invalid key (%s) is reported, and the node is not a peer', (_, text) => {
    const bad = member(families, 'a', 2, { key: per(families, () => text) });
    const result = planOf(cluster(on, me, bad, b, ...blocksOf(families, 2, 'a')));
    for (const family of families) {
      expect(Object.keys(peersOf(result.desired, family))).toEqual(['b']);
      expect(routesOf(result.desired, family)).toEqual([`${blockOf(family, 2)} throw`]);
      expect(state(result, family, 'a').plain).toBe('invalid-key');
      expect(state(result, family, 'a').publicKey).toBeUndefined();
    }
    expect(reasonsOf(result)).toEqual(families.map(() => 'Node/a InvalidPublicKey'));
    for (const { message } of result.problems) {
      expect(message).toContain(text.slice(0, 40));
      expect(message.length).toBeLessThan(400);
    }
  });

  test('a node without an address is reported and is not a peer', () => {
    const result = planOf(cluster(on, me, member(families, 'a', 2, { bgp: {} }), ...blocksOf(families, 2, 'a')));
    for (const family of families) {
      expect(peersOf(result.desired, family)).toEqual({});
      expect(routesOf(result.desired, family)).toEqual([`${blockOf(family, 2)} throw`]);
      expect(state(result, family, 'a').plain).toBe('no-node-address');
    }
    expect(reasonsOf(result)).toEqual(families.map(() => 'Node/a MissingNodeAddress'));
  });

  test('the endpoint is the BGP address, else the first internal, else the first external address', () => {
    const fields = {
      internal: families.flatMap(family => [hostOf(family, 20), hostOf(family, 21)]),
      external: families.flatMap(family => [hostOf(family, 30), hostOf(family, 31)]),
    };
    const endpointOf = (more: Parameters<typeof member>[3]) => {
      const result = planOf(cluster(on, me, member(families, 'a', 2, more)));
      return families.map(family => peersOf(result.desired, family)['a']!.split(' ')[0]);
    };
    expect(endpointOf(fields)).toEqual(families.map(family => hostOf(family, 2)));
    expect(endpointOf({ ...fields, bgp: {} })).toEqual(families.map(family => hostOf(family, 20)));
    expect(endpointOf({ bgp: {}, external: fields.external })).toEqual(families.map(family => hostOf(family, 30)));
  });

  test('all peers have the port and keepalive configured on this node', () => {
    const felixConfiguration = enabled(families, {
      WireguardListeningPort: 4500,
      WireguardListeningPortV6: 4600,
      WireguardKeepAlive: 25,
    });
    const { desired } = planOf(cluster(felixConfiguration, me, a, b));
    for (const family of families) {
      const port = family === 4 ? 4500 : 4600;
      expect(desired.tunnels[family]!.listenPort).toBe(port);
      for (const each of desired.tunnels[family]!.peers.values())
        expect([each.endpointPort, each.persistentKeepalive]).toEqual([port, 25]);
    }
  });

  test('allowed IPs are blocks, borrowed addresses and all tunnel addresses, sorted by text', () => {
    const rich = member(families, 'a', 2, {
      wireguard: per(families, family => inBlock(family, 2, 1)),
      vxlan: per(families, family => inBlock(family, 2, 3)),
      ...(families.includes(4) && { ipip: inBlock(4, 2, 2) }),
    });
    const borrowed = families.map(family => block(blockOf(family, 3), 'b', `${inBlock(family, 3, 9)} a`));
    const { desired } = planOf(cluster(on, me, rich, b, ...blocksOf(families, 2, 'a'), ...borrowed));
    for (const family of families) {
      const mine = [
        blockOf(family, 2),
        alone(family, inBlock(family, 2, 1)),
        ...(family === 4 ? [alone(4, inBlock(4, 2, 2))] : []),
        alone(family, inBlock(family, 2, 3)),
        alone(family, inBlock(family, 3, 9)),
      ].sort();
      expect(peersOf(desired, family)).toEqual({
        a: `${endpoint(family, 2)} ${mine.join(' ')}`,
        b: `${endpoint(family, 3)} ${blockOf(family, 3)}`,
      });
      expect(routesOf(desired, family)).toEqual([...mine, blockOf(family, 3)].map(each => `${each} tunnel`).sort());
    }
  });

  test('only host encryption adds every address of the other hosts', () => {
    const host = member(families, 'a', 2, {
      internal: families.flatMap(family => [hostOf(family, 2), hostOf(family, 20)]),
      external: families.map(family => hostOf(family, 30)),
    });
    const plain = planOf(cluster(on, me, host, ...blocksOf(families, 2, 'a')));
    const hosts = enabled(families, { WireguardHostEncryptionEnabled: true });
    const result = planOf(cluster(hosts, me, host, ...blocksOf(families, 2, 'a')));
    for (const family of families) {
      expect(peersOf(plain.desired, family)['a']).toBe(`${endpoint(family, 2)} ${blockOf(family, 2)}`);
      const all = [blockOf(family, 2), ...[2, 20, 30].map(each => alone(family, hostOf(family, each)))].sort();
      expect(peersOf(result.desired, family)['a']).toBe(`${endpoint(family, 2)} ${all.join(' ')}`);
      expect(routesOf(result.desired, family)).toEqual(all.map(each => `${each} tunnel`));
    }
  });

  test("a node's configuration does not decide whether it is a peer; it only explains a missing key", () => {
    const off = (name: string) => configuration(`node.${name}`, { WireguardEnabled: false, WireguardEnabledV6: false });
    const result = planOf(cluster(on, me, a, member(families, 'b', 3, { key: {} }), off('a'), off('b')));
    for (const family of families) {
      expect(Object.keys(peersOf(result.desired, family))).toEqual(['a']);
      expect(state(result, family, 'a').plain).toBeUndefined();
      expect(state(result, family, 'b').plain).toBe('disabled');
    }
  });

  test('a selector-scoped configuration can disable a node', () => {
    const off = configuration(
      'old',
      { WireguardEnabled: false, WireguardEnabledV6: false },
      { nodeSelector: 'has(old)' },
    );
    const fields = { key: {}, labels: { old: '' } };
    const result = planOf(
      cluster(on, off, me, member(families, 'a', 2, fields), member(families, 'b', 3, { key: {} })),
    );
    for (const family of families) {
      expect(state(result, family, 'a').plain).toBe('disabled');
      expect(state(result, family, 'b').plain).toBe('no-key');
    }
  });
});

test('each family has its own key: a node may be a peer only in IPv4', () => {
  const half = node('a', { bgp: { 4: '172.16.0.2', 6: 'fd00::2' }, key: { 4: keyOf(4, 2) } });
  const { desired, peers } = planOf(cluster(enabled([4, 6]), member([4, 6], 'me', 1), half));
  expect(Object.keys(peersOf(desired, 4))).toEqual(['a']);
  expect(peersOf(desired, 6)).toEqual({});
  expect(peers[6]![0]!.plain).toBe('no-key');
});

test('one key in IPv4 of one node and IPv6 of another is not a conflict', () => {
  const a = node('a', { bgp: { 4: '172.16.0.2' }, key: { 4: keyOf(4, 7) } });
  const b = node('b', { bgp: { 6: 'fd00::3' }, key: { 6: keyOf(4, 7) } });
  const { desired } = planOf(cluster(enabled([4, 6]), member([4, 6], 'me', 1), a, b));
  expect(Object.keys(peersOf(desired, 4))).toEqual(['a']);
  expect(Object.keys(peersOf(desired, 6))).toEqual(['b']);
});

test('an unknown own node has no tunnels, and a Problem reports it', () => {
  const result = planOf(cluster(enabled([4]), member([4], 'a', 2)), { nodeName: 'unknown' });
  expect(result.desired).toEqual({ tunnels: {} });
  expect(result.peers).toEqual({});
  expect(reasonsOf(result)).toEqual(['Node/unknown UnknownNode']);
});

test('the order of the maps does not change the plan or its order', () => {
  const objects = [
    enabled([4, 6]),
    member([4, 6], 'me', 1),
    member([4, 6], 'a', 2, { external: ['192.0.2.1'] }),
    member([4, 6], 'b', 3, { key: { 4: keyOf(4, 2) }, external: ['192.0.2.1'] }),
    member([4, 6], 'c', 4, { key: { 4: 'bad', 6: 'bad' }, wireguard: { 4: '10.0.2.9' } }),
    ...blocksOf([4, 6], 2, 'a'),
    block('10.0.3.0/26', 'b', '10.0.2.9 a', '10.0.2.8 c'),
    block('10.0.4.0/26', undefined, '10.0.2.8 b'),
  ];
  const serial = (result: ReturnType<typeof plan>) =>
    JSON.stringify([result.problems.map(problemKey), result.peers, result.desired], (_, value) =>
      value instanceof Map ? [...value] : value,
    );
  const forward = serial(plan(input(cluster(...objects), { options: { failClosed: true } })));
  const backward = serial(plan(input(cluster(...objects.toReversed()), { options: { failClosed: true } })));
  expect(backward).toBe(forward);
});

/** Who is a peer and why others are not (docs/reference/calico-felix.md#allowed-ips, #eligible-peers, #unit-tests), in each family and in both. */
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
    const made = planOf(cluster(on, me, a, b, ...blocksOf(families, 2, 'a'), ...blocksOf(families, 3, 'b')));
    for (const family of families) {
      expect(peersOf(made.desired, family)).toEqual({
        a: `${endpoint(family, 2)} ${blockOf(family, 2)}`,
        b: `${endpoint(family, 3)} ${blockOf(family, 3)}`,
      });
      expect(made.peers[family]).toEqual([
        { node: 'a', publicKey: keyOf(family, 2), endpointAddress: a.bgpAddress[family], prefixes: 1 },
        { node: 'b', publicKey: keyOf(family, 3), endpointAddress: b.bgpAddress[family], prefixes: 1 },
      ]);
    }
    expect(Object.keys(made.desired.tunnels)).toEqual(families.map(String));
    expect(Object.keys(made.peers)).toEqual(families.map(String));
    expect(made.problems).toEqual([]);
  });

  test('the local node is never a peer, whatever key it has', () => {
    const made = planOf(cluster(on, me, a), { ownPublicKey: per(families, () => keyBytes(1)) });
    for (const family of families) expect(Object.keys(peersOf(made.desired, family))).toEqual(['a']);
    const gone = planOf(cluster(on, member(families, 'me', 1, { bgp: {} }), a));
    for (const family of families) expect(Object.keys(peersOf(gone.desired, family))).toEqual(['a']);
  });

  test('a key of two nodes takes both out, their prefixes are thrown, and each is told', () => {
    const twin = member(families, 'twin', 4, { key: per(families, family => keyOf(family, 2)) });
    const made = planOf(cluster(on, me, twin, a, b, ...blocksOf(families, 2, 'a'), ...blocksOf(families, 4, 'twin')));
    for (const family of families) {
      expect(Object.keys(peersOf(made.desired, family))).toEqual(['b']);
      expect(routesOf(made.desired, family)).toEqual([`${blockOf(family, 2)} throw`, `${blockOf(family, 4)} throw`]);
      expect(state(made, family, 'a')).toMatchObject({ plain: 'duplicate-key', publicKey: keyOf(family, 2) });
      expect(state(made, family, 'twin').plain).toBe('duplicate-key');
    }
    expect(reasonsOf(made)).toEqual([
      ...families.map(() => 'Node/a DuplicatePublicKey'),
      ...families.map(() => 'Node/twin DuplicatePublicKey'),
    ]);
    const told = made.problems.find(({ object }) => object === 'Node/a')!.message;
    expect(told).toContain('"twin"');
    expect(told).toContain(keyOf(families[0]!, 2));
    expect(told).not.toContain('"a"');
  });

  test('with the conflict resolved both are back', () => {
    const made = planOf(cluster(on, me, member(families, 'twin', 4), a, ...blocksOf(families, 2, 'a')));
    for (const family of families) expect(Object.keys(peersOf(made.desired, family))).toEqual(['a', 'twin']);
  });

  test("a node with our own device's key is no peer", () => {
    const made = planOf(cluster(on, me, a, b), {
      ownPublicKey: per(families, family => keyBytes(family === 4 ? 2 : 1002)),
    });
    for (const family of families) {
      expect(Object.keys(peersOf(made.desired, family))).toEqual(['b']);
      expect(state(made, family, 'a').plain).toBe('duplicate-key');
    }
    expect(made.problems[0]!.message).toContain('"me"');
  });

  test('a node without a key is no peer and has throw routes only', () => {
    const made = planOf(cluster(on, me, member(families, 'a', 2, { key: {} }), ...blocksOf(families, 2, 'a')));
    for (const family of families) {
      expect(peersOf(made.desired, family)).toEqual({});
      expect(routesOf(made.desired, family)).toEqual([`${blockOf(family, 2)} throw`]);
      expect(state(made, family, 'a')).toEqual({
        node: 'a',
        plain: 'no-key',
        endpointAddress: a.bgpAddress[family],
        prefixes: 1,
      });
    }
    expect(made.problems).toEqual([]);
  });

  test.each([
    ['no base64', 'not a key'],
    ['too short', 'AAAA'],
    ['all zero', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='],
    ['endless', 'A'.repeat(100_000)],
  ])('a key that is none (%s) is named, and the node is no peer', (_, text) => {
    const bad = member(families, 'a', 2, { key: per(families, () => text) });
    const made = planOf(cluster(on, me, bad, b, ...blocksOf(families, 2, 'a')));
    for (const family of families) {
      expect(Object.keys(peersOf(made.desired, family))).toEqual(['b']);
      expect(routesOf(made.desired, family)).toEqual([`${blockOf(family, 2)} throw`]);
      expect(state(made, family, 'a').plain).toBe('invalid-key');
      expect(state(made, family, 'a').publicKey).toBeUndefined();
    }
    expect(reasonsOf(made)).toEqual(families.map(() => 'Node/a InvalidPublicKey'));
    for (const { message } of made.problems) {
      expect(message).toContain(text.slice(0, 40));
      expect(message.length).toBeLessThan(400);
    }
  });

  test('a node without an address is no peer, and is told so', () => {
    const made = planOf(cluster(on, me, member(families, 'a', 2, { bgp: {} }), ...blocksOf(families, 2, 'a')));
    for (const family of families) {
      expect(peersOf(made.desired, family)).toEqual({});
      expect(routesOf(made.desired, family)).toEqual([`${blockOf(family, 2)} throw`]);
      expect(state(made, family, 'a').plain).toBe('no-node-address');
    }
    expect(reasonsOf(made)).toEqual(families.map(() => 'Node/a MissingNodeAddress'));
  });

  test('the endpoint is the BGP address, else the first internal, else the first external one', () => {
    const words = {
      internal: families.flatMap(family => [hostOf(family, 20), hostOf(family, 21)]),
      external: families.flatMap(family => [hostOf(family, 30), hostOf(family, 31)]),
    };
    const endpointOf = (more: Parameters<typeof member>[3]) => {
      const made = planOf(cluster(on, me, member(families, 'a', 2, more)));
      return families.map(family => peersOf(made.desired, family)['a']!.split(' ')[0]);
    };
    expect(endpointOf(words)).toEqual(families.map(family => hostOf(family, 2)));
    expect(endpointOf({ ...words, bgp: {} })).toEqual(families.map(family => hostOf(family, 20)));
    expect(endpointOf({ bgp: {}, external: words.external })).toEqual(families.map(family => hostOf(family, 30)));
  });

  test('all have the port and the keepalive that this node is told', () => {
    const told = enabled(families, {
      WireguardListeningPort: 4500,
      WireguardListeningPortV6: 4600,
      WireguardKeepAlive: 25,
    });
    const { desired } = planOf(cluster(told, me, a, b));
    for (const family of families) {
      const port = family === 4 ? 4500 : 4600;
      expect(desired.tunnels[family]!.listenPort).toBe(port);
      for (const each of desired.tunnels[family]!.peers.values())
        expect([each.endpointPort, each.persistentKeepalive]).toEqual([port, 25]);
    }
  });

  test('allowed IPs: blocks, borrowed addresses and every tunnel address, in the order of their text', () => {
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

  test('host encryption adds every address of the other hosts, and only then', () => {
    const host = member(families, 'a', 2, {
      internal: families.flatMap(family => [hostOf(family, 2), hostOf(family, 20)]),
      external: families.map(family => hostOf(family, 30)),
    });
    const plain = planOf(cluster(on, me, host, ...blocksOf(families, 2, 'a')));
    const hosts = enabled(families, { WireguardHostEncryptionEnabled: true });
    const made = planOf(cluster(hosts, me, host, ...blocksOf(families, 2, 'a')));
    for (const family of families) {
      expect(peersOf(plain.desired, family)['a']).toBe(`${endpoint(family, 2)} ${blockOf(family, 2)}`);
      const all = [blockOf(family, 2), ...[2, 20, 30].map(each => alone(family, hostOf(family, each)))].sort();
      expect(peersOf(made.desired, family)['a']).toBe(`${endpoint(family, 2)} ${all.join(' ')}`);
      expect(routesOf(made.desired, family)).toEqual(all.map(each => `${each} tunnel`));
    }
  });

  test('what is on for a node says nothing of its peers but why they have no key', () => {
    const off = (name: string) => configuration(`node.${name}`, { WireguardEnabled: false, WireguardEnabledV6: false });
    const made = planOf(cluster(on, me, a, member(families, 'b', 3, { key: {} }), off('a'), off('b')));
    for (const family of families) {
      expect(Object.keys(peersOf(made.desired, family))).toEqual(['a']);
      expect(state(made, family, 'a').plain).toBeUndefined();
      expect(state(made, family, 'b').plain).toBe('disabled');
    }
  });

  test('a selector that disables a node is a reason too', () => {
    const off = configuration(
      'old',
      { WireguardEnabled: false, WireguardEnabledV6: false },
      { nodeSelector: 'has(old)' },
    );
    const words = { key: {}, labels: { old: '' } };
    const made = planOf(cluster(on, off, me, member(families, 'a', 2, words), member(families, 'b', 3, { key: {} })));
    for (const family of families) {
      expect(state(made, family, 'a').plain).toBe('disabled');
      expect(state(made, family, 'b').plain).toBe('no-key');
    }
  });
});

test('the families have keys of their own: one may be a peer in IPv4 alone', () => {
  const half = node('a', { bgp: { 4: '172.16.0.2', 6: 'fd00::2' }, key: { 4: keyOf(4, 2) } });
  const { desired, peers } = planOf(cluster(enabled([4, 6]), member([4, 6], 'me', 1), half));
  expect(Object.keys(peersOf(desired, 4))).toEqual(['a']);
  expect(peersOf(desired, 6)).toEqual({});
  expect(peers[6]![0]!.plain).toBe('no-key');
});

test('the same key in IPv4 of one node and IPv6 of another is no conflict', () => {
  const a = node('a', { bgp: { 4: '172.16.0.2' }, key: { 4: keyOf(4, 7) } });
  const b = node('b', { bgp: { 6: 'fd00::3' }, key: { 6: keyOf(4, 7) } });
  const { desired } = planOf(cluster(enabled([4, 6]), member([4, 6], 'me', 1), a, b));
  expect(Object.keys(peersOf(desired, 4))).toEqual(['a']);
  expect(Object.keys(peersOf(desired, 6))).toEqual(['b']);
});

test('an unknown own node has no tunnels, and people are told', () => {
  const made = planOf(cluster(enabled([4]), member([4], 'a', 2)), { nodeName: 'nobody' });
  expect(made.desired).toEqual({ tunnels: {} });
  expect(made.peers).toEqual({});
  expect(reasonsOf(made)).toEqual(['Node/nobody UnknownNode']);
});

test('the order of the maps changes nothing, that of the plan included', () => {
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
  const serial = (made: ReturnType<typeof plan>) =>
    JSON.stringify([made.problems.map(problemKey), made.peers, made.desired], (_, value) =>
      value instanceof Map ? [...value] : value,
    );
  const forward = serial(plan(input(cluster(...objects), { options: { failClosed: true } })));
  const backward = serial(plan(input(cluster(...objects.toReversed()), { options: { failClosed: true } })));
  expect(backward).toBe(forward);
});

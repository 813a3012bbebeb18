/** Fail-closed makes unencrypted pods unreachable, but not hosts; otherwise plans equal Felix's. */
import { describe, expect, test } from 'vitest';
import type { Family } from '../../../../src/base/family.ts';
import { formatPrefix } from '../../../../src/base/prefix.ts';
import { firewallTable } from '../../../../src/calico/apply/firewall/firewall.ts';
import { block, cluster, planOf, pod, prefix, reasonsOf, routesOf, tunnelOf } from '../../../support/calico-cluster.ts';
import {
  alone,
  assigned,
  blockOf,
  blocksOf,
  enabled,
  hostOf,
  inBlock,
  MODES,
  member,
  per,
} from '../../../support/calico-families.ts';

const options = { failClosed: true };
const sealedIn = (result: ReturnType<typeof planOf>, family: Family) =>
  tunnelOf(result.desired, family).firewall.sealed.map(formatPrefix);

describe.each(MODES)('$mode: fail-closed', ({ families }) => {
  const on = enabled(families);
  const me = member(families, 'me', 1);
  const a = member(families, 'a', 2);
  const bad = [
    ['without a key', member(families, 'bad', 4, { key: {} })],
    ['with a bad key', member(families, 'bad', 4, { key: per(families, () => 'x') })],
    ["with another's key", member(families, 'bad', 4, { key: a.publicKey })],
    ['without an address', member(families, 'bad', 4, { bgp: {} })],
  ] as const;

  test.each(bad)('pods of a node %s are unreachable and sealed only with fail-closed', (_, node) => {
    const tunnelled = { wireguard: per(families, family => inBlock(family, 9, 4)) };
    const objects = [
      on,
      me,
      a,
      { ...node, wireguardAddress: member(families, 'x', 4, tunnelled).wireguardAddress },
      ...blocksOf(families, 1, 'me'),
      ...families.map(family => block(blockOf(family, 4), 'bad')),
      ...assigned(families, 'bad 4'),
    ];
    const closed = planOf(cluster(...objects), { options });
    const open = planOf(cluster(...objects));
    for (const family of families) {
      const prefixes = [blockOf(family, 4), alone(family, inBlock(family, 9, 4))].sort();
      const mine = `${blockOf(family, 1)} throw`;
      expect(routesOf(closed.desired, family)).toEqual([mine, ...prefixes.map(each => `${each} unreachable`)].sort());
      expect(sealedIn(closed, family)).toEqual(prefixes);
      expect(routesOf(open.desired, family)).toEqual([mine, ...prefixes.map(each => `${each} throw`)].sort());
      expect(sealedIn(open, family)).toEqual([]);
    }
  });

  test('routes of encrypted and local pods stay the same; encrypted pods are sealed in case the tunnel disappears', () => {
    for (const spec of [{}, { wireguardHostEncryptionEnabled: true }]) {
      const objects = [enabled(families, spec), me, a, ...blocksOf(families, 1, 'me'), ...blocksOf(families, 2, 'a')];
      const closed = planOf(cluster(...objects), { options }).desired;
      const open = planOf(cluster(...objects)).desired;
      for (const family of families) {
        const { firewall, ...rest } = tunnelOf(closed, family);
        const { firewall: other, ...same } = tunnelOf(open, family);
        expect(rest).toEqual(same);
        expect(other.sealed).toEqual([]);
        expect({ ...firewall, sealed: [] }).toEqual(other);
        expect(sealedIn(planOf(cluster(...objects), { options }), family)).toContain(blockOf(family, 2));
        for (const [text, { kind, orElse }] of rest.routes) {
          if (kind !== 'tunnel') expect(orElse).toBeUndefined();
          // Without the tunnel, pods must not be reachable another way; hosts may.
          else expect(orElse).toBe(text === alone(family, hostOf(family, 2)) ? undefined : 'unreachable');
        }
      }
    }
  });

  test.each([
    [undefined, ['cali']],
    ['azv', ['azv']],
    ['eni,azv', ['eni', 'azv']],
  ])('the seal exempts the interfaces of pods, with InterfacePrefix %s', (prefix, expected) => {
    const parameters = prefix === undefined ? {} : { InterfacePrefix: prefix };
    for (const hosts of [false, true]) {
      const spec = { WireguardHostEncryptionEnabled: hosts };
      const objects = [me, a, ...blocksOf(families, 1, 'me'), ...blocksOf(families, 2, 'a')];
      const inSpec = planOf(cluster(enabled(families, { ...spec, ...parameters }), ...objects), { options });
      const on = enabled(families, spec);
      const environment = prefix === undefined ? {} : { FELIX_INTERFACEPREFIX: prefix };
      const inEnvironment = planOf(cluster(on, ...objects), { options, environment });
      const felixFile = prefix === undefined ? '' : `[global]\nInterfacePrefix = ${prefix}\n`;
      const inFile = planOf(cluster(on, ...objects), { options, felixFile });
      for (const result of [inSpec, inEnvironment, inFile])
        for (const family of families) {
          const tunnel = tunnelOf(result.desired, family);
          expect(tunnel.firewall.workloadPrefixes).toEqual(expected);
          // Loopback, tunnel and pods, then the sealed prefixes.
          const chains = firewallTable(tunnel)!.chains.filter(({ name }) => name.startsWith('seal-'));
          expect(chains.map(({ rules }) => rules.length)).toEqual([4 + expected.length, 4 + expected.length]);
        }
    }
  });

  test('hosts stay reachable, with host encryption too', () => {
    const hosts = enabled(families, { WireguardHostEncryptionEnabled: true });
    const result = planOf(cluster(hosts, me, member(families, 'bad', 4, { key: {} })), { options });
    for (const family of families) {
      expect(routesOf(result.desired, family)).toEqual([`${alone(family, hostOf(family, 4))} throw`]);
      expect(sealedIn(result, family)).toEqual([]);
    }
  });

  test('a host within its own sealed block is exempt', () => {
    const inside = member(families, 'bad', 4, { key: {}, bgp: per(families, family => inBlock(family, 4, 0)) });
    const small = families.map(family => block(family === 4 ? '10.0.4.0/30' : 'fd10:0:0:4::/126', 'bad'));
    const result = planOf(cluster(on, me, inside, ...small), { options });
    for (const family of families) {
      const host = formatPrefix(prefix(inBlock(family, 4, 0)));
      expect(routesOf(result.desired, family)).toEqual(
        [`${family === 4 ? '10.0.4.0/30' : 'fd10:0:0:4::/126'} unreachable`, `${host} throw`].sort(),
      );
      expect(sealedIn(result, family)).toEqual(
        family === 4 ? ['10.0.4.1/32', '10.0.4.2/31'] : ['fd10:0:0:4::1/128', 'fd10:0:0:4::2/127'],
      );
    }
  });

  test("a node that says that an address of another's sealed block is its own does not break the seal", () => {
    const hosts = enabled(families, { WireguardHostEncryptionEnabled: true });
    const inside = member(families, 'a', 2, { bgp: per(families, family => inBlock(family, 4, 9)) });
    const keyless = member(families, 'bad', 4, { key: {} });
    const result = planOf(cluster(hosts, me, inside, keyless, ...blocksOf(families, 4, 'bad')), { options });
    for (const family of families)
      expect(routesOf(result.desired, family)).toEqual(
        [`${blockOf(family, 4)} unreachable`, `${alone(family, hostOf(family, 4))} throw`].sort(),
      );
    expect(reasonsOf(result)).toEqual(families.map(() => 'Node/a AddressOfOtherNode'));
  });

  test('local addresses within a sealed block are exempt, encrypted ones are not', () => {
    const text = (family: Family) => (family === 4 ? '10.0.4.0/30' : 'fd10:0:0:4::/126');
    const lent = families.map(family =>
      block(text(family), 'bad', `${inBlock(family, 4, 3)} me`, `${inBlock(family, 4, 2)} a`),
    );
    const result = planOf(cluster(on, me, a, member(families, 'bad', 4, { key: {} }), ...lent), { options });
    for (const family of families) {
      expect(routesOf(result.desired, family)).toEqual(
        [
          `${text(family)} unreachable`,
          `${alone(family, inBlock(family, 4, 2))} tunnel`,
          `${alone(family, inBlock(family, 4, 3))} throw`,
        ].sort(),
      );
      expect(sealedIn(result, family)).toEqual(
        family === 4 ? ['10.0.4.0/31', '10.0.4.2/32'] : ['fd10:0:0:4::/127', 'fd10:0:0:4::2/128'],
      );
    }
  });

  test('an address that an unencrypted node borrows from a local block is sealed', () => {
    const lent = families.map(family => block(blockOf(family, 1), 'me', `${inBlock(family, 1, 9)} bad`));
    const result = planOf(cluster(on, me, member(families, 'bad', 4, { key: {} }), ...lent), { options });
    for (const family of families) expect(sealedIn(result, family)).toEqual([alone(family, inBlock(family, 1, 9))]);
  });

  test('with WorkloadIPs, the tunnel of a node without an address is sealed, and open otherwise, as Felix ignores it', () => {
    const fields = { bgp: {}, wireguard: per(families, family => inBlock(family, 9, 4)) };
    const objects = [me, a, member(families, 'bad', 4, fields), ...assigned(families, 'bad 4')];
    const all = cluster(enabled(families, { RouteSource: 'WorkloadIPs' }), ...objects);
    const [closed, open] = [planOf(all, { options }), planOf(all)];
    for (const family of families) {
      expect(sealedIn(closed, family)).toEqual([alone(family, inBlock(family, 9, 4))]);
      expect(routesOf(open.desired, family)).toEqual([]);
    }
  });

  test('sealed prefixes do not contain each other', () => {
    const fields = { key: {}, wireguard: per(families, family => inBlock(family, 4, 1)) };
    const result = planOf(cluster(on, me, member(families, 'bad', 4, fields), ...blocksOf(families, 4, 'bad')), {
      options,
    });
    for (const family of families) expect(sealedIn(result, family)).toEqual([blockOf(family, 4)]);
  });

  test("pods of a deleted node are sealed, load balancers' addresses are not", () => {
    const all = [...blocksOf(families, 5, 'gone'), ...blocksOf(families, 6, 'load-balancer')];
    const result = planOf(cluster(on, me, ...all), { options });
    for (const family of families) {
      expect(routesOf(result.desired, family)).toEqual(
        [`${blockOf(family, 5)} unreachable`, `${blockOf(family, 6)} throw`].sort(),
      );
      expect(sealedIn(result, family)).toEqual([blockOf(family, 5)]);
    }
  });

  test('with WorkloadIPs each pod is sealed separately', () => {
    const felixConfiguration = enabled(families, { RouteSource: 'WorkloadIPs' });
    const theirs = pod('p', 'bad', ...families.map(family => inBlock(family, 7, 1)));
    const result = planOf(cluster(felixConfiguration, me, member(families, 'bad', 4, { key: {} }), theirs), {
      options,
    });
    for (const family of families) expect(sealedIn(result, family)).toEqual([alone(family, inBlock(family, 7, 1))]);
  });
});

/**
 * Device, address, MTU, rule and firewall of a tunnel, and when there is one
 * (docs/reference/calico-felix.md#mtu, #data-plane, #options-a-and-b, #unit-tests, #other-suites).
 */
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../../../../src/base/address.ts';
import type { Family } from '../../../../src/base/family.ts';
import { VersionedMap } from '../../../../src/base/versioned-map.ts';
import type { PlanOptions } from '../../../../src/calico/plan/config/options.ts';
import { address, cluster, configuration, node, planOf, reasonsOf, tunnelOf } from '../../../support/calico-cluster.ts';
import { enabled, hostOf, inBlock, keyOf, MODES, member, per } from '../../../support/calico-families.ts';

const ME4 = member([4], 'me', 1);
const eth0 = (mtu: number) => ({ links: [{ name: 'eth0', mtu, up: true }], aks: false });

describe.each(MODES)('$mode: own address', ({ families }) => {
  const addressIn = (result: ReturnType<typeof planOf>) =>
    families.map(family => {
      const found = tunnelOf(result.desired, family).address;
      return found && formatAddress(found);
    });

  test("is that of the Node's annotation, and absent without one", () => {
    const wireguard = per(families, family => inBlock(family, 1, 5));
    const result = planOf(cluster(enabled(families), member(families, 'me', 1, { wireguard })));
    expect(addressIn(result)).toEqual(families.map(family => inBlock(family, 1, 5)));
    const without = planOf(cluster(enabled(families), member(families, 'me', 1)));
    expect(addressIn(without)).toEqual(families.map(() => undefined));
    for (const family of families) expect(tunnelOf(without.desired, family)).not.toHaveProperty('address');
  });

  test("is the host's with host encryption, unless one is assigned", () => {
    const on = enabled(families, { WireguardHostEncryptionEnabled: true });
    const wireguard = per(families, family => inBlock(family, 1, 5));
    expect(addressIn(planOf(cluster(on, member(families, 'me', 1))))).toEqual(
      families.map(family => hostOf(family, 1)),
    );
    expect(addressIn(planOf(cluster(on, member(families, 'me', 1, { wireguard }))))).toEqual(
      families.map(family => inBlock(family, 1, 5)),
    );
  });

  test('with host-local IPAM is the second of the IPv4 podCIDR once there is a key', () => {
    const fields = {
      podCidrs: families.map(family => (family === 4 ? '10.9.255.0/24' : 'fd99::/64')),
      wireguard: per(families, family => inBlock(family, 1, 5)),
    };
    const options = { usePodCidr: true };
    const withKey = planOf(cluster(enabled(families), member(families, 'me', 1, fields)), { options });
    expect(addressIn(withKey)).toEqual(families.map(family => (family === 4 ? '10.9.255.1' : undefined)));
    const keyless = planOf(cluster(enabled(families), member(families, 'me', 1, { ...fields, key: {} })), { options });
    expect(addressIn(keyless)).toEqual(families.map(() => undefined));
    const noCidr = planOf(cluster(enabled(families), member(families, 'me', 1, { ...fields, podCidrs: [] })), {
      options,
    });
    expect(addressIn(noCidr)).toEqual(families.map(family => inBlock(family, 1, 5)));
  });
});

describe('the whole tunnel', () => {
  test("equals Felix's except for the agent's own names and numbers", () => {
    const { desired } = planOf(cluster(enabled([4, 6]), member([4, 6], 'me', 1)));
    const firewall = { allowPort: false, masquerade: true, sealed: [], workloadPrefixes: ['cali'] };
    const all = {
      threaded: false,
      mark: 0x1000,
      peers: new VersionedMap(),
      table: 51820,
      routes: new VersionedMap(),
      routeProtocol: 3,
      rulePriority: 99,
      firewall,
    };
    expect(desired).toEqual({
      tunnels: {
        4: { ...all, family: 4, interfaceName: 'tunl-wg.cali', mtu: 1440, listenPort: 51820 },
        6: { ...all, family: 6, interfaceName: 'tunl-wg6.cali', mtu: 1420, listenPort: 51821 },
      },
    });
  });

  test('follows the parameters and options', () => {
    const felixConfiguration = enabled([4], {
      DeviceRouteProtocol: 80,
      WireguardRoutingRulePriority: 50,
      WireguardMTU: 1380,
      WireguardListeningPort: 7,
      WireguardThreadingEnabled: true,
    });
    const options: Partial<PlanOptions> = { interfaceNames: { 4: 'wg4.cali', 6: 'wg6.cali' }, table: 1000, mark: 0x20 };
    const tunnel = tunnelOf(planOf(cluster(felixConfiguration, ME4), { options }).desired, 4);
    expect(tunnel).toMatchObject({
      interfaceName: 'wg4.cali',
      table: 1000,
      mark: 0x20,
      routeProtocol: 80,
      rulePriority: 50,
      mtu: 1380,
      listenPort: 7,
      threaded: true,
    });
    const first = planOf(cluster(felixConfiguration, ME4), { options: { rulePriority: 98 } });
    expect(tunnelOf(first.desired, 4).rulePriority).toBe(98);
  });

  test('host encryption marks incoming IPv4 packets except from loopback, tunnels and pods', () => {
    const felixConfiguration = enabled([4, 6], {
      WireguardHostEncryptionEnabled: true,
      InterfacePrefix: 'eni,azv',
      WireguardInterfaceName: 'other.cali',
    });
    const { desired } = planOf(cluster(felixConfiguration, member([4, 6], 'me', 1)));
    expect(tunnelOf(desired, 4).firewall.incomingMark).toEqual({
      exemptInterfaces: ['lo', 'tunl-wg.cali', 'tunl-wg6.cali', 'other.cali', 'wg-v6.cali'],
      exemptPrefixes: ['eni', 'azv'],
    });
    expect(tunnelOf(desired, 6).firewall).not.toHaveProperty('incomingMark');
    const without = planOf(cluster(enabled([4]), ME4));
    expect(tunnelOf(without.desired, 4).firewall).not.toHaveProperty('incomingMark');
  });

  test('equal ports of both families are reported', () => {
    const felixConfiguration = enabled([4, 6], { WireguardListeningPortV6: 51820 });
    expect(reasonsOf(planOf(cluster(felixConfiguration, member([4, 6], 'me', 1))))).toEqual([
      'FelixConfiguration EqualListeningPorts',
    ]);
    expect(reasonsOf(planOf(cluster(enabled([4], { WireguardListeningPortV6: 51820 }), ME4)))).toEqual([]);
  });
});

describe('existence of the tunnel', () => {
  const off = configuration('node.me', { WireguardEnabled: false, WireguardEnabledV6: false });
  const families = (result: ReturnType<typeof planOf>) => Object.keys(result.desired.tunnels);

  test('as-felix: none if node.<name> disables it', () => {
    expect(families(planOf(cluster(enabled([4, 6]), off, member([4, 6], 'me', 1))))).toEqual([]);
  });

  test('always: node.<name> disables only Felix, and the agent opens the port', () => {
    const result = planOf(cluster(enabled([4, 6]), off, member([4, 6], 'me', 1)), {
      options: { enableHere: 'always' },
    });
    expect(families(result)).toEqual(['4', '6']);
    for (const family of [4, 6] as const) expect(tunnelOf(result.desired, family).firewall.allowPort).toBe(true);
    const one = planOf(cluster(enabled([4]), off, ME4), { options: { enableHere: 'always' } });
    expect(families(one)).toEqual(['4']);
  });

  test('always: none if the whole cluster is disabled', () => {
    const result = planOf(cluster(enabled([]), ME4), { options: { enableHere: 'always' } });
    expect(families(result)).toEqual([]);
    expect(result.peers).toEqual({});
  });

  test('with both families off there are no tunnels, no peers, and no need for pods', () => {
    const result = planOf(cluster(enabled([], { RouteSource: 'WorkloadIPs' }), ME4, member([4], 'a', 2)));
    expect(result).toMatchObject({ desired: { tunnels: {} }, peers: {}, wantsPods: false, problems: [] });
  });

  test('the environment overrides all objects', () => {
    const result = planOf(cluster(enabled([4]), off, ME4), { environment: { FELIX_WIREGUARDENABLED: 'true' } });
    expect(families(result)).toEqual(['4']);
  });
});

describe('MTU', () => {
  const mtuOf = (links: Parameters<typeof planOf>[1], more = {}, families: readonly Family[] = [4, 6]) => {
    const result = planOf(cluster(enabled(families, more), member(families, 'me', 1)), links);
    return families.map(family => tunnelOf(result.desired, family).mtu);
  };
  const links = (...all: readonly (readonly [string, number, boolean?])[]) => ({
    facts: { links: all.map(([name, mtu, up = true]) => ({ name, mtu, up })), aks: false },
  });

  test("is the host's minus the overhead", () => {
    expect(mtuOf({ facts: eth0(1500) })).toEqual([1440, 1420]);
    expect(mtuOf({ facts: eth0(9001) })).toEqual([8941, 8921]);
  });

  test('derives from the smallest matching link that is up, or from 1460 without any', () => {
    expect(mtuOf(links(['ens5', 9001], ['eth1', 1400], ['eth2', 1300, false], ['cali1', 500], ['lo', 65536]))).toEqual([
      1340, 1320,
    ]);
    expect(mtuOf(links(['cali1', 500], ['eth0', 1300, false]))).toEqual([1400, 1380]);
    expect(mtuOf(links())).toEqual([1400, 1380]);
  });

  test('uses the configured pattern, but never a WireGuard tunnel', () => {
    const all = links(['eth0', 1500], ['bond0', 1480], ['tunl-wg.cali', 1000], ['wireguard.cali', 1000]);
    expect(mtuOf(all, { MTUIfacePattern: '^bond' })).toEqual([1420, 1400]);
    expect(mtuOf(all, { MTUIfacePattern: '.*' })).toEqual([1420, 1400]);
  });

  test('AKS subtracts 100 more with host encryption', () => {
    const aks = { facts: { ...eth0(1500), aks: true } };
    expect(mtuOf(aks, { WireguardHostEncryptionEnabled: true })).toEqual([1340, 1320]);
    expect(mtuOf(aks)).toEqual([1440, 1420]);
    expect(mtuOf({ facts: eth0(1500) }, { WireguardHostEncryptionEnabled: true })).toEqual([1440, 1420]);
  });

  test('a configured value applies unchanged, separately per family', () => {
    expect(mtuOf({ facts: eth0(1500) }, { WireguardMTU: 1600 })).toEqual([1600, 1420]);
    expect(mtuOf({ facts: eth0(1500) }, { WireguardMTUV6: 1280 })).toEqual([1440, 1280]);
  });

  test('a value too small for the family is reported and derived instead', () => {
    const result = planOf(cluster(enabled([6], { WireguardMTUV6: 1279 }), member([6], 'me', 1)));
    expect(tunnelOf(result.desired, 6).mtu).toBe(1420);
    expect(reasonsOf(result)).toEqual(['FelixConfiguration InvalidMtu']);
    const small = planOf(cluster(enabled([6]), member([6], 'me', 1)), { facts: eth0(1300) });
    expect(tunnelOf(small.desired, 6).mtu).toBe(1280);
    expect(reasonsOf(small)).toEqual(['Host MtuTooSmall']);
  });
});

describe('options', () => {
  const check = (options: Partial<PlanOptions>, more = {}) =>
    planOf(cluster(enabled([4, 6], more), member([4, 6], 'me', 1)), { options });

  test.each<[string, Partial<PlanOptions>, string]>([
    ['a name of 16 characters', { interfaceNames: { 4: 'sixteen-letters.', 6: 'b' } }, 'InvalidInterfaceName'],
    ['a name of 16 bytes', { interfaceNames: { 4: 'ääääääää', 6: 'b' } }, 'InvalidInterfaceName'],
    ['no name', { interfaceNames: { 4: '', 6: 'b' } }, 'InvalidInterfaceName'],
    ['a slash', { interfaceNames: { 4: 'a/b', 6: 'b' } }, 'InvalidInterfaceName'],
    ['..', { interfaceNames: { 4: 'a', 6: '..' } }, 'InvalidInterfaceName'],
    ['one name for both', { interfaceNames: { 4: 'a', 6: 'a' } }, 'InvalidInterfaceName'],
    ["Felix's name", { interfaceNames: { 4: 'wireguard.cali', 6: 'b' } }, 'InvalidInterfaceName'],
    ["Felix's name of the other family", { interfaceNames: { 4: 'wg-v6.cali', 6: 'b' } }, 'InvalidInterfaceName'],
    ["a pod's name", { interfaceNames: { 4: 'cali-wg', 6: 'b' } }, 'InvalidInterfaceName'],
    ['table 0', { table: 0 }, 'InvalidTable'],
    ['table main', { table: 254 }, 'InvalidTable'],
    ['half a table', { table: 1.5 }, 'InvalidTable'],
    ['a table of 33 bits', { table: 2 ** 32 }, 'InvalidTable'],
    ["Felix's table", { table: 1 }, 'InvalidTable'],
    ['no mark', { mark: 0 }, 'InvalidMark'],
    ['a mark of 33 bits', { mark: 2 ** 32 }, 'InvalidMark'],
    ['NaN', { mark: Number.NaN }, 'InvalidMark'],
    ['priority 0', { rulePriority: 0 }, 'InvalidRulePriority'],
    ['priority 32766', { rulePriority: 32766 }, 'InvalidRulePriority'],
  ])('%s is rejected: no tunnel', (_, options, reason) => {
    const result = check(options);
    expect(result.desired.tunnels).toEqual({});
    expect(reasonsOf(result)).toEqual([`Options ${reason}`]);
  });

  test.each<[string, Partial<PlanOptions>, string]>([
    ["another table of Felix's", { table: 7 }, 'TableInFelixRange'],
    ["a mark of Felix's", { mark: 0x100000 }, 'MarkInUse'],
    ["the highest of Felix's", { mark: 0x80000000 }, 'MarkInUse'],
    ["kube-proxy's mark", { mark: 0x4000 }, 'MarkInUse'],
  ])('%s is accepted with a warning', (_, options, reason) => {
    const result = check(options);
    expect(Object.keys(result.desired.tunnels)).toEqual(['4', '6']);
    expect(reasonsOf(result)).toEqual([`Options ${reason}`]);
  });

  test("Felix's default name is free for us once Felix has another", () => {
    const options = { interfaceNames: { 4: 'wireguard.cali', 6: 'wg-v6.cali' } };
    const result = check(options, { WireguardInterfaceName: 'dummy', WireguardInterfaceNameV6: 'dummy6' });
    expect(Object.keys(result.desired.tunnels)).toEqual(['4', '6']);
    expect(result.problems).toEqual([]);
  });

  test("Felix's own table is the first of its ranges that the kernel does not reserve", () => {
    expect(reasonsOf(check({ table: 256 }, { RouteTableRanges: '253-300' }))).toEqual(['Options InvalidTable']);
    expect(reasonsOf(check({ table: 1 }, { RouteTableRanges: '253-300' }))).toEqual([]);
  });
});

test('an address of the other family is not an endpoint', () => {
  const odd = node('a', { bgp: { 4: '0.0.0.0' }, key: { 4: keyOf(4, 2) } });
  const result = planOf(cluster(enabled([4]), ME4, odd));
  expect(result.peers[4]![0]).toMatchObject({ node: 'a', plain: 'no-node-address' });
  expect(address('0.0.0.0')).toHaveLength(4);
});

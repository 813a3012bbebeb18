/**
 * Which texts are valid values of Felix parameters, and what they mean
 * (docs/reference/calico-felix.md#wireguard-parameters, #related-parameters, #precedence).
 */
import { describe, expect, test } from 'vitest';
import type { FelixConfiguration } from '../../../../src/calico/model/cluster.ts';
import { indexConfigurations, resolveFelixConfig } from '../../../../src/calico/plan/config/felix-config.ts';
import { felixTableRanges } from '../../../../src/calico/plan/config/parameters.ts';
import { configuration } from '../../../support/calico-cluster.ts';

interface SourceValues {
  readonly environment?: Readonly<Record<string, string>>;
  readonly file?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

const byName = (all: readonly FelixConfiguration[]) => indexConfigurations(new Map(all.map(each => [each.name, each])));
const read = ({ environment = {}, file, labels = {} }: SourceValues, ...all: readonly FelixConfiguration[]) =>
  resolveFelixConfig({ environment, file, configurations: byName(all), nodeName: 'me', labels });

const ofDefault = configuration('default', { WireguardListeningPort: 2 });
const ofNode = configuration('node.me', { WireguardListeningPort: 4 });

describe('an empty text', () => {
  const on = configuration('default', { WireguardEnabled: true, WireguardListeningPort: 7 });
  const sources: readonly (readonly [string, SourceValues, readonly FelixConfiguration[]])[] = [
    ['the environment', { environment: { FELIX_WIREGUARDENABLED: '', FELIX_WireguardListeningPort: '' } }, []],
    ['felix.cfg', { file: 'WireguardEnabled =\nWireguardListeningPort = # none\n' }, []],
    ['felix.cfg, in quotes', { file: 'WireguardEnabled = ""\nWireguardListeningPort = \'\'\n' }, []],
    ['node.<name>', {}, [configuration('node.me', { WireguardEnabled: '', WireguardListeningPort: '' })]],
    [
      'a selector',
      {},
      [configuration('s', { WireguardEnabled: '', WireguardListeningPort: '' }, { nodeSelector: 'all()' })],
    ],
  ];
  test.each(sources)('in %s counts as unset', (_, values, more) => {
    const { parameters, problems, clusterEnabled } = read(values, on, ...more);
    expect(parameters).toMatchObject({ WireguardEnabled: true, WireguardListeningPort: 7 });
    expect(problems).toEqual([]);
    expect(clusterEnabled[4]).toBe(true);
  });

  test('in one letter case leaves the value in another case in effect', () => {
    const environment = { FELIX_WIREGUARDMTU: '1300', Felix_WireguardMTU: '', felix_wireguardmtu: '' };
    expect(read({ environment }).parameters.WireguardMTU).toBe(1300);
    expect(read({ file: 'WireguardMTU = 1300\nwireguardmtu =\n' }).parameters.WireguardMTU).toBe(1300);
    const both = configuration('default', { WireguardPersistentKeepAlive: '', WireguardKeepAlive: 25 });
    expect(read({}, both).parameters.WireguardPersistentKeepAlive).toBe(25);
  });
});

describe('values', () => {
  test('an invalid value is replaced by the default, not by the next source, and is reported', () => {
    const result = read({ environment: { FELIX_WIREGUARDLISTENINGPORT: 'many' } }, ofDefault);
    expect(result.parameters.WireguardListeningPort).toBe(51820);
    expect(result.problems).toEqual([
      {
        object: 'Environment',
        reason: 'InvalidParameter',
        message:
          'WireguardListeningPort is "many", which is not a whole number from 1 to 65535; the default (51820) applies until you correct it',
      },
    ]);
  });

  test('a value that is overridden is not validated', () => {
    const weak = configuration('default', { WireguardListeningPort: 'many' });
    expect(read({}, ofNode, weak).problems).toEqual([]);
  });

  const one = (name: string, value: string) => read({}, configuration('default', { [name]: value }));
  test.each<readonly [string, string, unknown]>([
    ...['true', '1', 'yes', 'y', 't', 'TRUE', 'Yes'].map(text => ['WireguardEnabled', text, true] as const),
    ...['false', '0', 'no', 'n', 'f', 'False', 'none', 'NONE'].map(
      text => ['PrometheusWireGuardMetricsEnabled', text, false] as const,
    ),
    ['WireguardListeningPort', '0x10', 16],
    ['WireguardListeningPort', '017', 15],
    ['WireguardListeningPort', '0b11', 3],
    ['WireguardListeningPort', '65535', 65535],
    ['WireguardRoutingRulePriority', '32765', 32765],
    ['WireguardMTU', 'none', 0],
    ['WireguardMTU', '1_400', 1400],
    ['WireguardListeningPort', '0x_C_A_6_C', 51820],
    ['WireguardPersistentKeepAlive', '0x1.8p4', 24],
    ['IptablesMarkMask', '0b1111_0000', 0xf0],
    ['WireguardPersistentKeepAlive', '25.9', 25],
    ['WireguardPersistentKeepAlive', '1e2', 100],
    ['WireguardPersistentKeepAlive', 'none', 0],
    ['WireguardInterfaceName', 'wg-0.a_b:c+d', 'wg-0.a_b:c+d'],
    ['RouteSource', 'workloadips', 'WorkloadIPs'],
    ['InterfacePrefix', 'eni,azv', ['eni', 'azv']],
    ['IptablesMarkMask', '0xff00', 0xff00],
    [
      'RouteTableRanges',
      '1-10,300-400',
      [
        { min: 1, max: 10 },
        { min: 300, max: 400 },
      ],
    ],
    ['DeviceRouteProtocol', '80', 80],
    ['Ipv6Support', 'false', false],
  ])('%s %s is read', (name, text, value) => {
    const result = one(name, text);
    expect(result.parameters[name as keyof typeof result.parameters]).toEqual(value);
    expect(result.problems).toEqual([]);
  });

  test.each([
    ['WireguardEnabled', 'on', false],
    ['WireguardListeningPort', '0', 51820],
    ['WireguardListeningPort', '65536', 51820],
    ['WireguardListeningPort', '51820.5', 51820],
    ['WireguardListeningPort', 'none', 51820],
    ['WireguardListeningPort', '9'.repeat(400), 51820],
    ['WireguardRoutingRulePriority', '32766', 99],
    ['WireguardInterfaceName', 'sixteen-letters-', 'wireguard.cali'],
    ['WireguardInterfaceName', 'none', 'wireguard.cali'],
    ['WireguardInterfaceName', 'a/b', 'wireguard.cali'],
    ['WireguardMTU', '-1', 0],
    ['WireguardPersistentKeepAlive', '25s', 0],
    ['WireguardPersistentKeepAlive', '-1', 0],
    ['RouteSource', 'Everything', 'CalicoIPAM'],
    ['InterfacePrefix', 'a b', ['cali']],
    ['IptablesMarkMask', '0x1', 0xffff0000],
    ['IptablesMarkMask', '+0xff00', 0xffff0000],
    ['WireguardListeningPort', '1__0', 51820],
    ['WireguardPersistentKeepAlive', 'inf', 0],
    ['WireguardPersistentKeepAlive', 'NaN', 0],
    ['RouteTableRanges', '1-100000', undefined],
    ['RouteTableRange', '1-10,20-30', undefined],
    ['RouteTableRange', 'x1-10', undefined],
    ['RouteTableRanges', '10-1', undefined],
    ['RouteTableRange', '1-300', undefined],
  ])('%s %s is rejected, and the default applies', (name, text, value) => {
    const result = one(name, text);
    expect(result.parameters[name as keyof typeof result.parameters]).toEqual(value);
    expect(result.problems.map(({ object, reason }) => [object, reason])).toEqual([
      ['FelixConfiguration/default', 'InvalidParameter'],
    ]);
    expect(result.problems[0]!.message).toContain(name);
    expect(result.problems[0]!.message.length).toBeLessThan(300);
  });

  const LINKS = ['eth0', 'eth01', 'NET1', 'net2', 'lo'];
  test.each([
    ['(?i)^NET.*', ['NET1', 'net2']],
    ['^[[:alpha:]]+[0-9]$', ['eth0', 'NET1', 'net2']],
    ['^eth0\\z', ['eth0']],
    ['^(?P<kind>eth)', ['eth0', 'eth01']],
  ])("the pattern %s is Go's, and chooses the links that Felix chooses", (text, chosen) => {
    const { parameters, problems } = one('MTUIfacePattern', text);
    expect(LINKS.filter(name => parameters.MTUIfacePattern.test(name))).toEqual(chosen);
    expect(problems).toEqual([]);
  });

  test.each(['(?=eth)', '^(?!lo)', '(?<=a)b', '(a)\\1', '^eth0\\Z', '(?<n', 'x**', '[z-a]', 'a{1001}'])(
    'the pattern %s is rejected, as by Go',
    text => {
      const { parameters, problems } = one('MTUIfacePattern', text);
      expect(parameters.MTUIfacePattern.source).toMatch(/^\^\(\(en/);
      expect(problems.map(({ reason }) => reason)).toEqual(['InvalidParameter']);
    },
  );

  test('a pattern that would take JavaScript years matches at once', () => {
    const { parameters } = one('MTUIfacePattern', '^(a|a)*(a|a)*(a|a)*b$');
    expect(parameters.MTUIfacePattern.test('a'.repeat(5000))).toBe(false);
  });

  test('the default replaces an invalid pattern', () => {
    const result = one('MTUIfacePattern', '(');
    expect(result.parameters.MTUIfacePattern.test('eth0')).toBe(true);
    expect(result.parameters.MTUIfacePattern.test('cali0')).toBe(false);
    expect(result.problems).toHaveLength(1);
  });

  test('RouteTableRanges overrides the older RouteTableRange', () => {
    const old = one('RouteTableRange', '5-10').parameters;
    expect(felixTableRanges(old)).toEqual([{ min: 5, max: 10 }]);
    expect(felixTableRanges({ ...old, RouteTableRanges: [{ min: 20, max: 30 }] })).toEqual([{ min: 20, max: 30 }]);
    expect(felixTableRanges(read({}).parameters)).toEqual([{ min: 1, max: 250 }]);
  });
});

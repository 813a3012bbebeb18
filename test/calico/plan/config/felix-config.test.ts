/**
 * Which source determines a Felix parameter, and how invalid values are handled
 * (docs/reference/calico-felix.md#wireguard-parameters, #related-parameters, #precedence).
 */
import { describe, expect, test } from 'vitest';
import type { Family } from '../../../../src/base/family.ts';
import type { FelixConfiguration } from '../../../../src/calico/model/cluster.ts';
import {
  enablementCheck,
  indexConfigurations,
  isEnabled,
  resolveFelixConfig,
} from '../../../../src/calico/plan/config/felix-config.ts';
import { parseFelixFile } from '../../../../src/calico/plan/config/felix-file.ts';
import { configuration } from '../../../support/calico-cluster.ts';

interface SourceValues {
  readonly environment?: Readonly<Record<string, string>>;
  readonly file?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

const byName = (all: readonly FelixConfiguration[]) => indexConfigurations(new Map(all.map(each => [each.name, each])));
const read = ({ environment = {}, file, labels = {} }: SourceValues, ...all: readonly FelixConfiguration[]) =>
  resolveFelixConfig({ environment, file, configurations: byName(all), nodeName: 'me', labels });
const port = (values: SourceValues, ...all: readonly FelixConfiguration[]) =>
  read(values, ...all).parameters.WireguardListeningPort;

const ofDefault = configuration('default', { WireguardListeningPort: 2 });
const ofNode = configuration('node.me', { WireguardListeningPort: 4 });
const ofOther = configuration('node.other', { WireguardListeningPort: 9 });
const scoped = (name: string, value: number, nodeSelector: string | undefined, creationTimestamp?: string) =>
  configuration(
    name,
    { WireguardListeningPort: value },
    {
      ...(nodeSelector !== undefined && { nodeSelector }),
      ...(creationTimestamp !== undefined && { creationTimestamp }),
    },
  );

describe('precedence', () => {
  const environment = { FELIX_WIREGUARDLISTENINGPORT: '6' };
  const file = '[global]\nWireguardListeningPort = 5\n';
  const ofSelector = scoped('rack', 3, 'all()');

  test('is environment, file, node, selector, default, built-in default', () => {
    expect(port({ environment, file }, ofDefault, ofSelector, ofNode)).toBe(6);
    expect(port({ file }, ofDefault, ofSelector, ofNode)).toBe(5);
    expect(port({}, ofDefault, ofSelector, ofNode)).toBe(4);
    expect(port({}, ofDefault, ofSelector, ofOther)).toBe(3);
    expect(port({}, ofDefault, ofOther)).toBe(2);
    expect(port({}, ofOther)).toBe(51820);
  });

  test('applies per parameter: false is a value, absence is not', () => {
    const { parameters } = read(
      {},
      configuration('default', { WireguardEnabled: true, WireguardListeningPort: 7, WireguardMTU: 1400 }),
      configuration('node.me', { WireguardEnabled: false, WireguardMTU: '' }),
    );
    expect(parameters).toMatchObject({ WireguardEnabled: false, WireguardListeningPort: 7, WireguardMTU: 1400 });
  });

  test.each(['FELIX_WIREGUARDMTU', 'felix_wireguardmtu', 'Felix_WireguardMtu'])('%s is read', name => {
    expect(read({ environment: { [name]: '1300' } }).parameters.WireguardMTU).toBe(1300);
  });

  test('environment variables without FELIX_ are ignored', () => {
    expect(read({ environment: { WIREGUARDMTU: '1300', XFELIX_WIREGUARDMTU: '1300' } }).parameters.WireguardMTU).toBe(
      0,
    );
  });

  test('the keepalive is read under its field name and its parameter name', () => {
    const keepalive = (name: string) => read({}, configuration('default', { [name]: 25 })).parameters;
    expect(keepalive('WireguardKeepAlive').WireguardPersistentKeepAlive).toBe(25);
    expect(keepalive('WireguardPersistentKeepAlive').WireguardPersistentKeepAlive).toBe(25);
    expect(read({ environment: { FELIX_WIREGUARDKEEPALIVE: '25' } }).parameters.WireguardPersistentKeepAlive).toBe(0);
  });
});

describe('selector-scoped configurations', () => {
  const old = '2026-01-01T00:00:00Z';
  const young = '2026-02-01T00:00:00Z';

  test('only the oldest match applies', () => {
    const mtu = configuration('young', { WireguardMTU: 1300 }, { nodeSelector: 'all()', creationTimestamp: young });
    const result = read(
      {},
      scoped('zzz', 3, 'all()', old),
      mtu,
      scoped('other', 9, 'has(other)', '2020-01-01T00:00:00Z'),
    );
    expect(result.parameters).toMatchObject({ WireguardListeningPort: 3, WireguardMTU: 0 });
  });

  test('equal ages are ordered by name, whatever the order of the map', () => {
    const two = [scoped('b', 3, 'all()', old), scoped('a', 5, 'all()', old)] as const;
    expect(port({}, ...two)).toBe(5);
    expect(port({}, ...two.toReversed())).toBe(5);
  });

  test('ages compare as times, not as texts; a missing one is the youngest', () => {
    expect(port({}, scoped('a', 3, 'all()', '2026-01-01T02:00:00+03:00'), scoped('b', 5, 'all()', old))).toBe(3);
    expect(port({}, scoped('a', 3, 'all()'), scoped('b', 5, 'all()', old))).toBe(5);
    expect(port({}, scoped('a', 3, 'all()', 'yesterday'), scoped('b', 5, 'all()', old))).toBe(5);
  });

  test('select by the labels of the node', () => {
    const rack = scoped('rack', 3, "rack == 'one'");
    expect(port({ labels: { rack: 'one' } }, rack)).toBe(3);
    expect(port({ labels: { rack: 'two' } }, rack)).toBe(51820);
  });

  test('an invalid or missing selector matches nothing and is reported', () => {
    const result = read({}, scoped('bad', 3, "rack = 'one'"), scoped('none', 3, undefined), scoped('empty', 3, ' '));
    expect(result.parameters.WireguardListeningPort).toBe(51820);
    expect(result.problems.map(({ object, reason }) => `${object} ${reason}`)).toEqual([
      'FelixConfiguration/bad InvalidSelector',
      'FelixConfiguration/none MissingNodeSelector',
      'FelixConfiguration/empty MissingNodeSelector',
    ]);
    expect(result.problems[0]!.message).toContain("rack = 'one'");
  });
});

describe('whether a family is enabled', () => {
  const both = configuration('default', { WireguardEnabled: true, WireguardEnabledV6: true });

  test('IPv6 also needs Ipv6Support', () => {
    expect(isEnabled(read({}, both).parameters, 6)).toBe(true);
    const without = read({ environment: { FELIX_IPV6SUPPORT: 'false' } }, both);
    expect(isEnabled(without.parameters, 6)).toBe(false);
    expect(isEnabled(without.parameters, 4)).toBe(true);
    expect(without.clusterEnabled).toEqual({ 4: true, 6: false });
  });

  test('cluster-wide: node.<name> and selectors are ignored', () => {
    const off = { WireguardEnabled: false };
    const result = read({}, both, configuration('node.me', off), configuration('s', off, { nodeSelector: 'all()' }));
    expect(result.parameters.WireguardEnabled).toBe(false);
    expect(result.clusterEnabled).toEqual({ 4: true, 6: true });
    expect(read({}, configuration('node.me', { WireguardEnabled: true })).clusterEnabled[4]).toBe(false);
    expect(read({ environment: { FELIX_WIREGUARDENABLED: 'true' } }).clusterEnabled[4]).toBe(true);
  });

  test('on another node: only the datastore decides', () => {
    const all = byName([both, configuration('node.x', { WireguardEnabled: false, Ipv6Support: false })]);
    const on = (name: string, family: Family, labels = {}) => enablementCheck(all, family)({ name, labels });
    expect([on('x', 4), on('x', 6), on('y', 4), on('y', 6)]).toEqual([false, false, true, true]);
    const rack = configuration('rack', { WireguardEnabled: false }, { nodeSelector: 'has(rack)' });
    const scopedToo = enablementCheck(byName([both, rack]), 4);
    expect([scopedToo({ name: 'y', labels: { rack: '1' } }), scopedToo({ name: 'y', labels: {} })]).toEqual([
      false,
      true,
    ]);
  });
});

describe("Felix's file", () => {
  test('has sections, comments, two separators, quotes, any case; the last value wins', () => {
    const text =
      '\ufeff[global]\r\n# one\r\n; two\r\nWireguardMTU = 1300\r\n wireguardmtu: "1400" \r\n\r\n[more]\r\nA=';
    expect(parseFelixFile(text)).toEqual({
      parameters: new Map([
        ['wireguardmtu', '1400'],
        ['a', ''],
      ]),
      problems: [],
    });
  });

  test('an invalid line is reported', () => {
    const result = read({ file: 'WireguardMTU 1300\nWireguardMTU=1200' });
    expect(result.parameters.WireguardMTU).toBe(1200);
    expect(result.problems).toEqual([
      {
        object: 'File/felix.cfg',
        reason: 'InvalidLine',
        message:
          'line 1 is "WireguardMTU 1300", which is not of the form Name = value; the agent ignores it, but Felix does not start with it: correct the line',
      },
    ]);
  });
});

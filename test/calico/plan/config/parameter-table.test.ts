/**
 * Compares our parameter table with Felix's own (config-params.json, generated from Calico's
 * source).
 */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseFelixConfiguration } from '../../../../src/calico/datastore/parse/felix-configuration.ts';
import { indexConfigurations, resolveFelixConfig } from '../../../../src/calico/plan/config/felix-config.ts';
import { PARAMETER_NAMES, PARAMETERS, type ParameterName } from '../../../../src/calico/plan/config/parameters.ts';
import { describeWith } from '../../../netns/needs.ts';
import { sharedCalico } from '../../../support/shared.ts';

interface Row {
  readonly NameConfigFile: string;
  readonly NameEnvVar: string;
  readonly NameYAML: string;
  readonly StringSchema: string;
  readonly StringDefault: string;
  readonly ParsedType: string;
  readonly YAMLType: string;
  readonly OnParseFailure: 'ReplaceWithDefault' | 'Exit';
  /** `none` is rejected. */
  readonly Required: boolean;
  readonly AllowedConfigSources: string;
}

const FILE = sharedCalico('config-params.json');
/** A parameter of a newer Felix, not in the table yet; the CRD has its field and description. */
const NEWER: Row = {
  NameConfigFile: 'NFTablesFlowTableOffload',
  NameEnvVar: 'FELIX_NFTablesFlowTableOffload',
  NameYAML: 'nftablesFlowTableOffload',
  StringSchema: 'One of: `Disabled`, `All`',
  StringDefault: 'Disabled',
  ParsedType: 'string',
  YAMLType: 'string',
  OnParseFailure: 'ReplaceWithDefault',
  Required: false,
  AllowedConfigSources: 'All',
};
const rows: readonly Row[] = existsSync(FILE) ? [...(JSON.parse(readFileSync(FILE, 'utf8')) as Row[]), NEWER] : [];
const row = (name: string): Row => rows.find(({ NameConfigFile }) => NameConfigFile === name)!;
const none = indexConfigurations(new Map());

/**
 * Ranges that are narrower here than in Felix: we reject numbers that Felix accepts but cannot use.
 */
const NARROWER: Partial<Record<ParameterName, readonly [number, number]>> = {
  WireguardListeningPort: [1, 65535],
  WireguardListeningPortV6: [1, 65535],
  WireguardRoutingRulePriority: [1, 32765],
  WireguardMTU: [0, 65535],
  WireguardMTUV6: [0, 65535],
  DeviceRouteProtocol: [0, 255],
  WireguardPersistentKeepAlive: [0, 65535],
  RouteRefreshInterval: [0, 1e9],
};
/**
 * Parameters for which Felix accepts `none` and gets an unusable value: port 0, rule 0, no pattern,
 * no word.
 */
const NONE_IS_USELESS: readonly string[] = [
  'WireguardListeningPort',
  'WireguardListeningPortV6',
  'WireguardRoutingRulePriority',
  'MTUIfacePattern',
  'RouteSource',
  'NFTablesFlowTableOffload',
];
const NUMBERS = ['-1', '0', '1', '249', '250', '255', '256', '9091', '32765', '32766', '65535', '65536', '4294967295'];

function read(name: ParameterName, environment: Readonly<Record<string, string>>): [unknown, number] {
  const { parameters, problems } = resolveFelixConfig({
    environment,
    configurations: none,
    nodeName: 'me',
    labels: {},
  });
  return [shown(parameters[name]), problems.length];
}

function shown(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'source' in value ? value.source : value;
}

/** Returns whether Felix accepts a text, according to its table. */
function takes({ StringSchema, ParsedType, Required }: Row, text: string): boolean {
  if (text.toLowerCase() === 'none') return !Required;
  if (ParsedType === 'bool') return /^(true|1|yes|y|t|false|0|no|n|f)$/i.test(text);
  const range = /^Integer(?:: \[(-?\d+),(\d+)\])?$/.exec(StringSchema);
  if (range) {
    const [least, most] = [Number(range[1] ?? -(2 ** 63)), Number(range[2] ?? 2 ** 63)];
    return /^[+-]?\d+$/.test(text) && Number(text) >= least && Number(text) <= most;
  }
  const pattern = /^String matching regex `(.*)`$/.exec(StringSchema);
  if (pattern) return new RegExp(pattern[1]!).test(text);
  const words = /^One of: (.*)$/.exec(StringSchema);
  if (words) return words[1]!.split(', ').some(word => word.slice(1, -1).toLowerCase() === text.toLowerCase());
  if (StringSchema.startsWith('Seconds')) return /^[+-]?\d+(\.\d+)?$/.test(text);
  throw new Error(`${StringSchema} is not known`);
}

describeWith(['../shared/calico'], "each parameter as in Felix's own table", () => {
  test.each(PARAMETER_NAMES)('%s: has its name in each source', name => {
    const { NameEnvVar, NameYAML, AllowedConfigSources } = row(name);
    const { field } = PARAMETERS[name];
    expect(NameEnvVar).toBe(`FELIX_${name}`);
    expect(AllowedConfigSources).toBe('All');
    expect(field ?? name.toLowerCase()).toBe(NameYAML.toLowerCase());
  });

  test.each(PARAMETER_NAMES)('%s: has its default', name => {
    const { StringDefault } = row(name);
    const value = PARAMETERS[name].default;
    if (StringDefault === '') expect(value).toBeUndefined();
    else expect(shown(value)).toEqual(shown(PARAMETERS[name].read(StringDefault)!.value));
    expect(read(name, {})).toEqual([shown(value), 0]);
    expect(read(name, { [row(name).NameEnvVar]: '' })).toEqual([shown(value), 0]);
    // And in reverse: our default is the value of Felix's default text.
    if (StringDefault !== '') expect(read(name, { [row(name).NameEnvVar]: StringDefault })).toEqual([shown(value), 0]);
  });

  test.each(PARAMETER_NAMES)('%s: accepts none, or rejects it', name => {
    const { Required, NameEnvVar } = row(name);
    const problems = read(name, { [NameEnvVar]: 'None' })[1];
    expect(problems).toBe(Required || NONE_IS_USELESS.includes(name) ? 1 : 0);
    if (NONE_IS_USELESS.includes(name)) expect(Required).toBe(false);
  });

  const texts = [
    ...NUMBERS,
    ...['true', 'TRUE', 'Yes', 'n', 'on', 'enabled', 'Enabled', 'disabled', 'DISABLED', 'auto', 'enabledipiponly'],
    ...[
      'workloadips',
      'WorkloadIPs',
      'CALICOIPAM',
      'cali',
      'eni,azv',
      'a b',
      'eth0,',
      'wg:0.1',
      'x'.repeat(16),
      '1.5',
      '1s',
      ' 1',
    ],
  ];
  const checked = PARAMETER_NAMES.filter(name => !/Pattern$|Range|MarkMask$/.test(name));
  test.each(checked)('%s: accepts and rejects the same texts', name => {
    const mismatches = texts.flatMap(text => {
      const number = Number(text);
      const [least, most] = NARROWER[name] ?? [-Infinity, Infinity];
      const wanted = takes(row(name), text) && !(number < least || number > most);
      const taken = read(name, { [`FELIX_${name.toUpperCase()}`]: text })[1] === 0;
      return taken === wanted ? [] : [`${text}: ${taken}, Felix ${wanted}`];
    });
    expect(mismatches).toEqual([]);
  });

  test.each(PARAMETER_NAMES)('%s: is read from its field in a FelixConfiguration', name => {
    const { NameYAML, YAMLType, ParsedType, StringDefault } = row(name);
    const written: Readonly<Record<string, readonly [unknown, unknown]>> = {
      bool: [true, true],
      int: [200, 200],
      uint32: [0xff00, 0xff00],
      'time.Duration': ['1m30s', 90],
      'idalloc.IndexRange': [{ min: 5, max: 9 }, [{ min: 5, max: 9 }]],
      '[]idalloc.IndexRange': [
        [
          { min: 5, max: 9 },
          { min: 20, max: 30 },
        ],
        [
          { min: 5, max: 9 },
          { min: 20, max: 30 },
        ],
      ],
      '*regexp.Regexp': ['^x', '^x'],
    };
    const word = /^One of: .*`([^`]+)`$/.exec(row(name).StringSchema)?.[1] ?? 'abc';
    const [field, value] = written[ParsedType] ?? [word, name === 'InterfacePrefix' ? [word] : word];
    expect(YAMLType).toBe(
      typeof field === 'object'
        ? Array.isArray(field)
          ? 'array'
          : 'object'
        : { boolean: 'boolean', number: 'integer', string: 'string' }[typeof field as string],
    );
    const { value: parsed } = parseFelixConfiguration({
      metadata: { name: 'default' },
      spec: { [NameYAML]: field },
    });
    const configurations = indexConfigurations(new Map([['default', parsed!]]));
    const { parameters, problems } = resolveFelixConfig({
      environment: {},
      configurations,
      nodeName: 'me',
      labels: {},
    });
    expect(problems).toEqual([]);
    expect(shown(parameters[name]), StringDefault).toEqual(value);
  });

  test('the parameter missing from the table matches the CRD', () => {
    const text = readFileSync(sharedCalico('crds-v1.yaml'), 'utf8');
    const field = /\n( +)nftablesFlowTableOffload:\n((?:\1 .*\n)+)/.exec(text)![2]!;
    expect(field).toMatch(/default: Disabled\n/);
    expect(field).toMatch(/enum:\n\s+- All\n\s+- Disabled\n/);
  });

  test('Felix has every parameter of ours', () => {
    expect(PARAMETER_NAMES.filter(name => row(name) === undefined)).toEqual([]);
  });
});

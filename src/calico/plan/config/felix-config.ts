/**
 * Resolves a node's effective Felix configuration (docs/reference/calico-felix.md#precedence).
 * Each parameter comes from its highest-precedence source: environment, configuration file,
 * `node.<name>`, the oldest matching selector-scoped FelixConfiguration, `default`, built-in
 * default.
 *
 * An invalid value does not fall through to the next source. As in Felix, the built-in default
 * replaces it, and a Problem reports it.
 */
import type { Family } from '../../../base/family.ts';
import type { ClusterNode, FelixConfiguration } from '../../model/cluster.ts';
import { type Problem, quoted } from '../../model/problem.ts';
import { parseFelixFile } from './felix-file.ts';
import { type FelixParameters, PARAMETER_NAMES, PARAMETERS, type Parameter, type ParameterName } from './parameters.ts';
import { matches, parseSelector, type Selector } from './selector.ts';

export interface ConfigInput {
  /** Environment variables. Only `FELIX_...`, in any letter case, are read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The text of felix.cfg. */
  readonly file?: string | undefined;
  readonly configurations: ConfigurationIndex;
  readonly nodeName: string;
  readonly labels: ClusterNode['labels'];
}

/** The datastore's FelixConfigurations, with selectors parsed and sorted once for all nodes. */
export interface ConfigurationIndex {
  readonly byName: ReadonlyMap<string, FelixConfiguration>;
  /** Selector-scoped configurations in order of precedence. Only the first match applies. */
  readonly scoped: readonly { readonly configuration: FelixConfiguration; readonly selector: Selector }[];
  readonly problems: readonly Problem[];
}

export interface FelixConfig {
  readonly parameters: FelixParameters;
  readonly problems: readonly Problem[];
  /**
   * Whether the cluster enables each IP family: resolved from `default` and the node's environment
   * and file, ignoring `node.<name>` and selector-scoped configurations.
   */
  readonly clusterEnabled: Readonly<Record<Family, boolean>>;
}

/** A source of parameter values; `object` names it in Problems. */
interface Source {
  readonly object: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly kind: 'local' | 'node' | 'selector' | 'default';
}

/** Resolves every parameter for one node and collects the Problems found on the way. */
export function resolveFelixConfig(input: ConfigInput): FelixConfig {
  const file = parseFelixFile(input.file ?? '');
  const sources: Source[] = [
    { object: 'Environment', parameters: environmentParameters(input.environment), kind: 'local' },
    { object: 'File/felix.cfg', parameters: file.parameters, kind: 'local' },
    ...datastoreSources(input.configurations, input.nodeName, input.labels),
  ];
  const problems: Problem[] = [...file.problems, ...input.configurations.problems];
  const parameters = Object.fromEntries(
    PARAMETER_NAMES.map(name => [name, resolveParameter(name, sources, problems)]),
  ) as unknown as FelixParameters;
  const clusterSources = sources.filter(({ kind }) => kind === 'local' || kind === 'default');
  // Discard these problems: either they are reported above, or the value is not in effect here.
  const enabled = (name: 'WireguardEnabled' | 'WireguardEnabledV6') => resolveParameter(name, clusterSources, []);
  const clusterEnabled = {
    4: enabled('WireguardEnabled'),
    6: enabled('WireguardEnabledV6') && parameters.Ipv6Support,
  };
  return { parameters, problems, clusterEnabled };
}

/** Returns whether Felix considers WireGuard enabled for a family. */
export function isEnabled(parameters: FelixParameters, family: Family): boolean {
  return family === 4 ? parameters.WireguardEnabled : parameters.WireguardEnabledV6 && parameters.Ipv6Support;
}

/**
 * Returns a predicate that is true for nodes on which WireGuard is enabled, judged by the datastore
 * alone: the environment and file of other nodes are not visible. Nodes without a configuration of
 * their own share one result.
 */
export function enablementCheck(
  configurations: ConfigurationIndex,
  family: Family,
): (node: Pick<ClusterNode, 'name' | 'labels'>) => boolean {
  const { byName, scoped } = configurations;
  const enabledBy = (sources: readonly Source[]): boolean =>
    family === 4
      ? resolveParameter('WireguardEnabled', sources, [])
      : resolveParameter('WireguardEnabledV6', sources, []) && resolveParameter('Ipv6Support', sources, []);
  const byDefault = enabledBy(datastoreSources({ ...configurations, scoped: [] }, '', {}));
  return ({ name, labels }) =>
    scoped.length === 0 && !byName.has(`node.${name}`)
      ? byDefault
      : enabledBy(datastoreSources(configurations, name, labels));
}

function resolveParameter<N extends ParameterName>(
  name: N,
  sources: readonly Source[],
  problems: Problem[],
): FelixParameters[N] {
  const parameter = PARAMETERS[name] as Parameter<FelixParameters[N]>;
  for (const { object, parameters, kind } of sources) {
    let text = parameters.get(name.toLowerCase());
    if (!text && kind !== 'local' && parameter.field !== undefined) text = parameters.get(parameter.field);
    // In every source, an empty value counts as unset.
    if (!text) continue;
    const isNone = text.toLowerCase() === 'none';
    if (isNone && 'zero' in parameter) return parameter.zero as FelixParameters[N];
    const parsed = isNone ? undefined : parameter.read(text);
    if (parsed) return parsed.value;
    problems.push({
      object,
      reason: 'InvalidParameter',
      message: `${name} is ${quoted(text)}, which is not ${parameter.read.expected}; the default (${describeValue(parameter.default)}) applies until you correct it`,
    });
    return parameter.default;
  }
  return parameter.default;
}

function describeValue(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'source' in value) return String(value.source);
  return Array.isArray(value) ? value.join(',') : String(value ?? 'none');
}

function environmentParameters(environment: ConfigInput['environment']): Map<string, string> {
  const parameters = new Map<string, string>();
  // Sort: if a name occurs in two letter cases, the same one must win every time.
  for (const key of Object.keys(environment).sort()) {
    const name = key.toLowerCase();
    const value = environment[key];
    if (name.startsWith('felix_') && value) parameters.set(name.slice('felix_'.length), value);
  }
  return parameters;
}

function datastoreSources(
  { byName, scoped }: ConfigurationIndex,
  nodeName: string,
  labels: ClusterNode['labels'],
): Source[] {
  const source = (configuration: FelixConfiguration | undefined, kind: Source['kind']): Source[] =>
    configuration
      ? [{ object: `FelixConfiguration/${configuration.name}`, parameters: configuration.parameters, kind }]
      : [];
  return [
    ...source(byName.get(`node.${nodeName}`), 'node'),
    ...source(scoped.find(({ selector }) => matches(selector, labels))?.configuration, 'selector'),
    ...source(byName.get('default'), 'default'),
  ];
}

/**
 * Indexes the FelixConfigurations and sorts selector-scoped ones by precedence: oldest first, then
 * by name.
 */
export function indexConfigurations(byName: ReadonlyMap<string, FelixConfiguration>): ConfigurationIndex {
  const scoped: { configuration: FelixConfiguration; selector: Selector }[] = [];
  const problems: Problem[] = [];
  for (const configuration of byName.values()) {
    const { name, nodeSelector } = configuration;
    if (name === 'default' || name.startsWith('node.')) continue;
    const object = `FelixConfiguration/${name}`;
    if (!nodeSelector?.trim()) {
      const message =
        'this FelixConfiguration is neither default nor node.<name> and has no nodeSelector, so it applies to no node; set nodeSelector';
      problems.push({ object, reason: 'MissingNodeSelector', message });
      continue;
    }
    const selector = parseSelector(nodeSelector);
    if ('error' in selector) {
      const message = `nodeSelector ${quoted(nodeSelector)} cannot be parsed and matches no node: ${selector.error}; correct it`;
      problems.push({ object, reason: 'InvalidSelector', message });
    } else scoped.push({ configuration, selector });
  }
  scoped.sort((a, b) => byAge(a.configuration, b.configuration));
  return { byName, scoped, problems };
}

function byAge(a: FelixConfiguration, b: FelixConfiguration): number {
  const [first, second] = [creationTime(a), creationTime(b)];
  if (first !== second) return first < second ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}

/** Returns the creation time in milliseconds; an unreadable one sorts as youngest. */
function creationTime({ creationTimestamp }: FelixConfiguration): number {
  const time = Date.parse(creationTimestamp ?? '');
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time;
}

/**
 * The configuration that counts on a node (docs/reference/calico-felix.md#precedence): each parameter for itself from its strongest source. Strongest first:
 * environment, configuration file, `node.<name>`, the oldest selector-scoped FelixConfiguration that matches, `default`, built in.
 *
 * A value that cannot be read does not make way for a weaker source: it becomes the built-in default, as in Felix, and a Problem.
 */
import type { ClusterNode, FelixConfiguration } from '../../model/cluster.ts';
import { type Problem, quoted } from '../../model/problem.ts';
import { parseFelixFile } from './felix-file.ts';
import { type FelixParameters, PARAMETER_NAMES, PARAMETERS, type Parameter, type ParameterName } from './parameters.ts';
import { matches, parseSelector, type Selector } from './selector.ts';

export interface ConfigInput {
  /** `FELIX_...` in any case; the rest is ignored. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The text of felix.cfg. */
  readonly file?: string | undefined;
  readonly configurations: Configurations;
  readonly nodeName: string;
  readonly labels: ClusterNode['labels'];
}

/** All of the datastore's, with what needs doing once and not for each node. */
export interface Configurations {
  readonly byName: ReadonlyMap<string, FelixConfiguration>;
  /** The first that matches counts, and it alone. */
  readonly scoped: readonly { readonly configuration: FelixConfiguration; readonly selector: Selector }[];
  readonly problems: readonly Problem[];
}

export interface FelixConfig {
  readonly parameters: FelixParameters;
  readonly problems: readonly Problem[];
  /** A family as `default` and what is local to the node say it, whatever `node.<name>` and selectors say. */
  readonly clusterEnabled: Readonly<Record<4 | 6, boolean>>;
}

/** One source of values. */
interface Source {
  readonly object: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly kind: 'local' | 'node' | 'selector' | 'default';
}

export function felixConfig(input: ConfigInput): FelixConfig {
  const file = parseFelixFile(input.file ?? '');
  const sources: Source[] = [
    { object: 'Environment', parameters: fromEnvironment(input.environment), kind: 'local' },
    { object: 'File/felix.cfg', parameters: file.parameters, kind: 'local' },
    ...fromDatastore(input.configurations, input.nodeName, input.labels),
  ];
  const problems: Problem[] = [...file.problems, ...input.configurations.problems];
  const parameters = Object.fromEntries(
    PARAMETER_NAMES.map(name => [name, effective(name, sources, problems)]),
  ) as unknown as FelixParameters;
  const cluster = sources.filter(({ kind }) => kind === 'local' || kind === 'default');
  // problems of these are problems of the above, or of a value that does not count there
  const enabled = (name: 'WireguardEnabled' | 'WireguardEnabledV6') => effective(name, cluster, []);
  const clusterEnabled = {
    4: enabled('WireguardEnabled'),
    6: enabled('WireguardEnabledV6') && parameters.Ipv6Support,
  };
  return { parameters, problems, clusterEnabled };
}

/** Whether WireGuard of a family is on in Felix's eyes. */
export function isEnabled(parameters: FelixParameters, family: 4 | 6): boolean {
  return family === 4 ? parameters.WireguardEnabled : parameters.WireguardEnabledV6 && parameters.Ipv6Support;
}

/** The same of nodes of which only the datastore's configuration can be seen. Most are told what all are told, which is found out once. */
export function enabledWhere(
  configurations: Configurations,
  family: 4 | 6,
): (node: Pick<ClusterNode, 'name' | 'labels'>) => boolean {
  const { byName, scoped } = configurations;
  const isOn = (sources: readonly Source[]): boolean =>
    family === 4
      ? effective('WireguardEnabled', sources, [])
      : effective('WireguardEnabledV6', sources, []) && effective('Ipv6Support', sources, []);
  const everywhere = isOn(fromDatastore({ ...configurations, scoped: [] }, '', {}));
  return ({ name, labels }) =>
    scoped.length === 0 && !byName.has(`node.${name}`) ? everywhere : isOn(fromDatastore(configurations, name, labels));
}

function effective<N extends ParameterName>(
  name: N,
  sources: readonly Source[],
  problems: Problem[],
): FelixParameters[N] {
  const parameter = PARAMETERS[name] as Parameter<FelixParameters[N]>;
  for (const { object, parameters, kind } of sources) {
    let text = parameters.get(name.toLowerCase());
    if (!text && kind !== 'local' && parameter.field !== undefined) text = parameters.get(parameter.field);
    // an empty one says nothing, in every source
    if (!text) continue;
    const none = text.toLowerCase() === 'none';
    if (none && 'zero' in parameter) return parameter.zero as FelixParameters[N];
    const read = none ? undefined : parameter.read(text);
    if (read) return read.value;
    problems.push({
      object,
      reason: 'InvalidParameter',
      message: `${name} is ${quoted(text)}, which is not ${parameter.read.expected}; the default counts instead (${shown(parameter.default)})`,
    });
    return parameter.default;
  }
  return parameter.default;
}

function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'source' in value) return String(value.source);
  return Array.isArray(value) ? value.join(',') : String(value ?? 'none');
}

function fromEnvironment(environment: ConfigInput['environment']): Map<string, string> {
  const found = new Map<string, string>();
  // sorted, so that of two spellings of a name always the same one counts
  for (const key of Object.keys(environment).sort()) {
    const name = key.toLowerCase();
    const value = environment[key];
    if (name.startsWith('felix_') && value) found.set(name.slice('felix_'.length), value);
  }
  return found;
}

function fromDatastore({ byName, scoped }: Configurations, nodeName: string, labels: ClusterNode['labels']): Source[] {
  const source = (found: FelixConfiguration | undefined, kind: Source['kind']): Source[] =>
    found ? [{ object: `FelixConfiguration/${found.name}`, parameters: found.parameters, kind }] : [];
  return [
    ...source(byName.get(`node.${nodeName}`), 'node'),
    ...source(scoped.find(({ selector }) => matches(selector, labels))?.configuration, 'selector'),
    ...source(byName.get('default'), 'default'),
  ];
}

/** Of several that match a node the oldest counts, of the same age the first by name. */
export function readConfigurations(byName: ReadonlyMap<string, FelixConfiguration>): Configurations {
  const scoped: { configuration: FelixConfiguration; selector: Selector }[] = [];
  const problems: Problem[] = [];
  for (const configuration of byName.values()) {
    const { name, nodeSelector } = configuration;
    if (name === 'default' || name.startsWith('node.')) continue;
    const object = `FelixConfiguration/${name}`;
    if (!nodeSelector?.trim()) {
      const message =
        'it is neither default nor node.<name> and has no nodeSelector, so that it counts nowhere; give it one';
      problems.push({ object, reason: 'MissingNodeSelector', message });
      continue;
    }
    const selector = parseSelector(nodeSelector);
    if ('error' in selector) {
      const message = `nodeSelector ${quoted(nodeSelector)} matches no node: ${selector.error}`;
      problems.push({ object, reason: 'InvalidSelector', message });
    } else scoped.push({ configuration, selector });
  }
  scoped.sort((a, b) => byAge(a.configuration, b.configuration));
  return { byName, scoped, problems };
}

function byAge(a: FelixConfiguration, b: FelixConfiguration): number {
  const [first, second] = [created(a), created(b)];
  if (first !== second) return first < second ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}

/** What has no readable age is the youngest. */
function created({ creationTimestamp }: FelixConfiguration): number {
  const time = Date.parse(creationTimestamp ?? '');
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time;
}

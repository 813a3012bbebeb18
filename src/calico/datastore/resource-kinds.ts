/**
 * Defines the kinds of objects that the agent reads, where the server has them, and how they are
 * parsed.
 */
import type { Cluster } from '../model/cluster.ts';
import { parseFelixConfiguration } from './parse/felix-configuration.ts';
import { parseIpPool } from './parse/ip-pool.ts';
import { parseIpamBlock } from './parse/ipam-block.ts';
import { parseNode } from './parse/node.ts';
import { parsePod } from './parse/pod.ts';
import { isFields, type Parsed } from './parse/reader.ts';

export const KINDS = ['Node', 'FelixConfiguration', 'IPPool', 'IPAMBlock', 'Pod'] as const;
export type Kind = (typeof KINDS)[number];

export interface KindInfo {
  readonly group: 'core' | 'calico';
  readonly plural: string;
  readonly namespaced: boolean;
  /** The map of the Cluster that holds the parsed objects. */
  readonly map: keyof Cluster;
  readonly parse: (object: unknown) => Parsed<unknown>;
}

export const KIND: Readonly<Record<Kind, KindInfo>> = {
  Node: { group: 'core', plural: 'nodes', namespaced: false, map: 'nodes', parse: parseNode },
  FelixConfiguration: {
    group: 'calico',
    plural: 'felixconfigurations',
    namespaced: false,
    map: 'felixConfigurations',
    parse: parseFelixConfiguration,
  },
  IPPool: { group: 'calico', plural: 'ippools', namespaced: false, map: 'ipPools', parse: parseIpPool },
  IPAMBlock: { group: 'calico', plural: 'ipamblocks', namespaced: false, map: 'ipamBlocks', parse: parseIpamBlock },
  Pod: { group: 'core', plural: 'pods', namespaced: true, map: 'pods', parse: parsePod },
};

/** The API groups that can hold Calico's objects (docs/reference/calico-felix.md#api-groups). */
export const CALICO_GROUPS = ['crd.projectcalico.org/v1', 'projectcalico.org/v3'] as const;
export type CalicoGroup = (typeof CALICO_GROUPS)[number];

/**
 * Returns an object's kind; undefined for kinds the agent does not read, which manifests often
 * contain.
 */
export function kindOf(object: unknown): Kind | undefined {
  if (!isFields(object)) return undefined;
  const { apiVersion, kind } = object;
  const found = KINDS.find(each => each === kind);
  if (!found) return undefined;
  const versions: readonly unknown[] = KIND[found].group === 'core' ? ['v1'] : CALICO_GROUPS;
  return versions.includes(apiVersion) ? found : undefined;
}

/** Returns an object's key in the Cluster's map; undefined if the object has no name. */
export function keyOf(kind: Kind, object: unknown): string | undefined {
  const metadata = isFields(object) && isFields(object['metadata']) ? object['metadata'] : {};
  const { name, namespace } = metadata;
  if (typeof name !== 'string' || name === '') return undefined;
  return KIND[kind].namespaced ? `${typeof namespace === 'string' ? namespace : ''}/${name}` : name;
}

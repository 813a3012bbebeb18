/** Builders of clusters for tests of the Calico agent; omitted parts are empty. */

import { formatAddress, parseAddress } from '../../src/base/address.ts';
import type { Family } from '../../src/base/family.ts';
import { formatKeyBase64 } from '../../src/base/key.ts';
import { formatPrefix, parsePrefix } from '../../src/base/prefix.ts';
import type {
  Cluster,
  ClusterNode,
  FelixConfiguration,
  IpamBlock,
  IpPool,
  PerFamily,
  Pod,
} from '../../src/calico/model/cluster.ts';
import type { Desired, DesiredTunnel } from '../../src/calico/model/desired.ts';
import { DEFAULT_OPTIONS, type PlanOptions } from '../../src/calico/plan/config/options.ts';
import type { Plan, PlanInput } from '../../src/calico/plan/input.ts';
import { plan } from '../../src/calico/plan/planner.ts';

export const address = (text: string): Uint8Array => parseAddress(text)!;
export const prefix = (text: string) => parsePrefix(text)!;
/** Returns a distinct key for each number. */
export const keyBytes = (number: number): Uint8Array => {
  const key = new Uint8Array(32).fill(0xa5);
  new DataView(key.buffer).setUint32(0, number);
  return key;
};
export const key = (number: number): string => formatKeyBase64(keyBytes(number));

type Texts = PerFamily<string> | undefined;
export interface NodeFields {
  readonly bgp?: Texts;
  readonly internal?: readonly string[];
  readonly external?: readonly string[];
  readonly key?: Texts;
  readonly wireguard?: Texts;
  readonly ipip?: string;
  readonly vxlan?: Texts;
  readonly podCidrs?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}

export function node(name: string, fields: NodeFields = {}): ClusterNode {
  return {
    name,
    labels: fields.labels ?? {},
    bgpAddress: addresses(fields.bgp),
    addresses: [
      ...(fields.internal ?? []).map(text => ({ type: 'InternalIP', address: address(text) }) as const),
      ...(fields.external ?? []).map(text => ({ type: 'ExternalIP', address: address(text) }) as const),
    ],
    publicKey: fields.key ?? {},
    wireguardAddress: addresses(fields.wireguard),
    ipipAddress: addresses(fields.ipip === undefined ? undefined : { 4: fields.ipip }),
    vxlanAddress: addresses(fields.vxlan),
    podCidrs: (fields.podCidrs ?? []).map(prefix),
    annotations: {},
  };
}

function addresses(texts: Texts): PerFamily<Uint8Array> {
  return Object.fromEntries(Object.entries(texts ?? {}).map(([family, text]) => [family, address(text)]));
}

/** @param borrowed addresses of other nodes, each `address node` */
export function block(cidr: string, owner: string | undefined, ...borrowed: readonly string[]): IpamBlock {
  return {
    name: cidr.replaceAll(/[.:/]/g, '-'),
    cidr: prefix(cidr),
    ...(owner !== undefined && { owner }),
    allocations: borrowed.map(each => {
      const [text, name] = each.split(' ') as [string, string];
      return { address: address(text), node: name };
    }),
  };
}

export function pod(name: string, on: string, ...texts: readonly string[]): Pod {
  return { namespace: 'default', name, node: on, addresses: texts.map(address) };
}

export function configuration(
  name: string,
  parameters: Readonly<Record<string, string | number | boolean>>,
  more: Partial<FelixConfiguration> = {},
): FelixConfiguration {
  const entries = Object.entries(parameters).map(([each, value]) => [each.toLowerCase(), String(value)] as const);
  return { name, parameters: new Map(entries), ...more };
}

export function pool(cidr: string, blockSize: number, more: Partial<IpPool> = {}): IpPool {
  const name = `pool-${cidr.replaceAll(/[.:/]/g, '-')}`;
  const rest = { disabled: false, terminating: false, nodeSelector: 'all()', allowedUses: [] };
  return { name, cidr: prefix(cidr), blockSize, ...rest, ...more };
}

/**
 * Contain every block of the tests that is not about pools. Their block sizes are the usual ones,
 * and blocks of other sizes are believed as well.
 */
const POOLS = [pool('10.0.0.0/8', 26), pool('fd00::/8', 122)];

export type ClusterObject = ClusterNode | IpamBlock | IpPool | Pod | FelixConfiguration;

export function cluster(...objects: readonly ClusterObject[]): Cluster {
  const nodes = new Map<string, ClusterNode>();
  const felixConfigurations = new Map<string, FelixConfiguration>();
  const ipamBlocks = new Map<string, IpamBlock>();
  const pods = new Map<string, Pod>();
  const pools = objects.filter(each => 'blockSize' in each);
  const ipPools = new Map((pools.length > 0 ? pools : POOLS).map(each => [each.name, each]));
  for (const each of objects) {
    if ('labels' in each) nodes.set(each.name, each);
    else if ('parameters' in each) felixConfigurations.set(each.name, each);
    else if ('blockSize' in each) continue;
    else if ('cidr' in each) ipamBlocks.set(each.name, each);
    else pods.set(`${each.namespace}/${each.name}`, each);
  }
  return { nodes, felixConfigurations, ipamBlocks, pods, ipPools };
}

export function input(
  of: Cluster,
  more: Partial<Omit<PlanInput, 'options'>> & { readonly options?: Partial<PlanOptions> } = {},
): PlanInput {
  return {
    cluster: of,
    nodeName: 'me',
    environment: {},
    facts: { links: [{ name: 'eth0', mtu: 1500, up: true }], aks: false },
    ownPublicKey: {},
    ...more,
    options: { ...DEFAULT_OPTIONS, ...more.options },
  };
}

export function planOf(of: Cluster, more: Parameters<typeof input>[1] = {}): Plan {
  return plan(input(of, more));
}

/** Returns routes such as `10.0.0.0/26 tunnel`, sorted by text. */
export function routesOf(desired: Desired, family: Family): readonly string[] {
  return [...tunnelOf(desired, family).routes]
    .map(([text, { destination, kind }]) => {
      if (formatPrefix(destination) !== text) throw new Error(`${text} leads to ${formatPrefix(destination)}`);
      return `${text} ${kind}`;
    })
    .sort();
}

/** Returns each peer's node, endpoint and allowed IPs. */
export function peersOf(desired: Desired, family: Family): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...tunnelOf(desired, family).peers].map(([text, each]) => {
      if (formatKeyBase64(each.publicKey) !== text) throw new Error(`${text} is not the key of ${each.node}`);
      const allowed = each.allowedIps.map(formatPrefix).join(' ');
      return [each.node, `${formatAddress(each.endpointAddress)} ${each.endpointPort} ${allowed}`.trim()];
    }),
  );
}

export function tunnelOf({ tunnels }: Desired, family: Family): DesiredTunnel {
  const tunnel = tunnels[family];
  if (!tunnel) throw new Error(`no tunnel for IPv${family}`);
  return tunnel;
}

/** Returns problems such as `Node/a InvalidPublicKey`. */
export function reasonsOf({ problems }: Pick<Plan, 'problems'>): readonly string[] {
  return problems.map(({ object, reason }) => `${object} ${reason}`);
}

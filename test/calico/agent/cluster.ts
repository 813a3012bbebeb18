/** Clusters for tests of the agent: nodes with keys, a FelixConfiguration, pools, pods. */
import { parseAddress } from '../../../src/base/address.ts';
import { formatKeyBase64 } from '../../../src/base/key.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import { ADDRESS_ANNOTATION, KEY_ANNOTATION } from '../../../src/calico/model/annotations.ts';
import { type Cluster, type ClusterNode, EMPTY_CLUSTER } from '../../../src/calico/model/cluster.ts';

/** The public key of node `number`. */
export function keyOf(number: number): Uint8Array {
  return new Uint8Array(32).fill(number);
}

export function keyText(number: number): string {
  return formatKeyBase64(keyOf(number));
}

/** A node as the datastore would parse it from these annotations. */
export function node(number: number, annotations: Readonly<Record<string, string>> = {}): ClusterNode {
  const [v4, v6] = [annotations[KEY_ANNOTATION[4]], annotations[KEY_ANNOTATION[6]]];
  const [a4, a6] = [annotations[ADDRESS_ANNOTATION[4]], annotations[ADDRESS_ANNOTATION[6]]];
  return {
    name: `n${number}`,
    labels: {},
    bgpAddress: { 4: parseAddress(`10.0.0.${number}`)!, 6: parseAddress(`fd00::${number}`)! },
    addresses: [],
    publicKey: { ...(v4 && { 4: v4 }), ...(v6 && { 6: v6 }) },
    wireguardAddress: { ...(a4 && { 4: parseAddress(a4)! }), ...(a6 && { 6: parseAddress(a6)! }) },
    ipipAddress: {},
    vxlanAddress: {},
    podCidrs: [],
    annotations,
  };
}

export function felix(parameters: Readonly<Record<string, string>>): Cluster['felixConfigurations'] {
  return new Map([['default', { name: 'default', parameters: new Map(Object.entries(parameters)) }]]);
}

export function pool(name: string, cidr: string): Cluster['ipPools'] {
  const one = { name, cidr: parsePrefix(cidr)!, blockSize: 26, disabled: false, terminating: false };
  return new Map([[name, { ...one, nodeSelector: 'all()', allowedUses: [] }]]);
}

/** A block owned by n1, in which n1 has one address. */
export function blockWith(address: string): Cluster['ipamBlocks'] {
  const cidr = parsePrefix('192.168.1.0/26')!;
  const allocations = [{ address: parseAddress(address)!, node: 'n1', type: 'wireguardTunnelAddress' }];
  return new Map([['192-168-1-0-26', { name: '192-168-1-0-26', cidr, owner: 'n1', allocations }]]);
}

export function clusterOf(nodes: readonly ClusterNode[], more: Partial<Cluster> = {}): Cluster {
  return { ...EMPTY_CLUSTER, nodes: new Map(nodes.map(each => [each.name, each])), ...more };
}

/**
 * Derives a node's addresses from its Kubernetes Node as Calico does
 * (docs/reference/calico-felix.md#nodes-read, #peer-settings).
 */
import { type Family, familyOfAddress } from '../../../base/family.ts';
import type { ClusterNode, NodeAddress } from '../../model/cluster.ts';

/**
 * Returns the endpoint address of a node's tunnel: its BGP address or, if it has none, the first
 * InternalIP or else ExternalIP of the family. A BGP address without a prefix length is not an
 * endpoint, and neither fallback replaces it.
 */
export function nodeAddress({ bgpAddress, bgpLength, addresses }: ClusterNode, family: Family): Uint8Array | undefined {
  if (bgpAddress[family] && bgpLength && bgpLength[family] === undefined) return undefined;
  const first = (type: NodeAddress['type']) =>
    addresses.find(each => each.type === type && familyOfAddress(each.address) === family)?.address;
  const endpoint = bgpAddress[family] ?? first('InternalIP') ?? first('ExternalIP');
  return endpoint && isZero(endpoint) ? undefined : endpoint;
}

/** Returns the distinct addresses of the node itself: BGP addresses and those in its status. */
export function hostAddresses({ bgpAddress, addresses }: ClusterNode): readonly Uint8Array[] {
  return distinct([bgpAddress[4], bgpAddress[6], ...addresses.map(({ address }) => address)]);
}

/**
 * Returns the address of a node's WireGuard device. Host-local IPAM ignores the annotation: as soon
 * as the node publishes a key, the address is the second one in its podCIDR.
 */
export function wireguardAddress(node: ClusterNode, family: Family, usePodCidr: boolean): Uint8Array | undefined {
  if (!usePodCidr || node.podCidrs.length === 0) return node.wireguardAddress[family];
  return family === 4 && node.publicKey[4] ? fromPodCidr(node) : undefined;
}

/** Returns the distinct addresses of a node's WireGuard, IPIP and VXLAN devices. */
export function tunnelAddresses(node: ClusterNode, usePodCidr: boolean): readonly Uint8Array[] {
  const ipip = usePodCidr && node.podCidrs.length > 0 ? fromPodCidr(node) : node.ipipAddress[4];
  const all = [
    wireguardAddress(node, 4, usePodCidr),
    wireguardAddress(node, 6, usePodCidr),
    ipip,
    node.ipipAddress[6],
    node.vxlanAddress[4],
    node.vxlanAddress[6],
  ];
  return distinct(all);
}

/** Returns whether the address is the unspecified one, `0.0.0.0` or `::`. */
function isZero(address: Uint8Array): boolean {
  return address.every(byte => byte === 0);
}

/** Returns the second address of an IPv4 podCIDR. Like Calico, it increments only the last byte. */
function fromPodCidr({ podCidrs, podCidrAddress }: ClusterNode): Uint8Array | undefined {
  const first = podCidrAddress ?? podCidrs[0]?.address;
  if (first?.length !== 4) return undefined;
  const address = first.slice();
  address[3]!++; // wraps to 0
  return address;
}

function distinct(all: readonly (Uint8Array | undefined)[]): readonly Uint8Array[] {
  return [...new Map(all.flatMap(each => (each ? [[each.join(), each]] : []))).values()];
}

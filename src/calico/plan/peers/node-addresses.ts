/**
 * Derives a node's addresses from its Kubernetes Node as Calico does
 * (docs/reference/calico-felix.md#nodes-read, #peer-settings).
 */
import { type Family, familyOfAddress } from '../../../base/family.ts';
import type { ClusterNode, NodeAddress } from '../../model/cluster.ts';

/**
 * Returns the endpoint address of a node's tunnel: the node's BGP address; without one, its first
 * InternalIP of the family; without that, its first ExternalIP. A BGP address without a prefix
 * length is not an endpoint, and no other address replaces it.
 */
export function nodeAddress({ bgpAddress, bgpLength, addresses }: ClusterNode, family: Family): Uint8Array | undefined {
  if (bgpAddress[family] && bgpLength && bgpLength[family] === undefined) return undefined;
  const first = (type: NodeAddress['type']) =>
    addresses.find(each => each.type === type && familyOfAddress(each.address) === family)?.address;
  const endpoint = bgpAddress[family] ?? first('InternalIP') ?? first('ExternalIP');
  return endpoint && isZero(endpoint) ? undefined : endpoint;
}

/** Returns the node's own addresses without duplicates: BGP addresses and those in its status. */
export function hostAddresses({ bgpAddress, addresses }: ClusterNode): readonly Uint8Array[] {
  return distinct([bgpAddress[4], bgpAddress[6], ...addresses.map(({ address }) => address)]);
}

/**
 * Returns the address of a node's WireGuard device. With host-local IPAM, the tunnel-address
 * annotation is ignored. The IPv4 address is the second one of the podCIDR, once the node publishes
 * a key.
 */
export function wireguardAddress(node: ClusterNode, family: Family, usePodCidr: boolean): Uint8Array | undefined {
  if (!usePodCidr || node.podCidrs.length === 0) return node.wireguardAddress[family];
  return family === 4 && node.publicKey[4] ? fromPodCidr(node) : undefined;
}

/** Returns the addresses of a node's WireGuard, IPIP and VXLAN devices, without duplicates. */
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

/** Returns whether the address is unspecified: `0.0.0.0` or `::`. */
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

/** The addresses of a node, as Calico makes them out of a Kubernetes Node (docs/reference/calico-felix.md#nodes-read, #peer-settings). */
import { type Family, familyOfAddress } from '../../../base/family.ts';
import type { ClusterNode, NodeAddress } from '../../model/cluster.ts';

/** Where its tunnel is spoken to: the BGP address if it has a prefix length, else, without one, the first internal or external one of the family. */
export function nodeAddress({ bgpAddress, bgpLength, addresses }: ClusterNode, family: Family): Uint8Array | undefined {
  if (bgpAddress[family] && bgpLength && bgpLength[family] === undefined) return undefined;
  const first = (type: NodeAddress['type']) =>
    addresses.find(each => each.type === type && familyOfAddress(each.address) === family)?.address;
  const found = bgpAddress[family] ?? first('InternalIP') ?? first('ExternalIP');
  return found && isZero(found) ? undefined : found;
}

/** Its own addresses, each once: BGP's and those of its status. */
export function hostAddresses({ bgpAddress, addresses }: ClusterNode): readonly Uint8Array[] {
  return distinct([bgpAddress[4], bgpAddress[6], ...addresses.map(({ address }) => address)]);
}

/** Of its WireGuard device. With host-local IPAM the annotation does not count: it is the podCIDR's second address, once there is a key. */
export function wireguardAddress(node: ClusterNode, family: Family, usePodCidr: boolean): Uint8Array | undefined {
  if (!usePodCidr || node.podCidrs.length === 0) return node.wireguardAddress[family];
  return family === 4 && node.publicKey[4] ? fromPodCidr(node) : undefined;
}

/** Of WireGuard, IPIP and VXLAN; they may be the same. */
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

/** `0.0.0.0` and `::` are nobody's. */
export function isZero(address: Uint8Array): boolean {
  return address.every(byte => byte === 0);
}

/** The one after the first, where that is of IPv4. As in Calico only its last byte counts on. */
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

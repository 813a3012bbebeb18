/**
 * Names of Calico's Node annotations that affect the tunnel
 * (docs/reference/calico-felix.md#node-annotations).
 */
import type { Family } from '../../base/family.ts';

type Names = Readonly<Record<Family, string>>;
const DOMAIN = 'projectcalico.org/';

/** The node's public key, which the agent publishes. */
export const KEY_ANNOTATION = { 4: `${DOMAIN}WireguardPublicKey`, 6: `${DOMAIN}WireguardPublicKeyV6` } satisfies Names;
/** The address of the WireGuard device. */
export const ADDRESS_ANNOTATION = {
  4: `${DOMAIN}IPv4WireguardInterfaceAddr`,
  6: `${DOMAIN}IPv6WireguardInterfaceAddr`,
} satisfies Names;
/** The node's own address with its prefix length: the endpoint of its tunnel. */
export const NODE_ANNOTATION = { 4: `${DOMAIN}IPv4Address`, 6: `${DOMAIN}IPv6Address` } satisfies Names;
export const IPIP_ANNOTATION = { 4: `${DOMAIN}IPv4IPIPTunnelAddr` };
export const VXLAN_ANNOTATION = {
  4: `${DOMAIN}IPv4VXLANTunnelAddr`,
  6: `${DOMAIN}IPv6VXLANTunnelAddr`,
} satisfies Names;
/** JSON of the labels that calicoctl sets in addition to Kubernetes' own. */
export const LABELS_ANNOTATION = `${DOMAIN}labels`;

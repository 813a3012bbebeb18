/** Calico's annotations of a Kubernetes Node that bear on the tunnel (docs/reference/calico-felix.md#node-annotations). */
import type { Family } from '../../base/family.ts';

type Names = Readonly<Record<Family, string>>;
const DOMAIN = 'projectcalico.org/';

/** The public key: the one thing that the agent itself publishes. */
export const KEY_ANNOTATION = { 4: `${DOMAIN}WireguardPublicKey`, 6: `${DOMAIN}WireguardPublicKeyV6` } satisfies Names;
/** Of the WireGuard device. */
export const ADDRESS_ANNOTATION = {
  4: `${DOMAIN}IPv4WireguardInterfaceAddr`,
  6: `${DOMAIN}IPv6WireguardInterfaceAddr`,
} satisfies Names;
/** The node's own, with its prefix length: where its tunnel is spoken to. */
export const NODE_ANNOTATION = { 4: `${DOMAIN}IPv4Address`, 6: `${DOMAIN}IPv6Address` } satisfies Names;
export const IPIP_ANNOTATION = { 4: `${DOMAIN}IPv4IPIPTunnelAddr` };
export const VXLAN_ANNOTATION = {
  4: `${DOMAIN}IPv4VXLANTunnelAddr`,
  6: `${DOMAIN}IPv6VXLANTunnelAddr`,
} satisfies Names;
/** JSON: the labels that calicoctl sets, beside Kubernetes' own. */
export const LABELS_ANNOTATION = `${DOMAIN}labels`;

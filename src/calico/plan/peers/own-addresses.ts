/**
 * Recognises endpoints that lead back to this node. A packet sent to such an endpoint would return
 * to us or reach every host of our network.
 */
import type { ClusterNode } from '../../model/cluster.ts';
import { quoted } from '../../model/problem.ts';
import { hostAddresses, tunnelAddresses } from './node-addresses.ts';
import { isBroadcast } from './reserved-addresses.ts';

/**
 * Describes an address that belongs to the node or is its network's broadcast address; returns
 * undefined for any other address. `text` is the address's bytes joined by commas, which callers
 * cache for repeated checks.
 */
export type OwnAddressCheck = (address: Uint8Array, text: string) => string | undefined;

/** Returns the check for one node. */
export function ownAddressCheck(own: ClusterNode, usePodCidr: boolean): OwnAddressCheck {
  const all = new Set([...hostAddresses(own), ...tunnelAddresses(own, usePodCidr)].map(each => each.join()));
  const { bgpAddress, bgpLength } = own;
  return (address, text) => {
    if (all.has(text)) return `an address of node ${quoted(own.name)} itself`;
    const [network, length] = [bgpAddress[4], bgpLength?.[4]];
    const isNetworkBroadcast = network && length !== undefined && isBroadcast(address, network, length);
    return isNetworkBroadcast ? `the broadcast address of the network of node ${quoted(own.name)}` : undefined;
  };
}

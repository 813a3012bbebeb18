/** Whether an endpoint is this node itself: what is sent there would come back, or be heard by all in its network. */
import type { ClusterNode } from '../../model/cluster.ts';
import { quoted } from '../../model/problem.ts';
import { hostAddresses, tunnelAddresses } from './node-addresses.ts';
import { isBroadcast } from './reserved-addresses.ts';

export type OwnAddressCheck = (address: Uint8Array, text: string) => string | undefined;

/** @returns what says what an address of this node is, by its bytes and these as text; undefined for one that is another's */
export function ownAddressCheck(own: ClusterNode, usePodCidr: boolean): OwnAddressCheck {
  const all = new Set([...hostAddresses(own), ...tunnelAddresses(own, usePodCidr)].map(each => each.join()));
  const { bgpAddress, bgpLength } = own;
  return (address, text) => {
    if (all.has(text)) return `an address of node ${quoted(own.name)} itself`;
    const [network, length] = [bgpAddress[4], bgpLength?.[4]];
    const isHeardByAll = network && length !== undefined && isBroadcast(address, network, length);
    return isHeardByAll ? `the broadcast address of the network of node ${quoted(own.name)}` : undefined;
  };
}

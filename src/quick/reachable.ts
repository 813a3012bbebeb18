/** Selects the addresses to which the host has a route. */
import { NetlinkError } from '../netlink/errors.ts';
import type { Network } from '../netlink/network.ts';
import { endpointAddress } from './endpoint-address.ts';

/**
 * Returns the endpoints to which there is a route, in their order. If an address family is disabled
 * or has no default route, its endpoints are left out.
 * @param mark mark of encrypted packets; 0 for no mark
 * @param own index of the interface of these peers; a route through that interface does not count
 */
export async function reachable(
  network: Network,
  endpoints: readonly Uint8Array[],
  mark: number,
  own: number | undefined,
): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for (const endpoint of endpoints) {
    const { address, scope } = endpointAddress(endpoint);
    try {
      const { link } = await network.routes.lookup(address, { ...(mark && { mark }), ...(scope && { link: scope }) });
      if (link === undefined || link !== own) found.push(endpoint);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
    }
  }
  return found;
}

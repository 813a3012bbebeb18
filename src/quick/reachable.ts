/** Selects the addresses that the host has a route to. */
import { NetlinkError } from '../netlink/errors.ts';
import type { Network } from '../netlink/network.ts';
import { endpointAddress } from './endpoint-address.ts';

/**
 * Returns the endpoints with a route, in their order. An address family that is disabled or has no
 * default route has none.
 * @param mark of encrypted packets, 0 for none
 * @param own index of the interface of these peers: a route through itself does not count
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

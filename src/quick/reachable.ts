/** Which of several addresses there is a way to now: the others are not worth a try. */
import { NetlinkError } from '../netlink/errors.ts';
import type { Network } from '../netlink/network.ts';
import { endpointAddress } from './endpoint-address.ts';

/**
 * The endpoints that the host has a route to, in their order: of a family that is off, or has no default route, there is none.
 * @param mark of encrypted packets, 0 for none
 * @param own index of the interface whose peers these are: a way through itself is none
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

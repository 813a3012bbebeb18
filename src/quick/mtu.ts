/**
 * Chooses the MTU for an interface if its file has none: the smallest MTU of the paths to its
 * peers, minus WireGuard's overhead. (Until 2024, wg-quick took the largest MTU, so packets to all
 * other peers were fragmented.)
 */
import type { DeviceConfig } from '../config/model.ts';
import { NetlinkError } from '../netlink/errors.ts';
import type { Network } from '../netlink/network.ts';
import { ROUTE_TYPE, type Route, TABLE } from '../netlink/route.ts';
import { endpointAddress } from './endpoint-address.ts';
import type { QuickFile } from './file.ts';
import { problem } from './problem.ts';

export interface MtuQuestion {
  readonly endpoints: readonly Uint8Array[];
  /** Mark of encrypted packets, so that the lookup does not choose the tunnel itself. */
  readonly mark: number;
  /** Index of the interface, if it exists. A path through the interface itself is ignored. */
  readonly link: number | undefined;
  /** Whether the file names a peer whose address is not known yet. Its path is unknown too. */
  readonly more: boolean;
}

/** Overhead of an encrypted packet: IPv6 and UDP headers, WireGuard's header and tag. */
const OVERHEAD = 80;
const DEFAULT_MTU = 1500;
const SMALLEST_MTU = 68;
const SMALLEST_IPV6_MTU = 1280;

/**
 * Returns the smallest MTU of the paths to the endpoints, minus the overhead. If no path is known,
 * uses the default route, or 1500 without a default route.
 */
export async function findMtu(network: Network, question: MtuQuestion): Promise<number> {
  const { endpoints, more } = question;
  const known: number[] = [];
  for (const endpoint of endpoints) known.push(...(await mtuTo(network, endpoint, question)));
  if (more || known.length === 0) known.push(...(await defaultMtu(network, question)));
  return Math.max(SMALLEST_MTU, (known.length > 0 ? Math.min(...known) : DEFAULT_MTU) - OVERHEAD);
}

/**
 * Returns the MTU to set. The kernel has no IPv6 on links with an MTU below 1280 and would only
 * report "no such device". If the paths allow less, 1280 is used and encrypted packets may be
 * fragmented; if the file itself asks for less, it is rejected.
 * @param wanted undefined if IPv6 is disabled
 * @param found the result of findMtu
 * @throws Error with `code` EMTU
 */
export function chooseMtu(
  file: QuickFile,
  wanted: DeviceConfig | undefined,
  found: number,
  warn: (text: string) => void,
): number {
  const { path, addresses } = file;
  const mtu = file.mtu ?? found;
  if (!wanted) return mtu;
  const prefixes = (wanted.peers ?? []).flatMap(({ allowedIps = [] }) => allowedIps.map(({ prefix }) => prefix));
  if (mtu >= SMALLEST_IPV6_MTU || [...addresses, ...prefixes].every(({ address }) => address.length === 4)) return mtu;
  if (file.mtu !== undefined)
    throw problem(
      'EMTU',
      `${path}: MTU ${mtu} is too small for IPv6, which needs ${SMALLEST_IPV6_MTU}: set MTU to that or more, or take IPv6 out of the file`,
    );
  warn(
    `the path to a peer allows an MTU of ${mtu}, but IPv6 needs ${SMALLEST_IPV6_MTU}, which is used: encrypted packets may be fragmented (take IPv6 out of the file to avoid that)`,
  );
  return SMALLEST_IPV6_MTU;
}

/**
 * Returns the MTUs on the path to an endpoint. @returns an empty list if there is no path at
 * present
 */
async function mtuTo(network: Network, endpoint: Uint8Array, { mark, link }: MtuQuestion): Promise<number[]> {
  const { address, scope } = endpointAddress(endpoint);
  try {
    const route = await network.routes.lookup(address, { ...(mark && { mark }), ...(scope && { link: scope }) });
    return await mtuOf(network, route, link);
  } catch (error) {
    if (error instanceof NetlinkError) return [];
    throw error;
  }
}

/** Returns the MTUs of the best default route. IPv4 is tried first. */
async function defaultMtu(network: Network, { link }: MtuQuestion): Promise<number[]> {
  for (const family of [4, 6] as const) {
    const routes = (await network.routes.list({ family, table: TABLE.main }))
      .filter(({ destination, type }) => destination.length === 0 && type === ROUTE_TYPE.unicast)
      .sort((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
    for (const route of routes) {
      const known = await mtuOf(network, route, link);
      if (known.length > 0) return known;
    }
  }
  return [];
}

/**
 * Returns the MTU of a route: its own, limited by the MTUs of its links. Any link of a multipath
 * route may carry the packet.
 */
async function mtuOf(network: Network, route: Route, own: number | undefined): Promise<number[]> {
  const indexes = route.link === undefined ? (route.hops ?? []).flatMap(({ link }) => link ?? []) : [route.link];
  if (own !== undefined && indexes.includes(own)) return [];
  const mtus: number[] = [];
  for (const index of indexes) {
    const link = await network.links.find(index);
    if (link) mtus.push(link.mtu);
  }
  return route.mtu === undefined ? mtus : [Math.min(route.mtu, ...mtus)];
}

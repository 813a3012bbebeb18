/**
 * The MTU for an interface whose file has none: what the narrowest of the ways to its peers carries, less what WireGuard adds. (wg-quick took the
 * widest until 2024; packets for all other peers then went in fragments.)
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
  /** Of encrypted packets, so that they do not seem to go through the tunnel itself. */
  readonly mark: number;
  /** The interface's index, if it is there: a way through itself says nothing. */
  readonly link: number | undefined;
  /** The file names a peer whose address is not known yet: it may be anywhere. */
  readonly more: boolean;
}

/** What an encrypted packet has on top: IPv6, UDP, WireGuard's header and tag. */
const OVERHEAD = 80;
const DEFAULT_MTU = 1500;
const SMALLEST_MTU = 68;
const SMALLEST_IPV6_MTU = 1280;

/** The smallest MTU of the ways to the endpoints; where none is known, that of the default route; 1500 without one. Less the overhead. */
export async function findMtu(network: Network, question: MtuQuestion): Promise<number> {
  const { endpoints, more } = question;
  const known: number[] = [];
  for (const endpoint of endpoints) known.push(...(await mtuTo(network, endpoint, question)));
  if (more || known.length === 0) known.push(...(await defaultMtu(network, question)));
  return Math.max(SMALLEST_MTU, (known.length > 0 ? Math.min(...known) : DEFAULT_MTU) - OVERHEAD);
}

/**
 * The MTU to set. The kernel has no IPv6 on what is narrower than 1280, and would say only that there is no such device: a way that is too narrow
 * for that gets fragments; a file that asks for less is refused.
 * @param wanted undefined where IPv6 is switched off
 * @param found by findMtu
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
    `the way to a peer has room for an MTU of ${mtu}, but IPv6 needs ${SMALLEST_IPV6_MTU}: taking that, encrypted packets may go in fragments (take IPv6 out of the file to avoid it)`,
  );
  return SMALLEST_IPV6_MTU;
}

/** @returns none where there is no way there now */
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

/** Of the best default route, IPv4's if there is one. */
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

/** The route's own MTU, as far as its links have it; of several links any may be taken. */
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

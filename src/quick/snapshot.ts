/** What the kernel has now, as far as it matters for one interface. Read before every plan; a plan looks at nothing else. */
import { ENDPOINT_ADDRESS, ENDPOINT_FAMILY, ENDPOINT_SCOPE } from '../base/endpoint.ts';
import type { DeviceStatus } from '../config/model.ts';
import type { InterfaceAddress } from '../netlink/addresses.ts';
import { isRefusal, NetlinkError } from '../netlink/errors.ts';
import type { Link } from '../netlink/links.ts';
import type { Network } from '../netlink/network.ts';
import type { Route } from '../netlink/route.ts';
import type { Rule } from '../netlink/rules.ts';
import type { QuickHost } from './ports.ts';

export interface Snapshot {
  readonly link?: Link;
  /** Absent too where nobody answers for the link. */
  readonly status?: DeviceStatus;
  readonly addresses: readonly InterfaceAddress[];
  /** By this link, of all tables. */
  readonly routes: readonly Route[];
  readonly rules: readonly Rule[];
  readonly markValid?: string;
}

export async function readSnapshot(host: QuickHost, name: string): Promise<Snapshot> {
  const { network, devices } = host;
  const markValid = host.readMarkValid();
  const rules = await network.rules.list();
  const link = await network.links.find(name);
  const common = { rules, ...(markValid !== undefined && { markValid }) };
  if (!link) return { ...common, addresses: [], routes: [] };
  try {
    const status = await devices.status(name);
    const addresses = await network.addresses.list(link);
    const routes = await network.routes.list({ link: link.index });
    return { ...common, link, ...(status && { status }), addresses, routes };
  } catch (error) {
    // its process ended, or somebody removed it, since it was found
    if (!isRefusal(error, 'ENODEV') || (await network.links.find(name))?.index === link.index) throw error;
    return { ...common, addresses: [], routes: [] };
  }
}

/** The first table from here up in which no other link has routes. */
export async function freeTable(network: Network, from: number, link?: Link): Promise<number> {
  for (let table = from; ; table++) {
    const routes = await network.routes.list({ table });
    if (routes.every(route => link !== undefined && route.link === link.index)) return table;
  }
}

/** What an encrypted packet has on top: IPv6, UDP, WireGuard's header and tag. */
const OVERHEAD = 80;
const DEFAULT_MTU = 1500;
const ANYWHERE = { address: new Uint8Array(4), length: 0 };

/**
 * The MTU for the interface: the largest of the ways to the endpoints, or that of the default route, less what WireGuard adds.
 * @param mark of encrypted packets, so that they do not seem to go through the tunnel itself
 */
export async function findMtu(network: Network, endpoints: readonly Uint8Array[], mark: number): Promise<number> {
  let largest = 0;
  for (const endpoint of endpoints) largest = Math.max(largest, (await mtuTo(network, endpoint, mark)) ?? 0);
  return (largest || (await defaultMtu(network)) || DEFAULT_MTU) - OVERHEAD;
}

async function mtuTo(network: Network, endpoint: Uint8Array, mark: number): Promise<number | undefined> {
  const size = endpoint[ENDPOINT_FAMILY] === 4 ? 4 : 16;
  const address = endpoint.slice(ENDPOINT_ADDRESS, ENDPOINT_ADDRESS + size);
  const scope = new DataView(endpoint.buffer, endpoint.byteOffset).getUint32(ENDPOINT_SCOPE, true);
  try {
    const route = await network.routes.lookup(address, { ...(mark && { mark }), ...(scope && { link: scope }) });
    return await mtuOf(network, route);
  } catch (error) {
    // there is no way there now
    if (error instanceof NetlinkError) return undefined;
    throw error;
  }
}

async function defaultMtu(network: Network): Promise<number | undefined> {
  const routes = (await network.routes.list({ family: 4, table: 254 }))
    .filter(({ destination }) => destination.length === ANYWHERE.length)
    .sort((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
  return routes[0] && mtuOf(network, routes[0]);
}

async function mtuOf(network: Network, { mtu, link, hops }: Route): Promise<number | undefined> {
  const index = link ?? hops?.[0]?.link;
  return mtu ?? (index === undefined ? undefined : (await network.links.find(index))?.mtu);
}

/**
 * Finds the links on which the kernel's reverse path filter drops the peers' answers if
 * src_valid_mark cannot be set.
 */
import { NetlinkError } from '../netlink/errors.ts';
import { LINK_LOOPBACK } from '../netlink/links.ts';
import { ROUTE_TYPE, type Route, TABLE } from '../netlink/route.ts';
import { endpointAddress } from './endpoint-address.ts';
import type { QuickHost } from './ports.ts';

/**
 * Returns the links that receive the peers' answers and drop them without src_valid_mark. On these
 * links the reverse path filter is strict: it looks up the path back to the sender, and without the
 * mark, that path is the tunnel.
 */
export async function strictUplinks(
  { network, readSysctl }: QuickHost,
  endpoints: readonly Uint8Array[],
  mark: number,
  own: string,
): Promise<string[]> {
  const number = (link: string, setting: string) => Number(readSysctl(`net/ipv4/conf/${link}/${setting}`) ?? 0);
  const strict = (await network.links.list()).filter(
    ({ name, flags }) =>
      name !== own &&
      !(flags & LINK_LOOPBACK) &&
      Math.max(number('all', 'rp_filter'), number(name, 'rp_filter')) === STRICT &&
      number(name, 'src_valid_mark') === 0,
  );
  if (strict.length === 0) return [];
  const ways = (await network.routes.list({ family: 4, table: TABLE.main })).filter(
    ({ destination, type }) => destination.length === 0 && type === ROUTE_TYPE.unicast,
  );
  for (const endpoint of endpoints) {
    const { address, scope } = endpointAddress(endpoint);
    if (address.length !== 4) continue;
    try {
      ways.push(await network.routes.lookup(address, { mark, ...(scope && { link: scope }) }));
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
    }
  }
  const used = new Set(ways.flatMap(linksOf));
  return strict.filter(({ index }) => used.size === 0 || used.has(index)).map(({ name }) => name);
}

/** The value of a strict rp_filter; 2 is loose. */
const STRICT = 1;

function linksOf({ link, hops = [] }: Route): number[] {
  return link === undefined ? hops.flatMap(hop => hop.link ?? []) : [link];
}

/**
 * What a machine, and a container above all, allows to an interface: which mark is free of others' bits, whether there is IPv6, and where the
 * kernel drops the peers' answers if src_valid_mark cannot be set.
 */
import type { DeviceConfig, PeerConfig } from '../config/model.ts';
import { NetlinkError } from '../netlink/errors.ts';
import { LINK_LOOPBACK, type Link } from '../netlink/links.ts';
import { ROUTE_TYPE, type Route, TABLE } from '../netlink/route.ts';
import { endpointAddress } from './endpoint-address.ts';
import type { QuickFile } from './file.ts';
import type { QuickHost } from './ports.ts';
import { problem } from './problem.ts';
import { policyFamilies } from './routing.ts';
import type { Snapshot } from './snapshot.ts';
import type { QuickState } from './state.ts';

/** wg-quick's number for the mark and the table of a default route. */
const FIRST_MARK = 51820;
/** kube-proxy's bits: what has the first is dropped, what has the second masqueraded. Felix, Cilium and Tailscale have bits above and below 0x3000. */
const KUBERNETES_BITS = 0xc000;
const FIRST_KUBERNETES_MARK = 0x3000;

/**
 * The mark of encrypted packets, which is the number of the default routes' table too. A file's own stands; otherwise the first whose table no other
 * link uses, from that of before or 51820 on; 51820 has kube-proxy's bits, so where that is, from 0x3000 on.
 */
export async function chooseMark(
  host: QuickHost,
  file: QuickFile,
  wanted: DeviceConfig,
  now: Snapshot,
  before: QuickState | undefined,
): Promise<number> {
  const { fwmark, peers = [] } = wanted;
  const old = before?.policy?.table;
  const kubernetes = policyFamilies(file, peers).length > 0 ? await host.findKubernetes() : undefined;
  if (fwmark) {
    if (kubernetes !== undefined && hasKubernetesBits(fwmark))
      host.warn(
        `FwMark ${hex(fwmark)} has bits of kube-proxy's (${kubernetes}): ${WHAT_IT_DOES}; a mark such as 0x3000 has none`,
      );
    return fwmark;
  }
  const avoid = kubernetes !== undefined;
  const first = avoid ? FIRST_KUBERNETES_MARK : FIRST_MARK;
  const mark = await freeTable(
    host,
    old === undefined || (avoid && hasKubernetesBits(old)) ? first : old,
    avoid,
    now.link,
  );
  if (avoid && mark !== old)
    host.say(
      `mark ${hex(mark)} instead of ${hex(FIRST_MARK)}: here is kube-proxy (${kubernetes}), and ${WHAT_IT_DOES}`,
    );
  return mark;
}

const WHAT_IT_DOES = 'what is marked with 0x8000 it drops, with 0x4000 it masquerades';

/** Where a family that the file asks for cannot be had: that of IPv6 addresses and routes. Of the device's own configuration nothing is taken. */
export async function lacksIpv6(
  host: QuickHost,
  { name, path, table, addresses }: QuickFile,
  { peers = [] }: DeviceConfig,
  link: Link | undefined,
): Promise<boolean> {
  const routed = table === 'off' ? [] : peers.flatMap(({ allowedIps = [] }) => allowedIps.map(({ prefix }) => prefix));
  if ([...addresses, ...routed].every(({ address }) => address.length === 4)) return false;
  const why = (cause: string): boolean => {
    host.warn(`IPv6 is switched off here (${cause}): ${name} goes without the IPv6 addresses and routes of ${path}`);
    return true;
  };
  const isOff = (place: string) => host.readSysctl(`net/ipv6/conf/${place}/disable_ipv6`);
  if (isOff('all') === undefined)
    // without /proc/sys nothing is known
    return host.readSysctl('net/ipv4/ip_forward') === undefined ? false : why('the kernel has none: ipv6.disable=1?');
  const [place, state] = link && isOff(name) !== undefined ? [name, isOff(name)] : ['default', isOff('default')];
  if (state !== '1') return false;
  const others = (await host.network.links.list()).filter(
    ({ name: other, flags, up }) => other !== name && up && !(flags & LINK_LOOPBACK),
  );
  const on = others.find(({ name: other }) => isOff(other) === '0');
  if (!on) return why(`net.ipv6.conf.${isOff('all') === '1' ? 'all' : place}.disable_ipv6 = 1`);
  // what a new interface begins with comes before the interface's own, which goes with it
  const isDefault = isOff('default') === '1';
  const setting = `net.ipv6.conf.${isDefault ? 'default' : sysctlName(place)}.disable_ipv6`;
  const fix = isDefault
    ? `sysctl -w ${setting}=0, in a container docker run --sysctl ${setting}=0`
    : `what sets it, a PreUp or a program that looks after links, must leave it 0 (PreUp = sysctl -w ${setting}=0)`;
  throw problem(
    'ESYSCTL',
    `${setting} is 1, so ${name} can have no IPv6, which is on at ${on.name} and would go past the tunnel: ${fix}; or take IPv6 out of ${path}`,
  );
}

/** Whether an interface that is up has no IPv6 now, and so has lost what it had. */
export function isIpv6Off({ readSysctl }: QuickHost, name: string): boolean {
  const isGone =
    readSysctl('net/ipv6/conf/all/disable_ipv6') === undefined && readSysctl('net/ipv4/ip_forward') !== undefined;
  return isGone || readSysctl(`net/ipv6/conf/${name}/disable_ipv6`) === '1';
}

/** Of a peer what is routed where there is no IPv6. */
export function withoutIpv6(peer: PeerConfig): PeerConfig {
  return { ...peer, allowedIps: peer.allowedIps?.filter(({ prefix }) => prefix.address.length === 4) ?? [] };
}

/**
 * The links by which answers of peers come in and that drop them without src_valid_mark: their reverse path filter is strict, so it asks for the way
 * back, and without the mark that is the tunnel.
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

/** Of rp_filter; 2 is loose. */
const STRICT = 1;

/** A link's name as sysctl(8) has it in a setting's: with its dots for slashes. */
export function sysctlName(link: string): string {
  return link.replaceAll('.', '/');
}

function linksOf({ link, hops = [] }: Route): number[] {
  return link === undefined ? hops.flatMap(hop => hop.link ?? []) : [link];
}

function hasKubernetesBits(mark: number): boolean {
  return (mark & KUBERNETES_BITS) !== 0;
}

/** The first table from here up in which no other link has routes. */
async function freeTable(host: QuickHost, from: number, avoid: boolean, link: Link | undefined): Promise<number> {
  for (let table = from; ; table++) {
    if (avoid && hasKubernetesBits(table)) continue;
    const routes = await host.network.routes.list({ table });
    if (routes.every(route => link !== undefined && route.link === link.index)) return table;
  }
}

function hex(mark: number): string {
  return `0x${mark.toString(16)}`;
}

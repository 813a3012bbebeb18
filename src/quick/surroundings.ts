/**
 * What a machine, and above all a container, allows an interface: a mark that other programs do not
 * use, IPv6, and the links on which the kernel drops the peers' answers if src_valid_mark cannot be
 * set.
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
/**
 * Marks of kube-proxy: it drops packets with the first bit and masquerades those with the second.
 * Felix, Cilium and Tailscale use bits above and below 0x3000.
 */
const KUBERNETES_BITS = 0xc000;
const FIRST_KUBERNETES_MARK = 0x3000;

/**
 * Chooses the mark of encrypted packets, which is also the number of the default routes' table. The
 * file's mark wins. Otherwise it is the first number whose table no other link uses, starting with
 * the previous mark or 51820. 51820 has bits of kube-proxy's; where kube-proxy runs, the search
 * starts at 0x3000.
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
      `mark ${hex(mark)} instead of ${hex(FIRST_MARK)}: kube-proxy is in use here (${kubernetes}), and ${WHAT_IT_DOES}`,
    );
  return mark;
}

const WHAT_IT_DOES = 'it drops packets marked 0x8000 and masquerades those marked 0x4000';

/**
 * Returns whether the file's IPv6 addresses and routes must be omitted because IPv6 is disabled,
 * and warns. The configuration of the device itself is not affected.
 */
export async function lacksIpv6(
  host: QuickHost,
  { name, path, table, addresses }: QuickFile,
  { peers = [] }: DeviceConfig,
  link: Link | undefined,
): Promise<boolean> {
  const routed = table === 'off' ? [] : peers.flatMap(({ allowedIps = [] }) => allowedIps.map(({ prefix }) => prefix));
  if ([...addresses, ...routed].every(({ address }) => address.length === 4)) return false;
  const why = (cause: string): boolean => {
    host.warn(`IPv6 is disabled here (${cause}): ${name} comes up without the IPv6 addresses and routes of ${path}`);
    return true;
  };
  const isOff = (place: string) => host.readSysctl(`net/ipv6/conf/${place}/disable_ipv6`);
  if (isOff('all') === undefined)
    // Without /proc/sys nothing is known.
    return host.readSysctl('net/ipv4/ip_forward') === undefined ? false : why('the kernel has none: ipv6.disable=1?');
  const [place, state] = link && isOff(name) !== undefined ? [name, isOff(name)] : ['default', isOff('default')];
  if (state !== '1') return false;
  const others = (await host.network.links.list()).filter(
    ({ name: other, flags, up }) => other !== name && up && !(flags & LINK_LOOPBACK),
  );
  const on = others.find(({ name: other }) => isOff(other) === '0');
  if (!on) return why(`net.ipv6.conf.${isOff('all') === '1' ? 'all' : place}.disable_ipv6 = 1`);
  // The defaults for new interfaces apply before the interface's own setting, which is deleted with
  // the interface.
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

/** Returns whether an interface that is up has no IPv6 now, and so has lost its IPv6 addresses. */
export function isIpv6Off({ readSysctl }: QuickHost, name: string): boolean {
  const isGone =
    readSysctl('net/ipv6/conf/all/disable_ipv6') === undefined && readSysctl('net/ipv4/ip_forward') !== undefined;
  return isGone || readSysctl(`net/ipv6/conf/${name}/disable_ipv6`) === '1';
}

/** Returns a peer without its IPv6 prefixes. */
export function withoutIpv6(peer: PeerConfig): PeerConfig {
  return { ...peer, allowedIps: peer.allowedIps?.filter(({ prefix }) => prefix.address.length === 4) ?? [] };
}

/**
 * Returns the links that receive the peers' answers and drop them without src_valid_mark. Their
 * reverse path filter is strict: it looks up the path back, and without the mark that path is the
 * tunnel.
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

/**
 * Returns a link's name as it appears in the name of a setting (sysctl(8)): dots become slashes.
 */
export function sysctlName(link: string): string {
  return link.replaceAll('.', '/');
}

function linksOf({ link, hops = [] }: Route): number[] {
  return link === undefined ? hops.flatMap(hop => hop.link ?? []) : [link];
}

function hasKubernetesBits(mark: number): boolean {
  return (mark & KUBERNETES_BITS) !== 0;
}

/** Returns the first table from this number up that no other link has routes in. */
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

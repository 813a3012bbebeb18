/**
 * Whether this machine has IPv6 (containers often lack it), and how an interface works without it.
 */
import type { DeviceConfig, PeerConfig } from '../config/model.ts';
import { LINK_LOOPBACK, type Link } from '../netlink/links.ts';
import type { QuickFile } from './file.ts';
import type { QuickHost } from './ports.ts';
import { problem } from './problem.ts';

/**
 * Reports whether the file's IPv6 addresses and routes must be omitted because IPv6 is disabled.
 * Warns in that case. The configuration of the device itself is not affected.
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
    // Without /proc/sys, the setting is unknown.
    return host.readSysctl('net/ipv4/ip_forward') === undefined ? false : why('the kernel has none: ipv6.disable=1?');
  const [place, state] = link && isOff(name) !== undefined ? [name, isOff(name)] : ['default', isOff('default')];
  if (state !== '1') return false;
  const others = (await host.network.links.list()).filter(
    ({ name: other, flags, up }) => other !== name && up && !(flags & LINK_LOOPBACK),
  );
  const on = others.find(({ name: other }) => isOff(other) === '0');
  if (!on) return why(`net.ipv6.conf.${isOff('all') === '1' ? 'all' : place}.disable_ipv6 = 1`);
  // The defaults for new interfaces apply first. The interface's own setting is deleted with the
  // interface.
  const isDefault = isOff('default') === '1';
  const setting = `net.ipv6.conf.${isDefault ? 'default' : sysctlName(place)}.disable_ipv6`;
  const fix = isDefault
    ? `sysctl -w ${setting}=0, in a container docker run --sysctl ${setting}=0`
    : `a PreUp or a program that manages links has set it; it must stay 0 (PreUp = sysctl -w ${setting}=0)`;
  throw problem(
    'ESYSCTL',
    `${setting} is 1, so ${name} cannot have IPv6; IPv6 is on at ${on.name}, and its traffic would bypass the tunnel: ${fix}; or take IPv6 out of ${path}`,
  );
}

/**
 * Reports whether IPv6 is now disabled on an interface that is up. The interface has then lost its
 * IPv6 addresses.
 */
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
 * Returns a link's name as it appears in the name of a setting (sysctl(8)): dots become slashes.
 */
export function sysctlName(link: string): string {
  return link.replaceAll('.', '/');
}

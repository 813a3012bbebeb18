/**
 * Builds and sets our nftables table, one per family (docs/reference/calico-felix.md#firewall,
 * #sysctls, #options-a-and-b). Its chains:
 *
 * - `masquerade`: rewrites the source of packets that the host sends through the tunnel from
 *   another address. Peers would drop these packets, because that address is not in our allowed
 *   IPs.
 * - `mark`: for host encryption. Packets from peers arrive on one interface, and the replies leave
 *   by another. The mark makes a strict rp_filter use the main table.
 * - `seal-in`, `seal-out`: for fail-closed mode. They drop packets from or to a sealed pod that
 *   would pass in the clear, regardless of routes.
 * - `allow-in`, `allow-out`: accept our datagrams in this table. Chains of other tables can still
 *   drop them. If a host endpoint's policy or a firewall does so, the port must be opened there.
 *
 * Prefixes are sealed before any other step and unsealed after all other steps.
 */
import type { Family } from '../../../base/family.ts';
import { formatPrefix, type Prefix } from '../../../base/prefix.ts';
import {
  accept,
  bitwise,
  compare,
  drop,
  type Expression,
  isInSet,
  loadMeta,
  loadNetworkHeader,
  loadSourceType,
  loadTransportHeader,
  masquerade,
  namePrefixValue,
  nameValue,
  numberValue,
  setMetaMark,
} from '../../../netlink/nft-expression.ts';
import type { NfChain, NfTable, TableName } from '../../../netlink/nftables.ts';
import { ROUTE_TYPE } from '../../../netlink/route.ts';
import type { DesiredFirewall, DesiredTunnel } from '../../model/desired.ts';
import type { ApplyContext } from '../ports.ts';
import { rangesOf } from './ranges.ts';

export const SEALED_SET = 'sealed';
const NAME = 'wireguard-ts-calico';
const PRIORITY = { beforeRaw: -310, raw: -300, mangle: -150, filter: 0, sourceNat: 100 } as const;
const UDP = 17;
const DESTINATION_PORT = 2;
const LOOPBACK = 'lo';
/** Offsets in the IP header. */
const SOURCE = { 4: 12, 6: 8 } as const;
const DESTINATION = { 4: 16, 6: 24 } as const;
const SIZE = { 4: 4, 6: 16 } as const;

export function tableName(family: Family): TableName {
  return { family, name: NAME };
}

/**
 * Returns the table of a tunnel, or undefined if it would be empty.
 * @param sealed overrides the tunnel's sealed prefixes
 */
export function firewallTable(
  tunnel: DesiredTunnel,
  sealed: readonly Prefix[] = tunnel.firewall.sealed,
): NfTable | undefined {
  const { firewall, family } = tunnel;
  const chains: NfChain[] = [
    ...(sealed.length > 0 ? sealChains(tunnel) : []),
    ...(firewall.incomingMark ? [markChain(tunnel, firewall.incomingMark)] : []),
    ...(firewall.allowPort ? allowChains(tunnel) : []),
    ...(firewall.masquerade ? [masqueradeChain(tunnel)] : []),
  ];
  if (chains.length === 0) return undefined;
  const sets = sealed.length > 0 ? [{ name: SEALED_SET, ranges: rangesOf(sealed) }] : [];
  return { ...tableName(family), sets, chains };
}

/** Returns whether two tunnels need the same table. */
export function sameFirewall(a: DesiredTunnel, b: DesiredTunnel): boolean {
  return a === b || firewallKey(a) === firewallKey(b);
}

/** Returns the union of both lists. */
export function bothSealed(a: readonly Prefix[], b: readonly Prefix[]): readonly Prefix[] {
  if (a === b) return a;
  return [...new Map([...a, ...b].map(prefix => [formatPrefix(prefix), prefix])).values()];
}

/**
 * Sets the table, unless it has not changed since we last set it.
 * @param fingerprint the result of `Tables.read` after this same table was last set
 * @returns the result of `Tables.read` now
 */
export async function ensureTable(
  { host, recordChange, family }: ApplyContext,
  table: NfTable | undefined,
  fingerprint: string | undefined,
): Promise<string | undefined> {
  const name = tableName(family);
  const sets = table?.sets?.map(set => set.name) ?? [];
  const now = await host.tables.read(name, sets);
  if (table === undefined ? now === undefined : now !== undefined && now === fingerprint) return now;
  recordChange(
    `nftables ${NAME} of IPv${family}: ${table ? `set (${table.chains.map(chain => chain.name).join(', ')})` : 'removed'}`,
  );
  if (!table) await host.tables.remove(name);
  else await host.tables.replace(table);
  return table && host.tables.read(name, sets);
}

function sealChains(tunnel: DesiredTunnel): NfChain[] {
  const { family, interfaceName, firewall } = tunnel;
  const names = [LOOPBACK, interfaceName];
  const sealed = [SOURCE[family], DESTINATION[family]].map(offset => [
    loadNetworkHeader(offset, SIZE[family]),
    isInSet(SEALED_SET),
    drop(),
  ]);
  return [
    {
      name: 'seal-in',
      hook: 'prerouting',
      priority: PRIORITY.beforeRaw,
      rules: [...exempt('inputName', names, firewall.workloadPrefixes), ...sealed],
    },
    {
      name: 'seal-out',
      hook: 'postrouting',
      priority: PRIORITY.mangle,
      rules: [...exempt('outputName', names, firewall.workloadPrefixes), ...sealed],
    },
  ];
}

function markChain(
  { interfaceName, mark }: DesiredTunnel,
  { exemptInterfaces, exemptPrefixes }: NonNullable<DesiredFirewall['incomingMark']>,
): NfChain {
  const names = [LOOPBACK, interfaceName, ...exemptInterfaces];
  const set = [loadMeta('mark'), bitwise(numberValue(~mark >>> 0), numberValue(mark)), setMetaMark()];
  return {
    name: 'mark',
    hook: 'prerouting',
    priority: PRIORITY.raw,
    rules: [...exempt('inputName', names, exemptPrefixes), set],
  };
}

function allowChains({ listenPort }: DesiredTunnel): NfChain[] {
  const port = Uint8Array.of(listenPort >> 8, listenPort);
  const rule = [
    loadMeta('l4Protocol'),
    compare('==', Uint8Array.of(UDP)),
    loadTransportHeader(DESTINATION_PORT, port.length),
    compare('==', port),
    accept(),
  ];
  // These hooks see only packets to or from this host.
  return (['input', 'output'] as const).map(hook => ({
    name: hook === 'input' ? 'allow-in' : 'allow-out',
    hook,
    priority: PRIORITY.filter,
    rules: [rule],
  }));
}

function masqueradeChain({ interfaceName }: DesiredTunnel): NfChain {
  const rule = [
    loadMeta('outputName'),
    compare('==', nameValue(interfaceName)),
    loadSourceType(true),
    compare('!=', numberValue(ROUTE_TYPE.local)),
    loadSourceType(),
    compare('==', numberValue(ROUTE_TYPE.local)),
    masquerade(),
  ];
  return { name: 'masquerade', hook: 'postrouting', priority: PRIORITY.sourceNat, type: 'nat', rules: [rule] };
}

function exempt(
  key: 'inputName' | 'outputName',
  names: readonly string[],
  prefixes: readonly string[],
): (readonly Expression[])[] {
  const values = [
    ...[...new Set(names)].map(nameValue),
    ...prefixes.filter(prefix => prefix !== '').map(namePrefixValue),
  ];
  return values.map(value => [loadMeta(key), compare('==', value), accept()]);
}

function firewallKey({ family, interfaceName, listenPort, mark, firewall }: DesiredTunnel): string {
  const { sealed, ...rest } = firewall;
  return JSON.stringify([family, interfaceName, listenPort, mark, rest, sealed.map(formatPrefix).sort()]);
}

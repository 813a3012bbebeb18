/**
 * The one nftables table of ours in each family (docs/reference/calico-felix.md#firewall, #sysctls, #options-a-and-b).
 *
 * - `masquerade`: what the host sends by the tunnel with an address that is not the tunnel's, peers would drop: it is not in our allowed IPs.
 * - `mark`: host encryption. What peers send comes in by another interface than an answer would leave by; the mark makes a strict rp_filter look
 *   into the main table.
 * - `seal-in`, `seal-out`: fail-closed. Nothing from or to a sealed pod passes in the clear, whatever the routes say.
 * - `allow-in`, `allow-out`: our datagrams pass this table. It cannot be more: a chain of another table that drops them still does. Where a host
 *   endpoint's policy, or a firewall, drops the port, the port must be opened there.
 *
 * What comes into the seal holds from before anything else is done; what leaves it is let go when all else is done.
 */
import { formatPrefix, type Prefix } from '../../../base/prefix.ts';
import type { Family } from '../../../netlink/family.ts';
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
import type { Work } from '../ports.ts';
import { rangesOf } from './ranges.ts';

export const SEALED_SET = 'sealed';
const NAME = 'wireguard-ts-calico';
const PRIORITY = { beforeRaw: -310, raw: -300, mangle: -150, filter: 0, sourceNat: 100 } as const;
const UDP = 17;
const DESTINATION_PORT = 2;
const LOOPBACK = 'lo';
/** Where in the IP header. */
const SOURCE = { 4: 12, 6: 8 } as const;
const DESTINATION = { 4: 16, 6: 24 } as const;
const SIZE = { 4: 4, 6: 16 } as const;

export function tableName(family: Family): TableName {
  return { family, name: NAME };
}

/** @param sealed instead of the firewall's own. @returns undefined where there is nothing to put into it */
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

/** Whether two tunnels have the same table. */
export function sameFirewall(a: DesiredTunnel, b: DesiredTunnel): boolean {
  return a === b || fingerprint(a) === fingerprint(b);
}

/** Those of both. */
export function bothSealed(a: readonly Prefix[], b: readonly Prefix[]): readonly Prefix[] {
  if (a === b) return a;
  return [...new Map([...a, ...b].map(prefix => [formatPrefix(prefix), prefix])).values()];
}

/**
 * Puts it in place, unless it is there as we left it.
 * @param left what `read` said when it was last put in place, of this very table
 * @returns what `read` says now
 */
export async function ensureTable(
  { host, change, family }: Work,
  table: NfTable | undefined,
  left: string | undefined,
): Promise<string | undefined> {
  const name = tableName(family);
  const sets = table?.sets?.map(set => set.name) ?? [];
  const now = await host.tables.read(name, sets);
  if (table === undefined ? now === undefined : now !== undefined && now === left) return now;
  change(
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
  // what passes these hooks is to or from this host
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

function fingerprint({ family, interfaceName, listenPort, mark, firewall }: DesiredTunnel): string {
  const { sealed, ...rest } = firewall;
  return JSON.stringify([family, interfaceName, listenPort, mark, rest, sealed.map(formatPrefix).sort()]);
}

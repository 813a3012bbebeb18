/**
 * Which routes and rules a file asks for. Pure. As wg-quick has it: a prefix that a route by this interface covers already gets none
 * of its own; a default route goes, unless Table says otherwise, into a table that only unmarked packets ask, and only if the main one
 * knows nothing better than a default route of its own.
 */
import { formatPrefix, makePrefix, type Prefix } from '../base/prefix.ts';
import { PrefixSet } from '../base/prefix-set.ts';
import type { PeerConfig } from '../config/model.ts';
import { type Family, familyOfAddress } from '../netlink/family.ts';
import { TABLE } from '../netlink/route.ts';
import type { Rule } from '../netlink/rules.ts';
import type { QuickAddress, QuickFile } from './file.ts';
import type { RuleState } from './state.ts';
import type { QuickRoute } from './step.ts';

/** The families whose default route is to go through the tunnel by policy. */
export function policyFamilies({ table }: Pick<QuickFile, 'table'>, peers: readonly PeerConfig[]): Family[] {
  if (table !== 'auto') return [];
  const defaults = allowedIps(peers).filter(({ length }) => length === 0);
  return ([6, 4] as const).filter(family => defaults.some(({ address }) => familyOfAddress(address) === family));
}

/** @param policyTable where the default routes go, if there are policyFamilies */
export function plannedRoutes(
  { table, addresses }: Pick<QuickFile, 'table' | 'addresses'>,
  peers: readonly PeerConfig[],
  policyTable: number | undefined,
): QuickRoute[] {
  if (table === 'off') return [];
  const routes: QuickRoute[] = [];
  const inMain = new PrefixSet();
  for (const prefix of addresses.flatMap(address => connected(address) ?? [])) inMain.add(prefix);
  // the longest first: what covers others comes behind them
  for (const destination of allowedIps(peers).toSorted((a, b) => b.length - a.length)) {
    if (table !== 'auto') routes.push({ destination, table });
    else if (destination.length === 0) routes.push({ destination, table: policyTable ?? TABLE.main });
    else if (!inMain.covers(destination)) {
      inMain.add(destination);
      routes.push({ destination, table: TABLE.main });
    }
  }
  return routes;
}

/**
 * Rules of each family, where the kernel itself would put them: before all but the first.
 * @param rules that are there, without our own
 */
export function plannedRules(families: readonly Family[], rules: readonly Rule[]): RuleState[] {
  return families.flatMap(family => {
    const priorities = rules
      .filter(rule => rule.family === family)
      .map(({ priority = 0 }) => priority)
      .sort((a, b) => a - b);
    const before = Math.max(2, priorities[1] ?? priorities[0] ?? SECOND);
    return [
      // first what keeps the way to the neighbours: between the two is no instant without it
      { family, priority: before - 2, kind: 'suppress' } as const,
      { family, priority: before - 1, kind: 'mark' } as const,
    ];
  });
}

/** Of the main table, which is second where nothing was changed. */
const SECOND = 32766;

/** Each once. */
function allowedIps(peers: readonly PeerConfig[]): Prefix[] {
  const all = new Map<string, Prefix>();
  for (const peer of peers)
    for (const { prefix, remove } of peer.allowedIps ?? []) if (!remove) all.set(formatPrefix(prefix), prefix);
  return [...all.values()];
}

/** What the kernel routes by an interface because of its address. */
function connected({ address, prefixLength }: QuickAddress): Prefix | undefined {
  const alone = address.length === 4 && prefixLength === 32;
  return alone ? undefined : makePrefix(address, prefixLength);
}

/**
 * Decides which routes and rules a file needs. Pure. As in wg-quick, a prefix gets no route of its
 * own if another route of this interface covers it. Unless the file sets Table, a default route
 * goes into a separate table. Only unmarked packets use that table, and only if the main table has
 * no better route than a default route.
 */
import { type Family, familyOfAddress } from '../base/family.ts';
import { formatPrefix, makePrefix, type Prefix } from '../base/prefix.ts';
import { PrefixSet } from '../base/prefix-set.ts';
import type { PeerConfig } from '../config/model.ts';
import { TABLE } from '../netlink/route.ts';
import type { Rule } from '../netlink/rules.ts';
import type { QuickAddress, QuickFile } from './file.ts';
import type { RuleState } from './state.ts';
import type { QuickRoute } from './step.ts';

/** Returns the address families whose default route leads into the tunnel by policy. */
export function policyFamilies({ table }: Pick<QuickFile, 'table'>, peers: readonly PeerConfig[]): Family[] {
  if (table !== 'auto') return [];
  const defaults = allowedIps(peers).filter(({ length }) => length === 0);
  return ([6, 4] as const).filter(family => defaults.some(({ address }) => familyOfAddress(address) === family));
}

/**
 * Returns the routes that a file needs.
 * @param policyTable table of the default routes, if there are policyFamilies
 */
export function plannedRoutes(
  { table, addresses }: Pick<QuickFile, 'table' | 'addresses'>,
  peers: readonly PeerConfig[],
  policyTable: number | undefined,
): QuickRoute[] {
  if (table === 'off') return [];
  const routes: QuickRoute[] = [];
  const inMain = new PrefixSet();
  for (const prefix of addresses.flatMap(address => connected(address) ?? [])) inMain.add(prefix);
  // Sorted so that the longest prefixes come first.
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
 * Returns the rules for the default routes of each family. Their priorities are those that the
 * kernel would choose: before all rules except the first.
 * @param rules existing rules, without our own
 */
export function plannedRules(families: readonly Family[], rules: readonly Rule[]): RuleState[] {
  return families.flatMap(family => {
    const priorities = rules
      .filter(rule => rule.family === family)
      .map(({ priority = 0 }) => priority)
      .sort((a, b) => a - b);
    const before = Math.max(2, priorities[1] ?? priorities[0] ?? SECOND);
    return [
      // The suppressing rule comes first, so that the path to the local network never goes missing.
      { family, priority: before - 2, kind: 'suppress' } as const,
      { family, priority: before - 1, kind: 'mark' } as const,
    ];
  });
}

/** Priority of the main table's rule, which by default is the second rule. */
const SECOND = 32766;

/** Returns the allowed IPs of all peers without duplicates. */
function allowedIps(peers: readonly PeerConfig[]): Prefix[] {
  const all = new Map<string, Prefix>();
  for (const peer of peers)
    for (const { prefix, remove } of peer.allowedIps ?? []) if (!remove) all.set(formatPrefix(prefix), prefix);
  return [...all.values()];
}

/** Returns the prefix that the kernel routes through an interface because of its address. */
function connected({ address, prefixLength }: QuickAddress): Prefix | undefined {
  const alone = address.length === 4 && prefixLength === 32;
  return alone ? undefined : makePrefix(address, prefixLength);
}

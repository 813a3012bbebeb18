/**
 * Plans the steps from the observed state of the kernel to the state that a file describes. Pure.
 * The first `up` and an `up` after a crash use the same plan: a part that is already right gets no
 * step, and a part that must not exist is removed.
 */
import { formatAddress } from '../base/address.ts';
import type { Family } from '../base/family.ts';
import { formatPrefix, makePrefix } from '../base/prefix.ts';
import { difference } from '../config/diff.ts';
import type { DeviceConfig, PeerConfig } from '../config/model.ts';
import { PROTOCOL, type Route } from '../netlink/route.ts';
import { formatResolved, initiating } from './adoption.ts';
import { resolverText } from './differences.ts';
import type { QuickAddress, QuickFile } from './file.ts';
import { withoutIpv6 } from './ipv6.ts';
import { isWhole, makeLink } from './plan-link.ts';
import { plannedRoutes, plannedRules, policyFamilies } from './routing.ts';
import { isThere, sameRule } from './rule-match.ts';
import type { Snapshot } from './snapshot.ts';
import {
  type Configured,
  type DeviceKind,
  type PolicyState,
  type QuickState,
  type RuleState,
  tabledRules,
} from './state.ts';
import type { QuickRoute, Step } from './step.ts';

export interface UpInput {
  readonly file: QuickFile;
  /** The desired configuration of the device, endpoints resolved to addresses. */
  readonly wanted: DeviceConfig;
  /** Peers that get routes; all by default. */
  readonly routed?: readonly PeerConfig[];
  /** The part of the configuration that comes from the file, to be recorded. */
  readonly configured?: Omit<Configured, 'mark'>;
  /** Whether a hook set the mark. */
  readonly isMarked?: boolean;
  readonly backend: DeviceKind;
  /** Table of a default route by policy. */
  readonly table: number;
  readonly mtu: number;
  /** Whether IPv6 is disabled, so that the file's IPv6 addresses and routes are omitted. */
  readonly lacksIpv6?: boolean;
  /** Links that drop the peers' answers if src_valid_mark cannot be set. */
  readonly strict?: readonly string[];
  /** State of an earlier attempt. */
  readonly before: QuickState | undefined;
  readonly now: Snapshot;
}

const NO_KEY = new Uint8Array(32);
const NOTHING = { listenPort: 0, fwmark: 0, peers: [] };

export function planUp(input: UpInput): Step[] {
  const { wanted, backend, table, mtu, before, now, lacksIpv6 = false, strict = [] } = input;
  const file = lacksIpv6 ? onlyIpv4(input.file) : input.file;
  const routed = difference({ peers: input.routed ?? wanted.peers ?? [] }, NOTHING).peers ?? [];
  const peers = lacksIpv6 ? routed.map(withoutIpv6) : routed;
  const families = policyFamilies(file, peers);
  const policy = families.length > 0 ? planPolicy(input, families) : undefined;
  const { useless, stale } = staleRules(before, policy, now);
  const config = { ...wanted, fwmark: wanted.fwmark || (policy ? table : 0) };
  const kept = isWhole(before, backend, now) ? now : undefined;
  const wantsDns = file.dns.length + file.search.length > 0;
  const planned = plannedRoutes(file, peers, policy?.table);
  const mark = config.fwmark !== 0 && !input.isMarked;
  const owned: Owned = {
    addresses: file.addresses.map(addressText),
    routes: planned.map(routeText),
    configured: { peers: [], found: [], ...input.configured, mark },
  };
  const absent = { lacksIpv6: lacksIpv6 || undefined };
  const steps: Step[] = [
    ...useless.map(removeRule),
    ...stalePolicy(before, families, now),
    ...(before?.dns && !wantsDns ? [{ do: 'unset-dns' } as const] : []),
    // Also records the objects that are about to be removed, until they are gone.
    {
      do: 'remember',
      change: {
        phase: 'starting',
        policy: withStale(policy, stale),
        dns: wantsDns,
        resolved: formatResolved(wanted),
        ...absent,
        ...merged(owned, before),
      },
    },
  ];
  if (!kept) steps.push(...makeLink(backend, now));
  steps.push(...configuration(config, kept, before?.adopting ?? false), ...addresses(file.addresses, kept, before));
  if (!kept?.link?.up || kept.link.mtu !== mtu) steps.push({ do: 'link-up', mtu });
  if (wantsDns) steps.push({ do: 'set-dns', servers: file.dns, search: file.search });
  if (policy) {
    const { name, addresses: own } = file;
    const firewall = { name, mark: config.fwmark, families, addresses: own.map(({ address }) => address) };
    steps.push({ do: 'set-firewall', firewall });
    if (families.includes(4) && now.markValid === '0') steps.push({ do: 'mark-valid', value: '1', strict });
  }
  const resolver = wantsDns ? resolverText(file.dns, file.search) : undefined;
  const { added, removed } = routes(planned, file, kept, before);
  steps.push(...added);
  if (stale.length + removed.length === 0) steps.push({ do: 'remember', change: { ...owned, resolver } });
  for (const rule of policy?.rules ?? [])
    if (!isThere(rule, table, now.rules) || useless.some(old => ruleText(old) === ruleText({ table, ...rule })))
      steps.push({ do: 'add-rule', rule, table });
  // Removal comes last, so that neither a failed step nor the time between two steps lets traffic
  // leave in clear text.
  steps.push(...stale.map(removeRule), ...removed);
  if (stale.length + removed.length > 0) steps.push({ do: 'remember', change: { policy, ...owned, resolver } });
  return steps;
}

function onlyIpv4(file: QuickFile): QuickFile {
  return { ...file, addresses: file.addresses.filter(({ address }) => address.length === 4) };
}

/** Keeps our rules that already exist. New rules come before those that will be removed later. */
function planPolicy({ before, table, now }: UpInput, families: readonly Family[]): PolicyState {
  const there = oursThere(before, now);
  const old = there.filter(rule => rule.table === table);
  const useless = there.filter(rule => !isPaired(rule, there));
  const whole = families.filter(family => old.filter(rule => rule.family === family).length === 2);
  const kept = old
    .filter(({ family }) => whole.includes(family))
    .map(({ family, priority, kind }) => ({ family, priority, kind }));
  const fresh = plannedRules(
    families.filter(family => !whole.includes(family)),
    now.rules.filter(rule => !useless.some(state => sameRule(rule, state, state.table))),
  );
  const changed = before?.policy?.markWasValid ?? (now.markValid === '0' ? '0' : undefined);
  const markWasValid = families.includes(4) ? changed : undefined;
  return { table, rules: [...kept, ...fresh], ...(markWasValid !== undefined && { markWasValid }) };
}

/**
 * Plans the removal of the firewall and of src_valid_mark for a family that no longer has a default
 * route.
 */
function stalePolicy(before: QuickState | undefined, families: readonly Family[], now: Snapshot): Step[] {
  const old = before?.policy;
  if (!old) return [];
  const steps: Step[] = [];
  if (old.rules.some(({ family }) => !families.includes(family))) steps.push({ do: 'remove-firewall' });
  if (old.markWasValid !== undefined && !families.includes(4) && now.markValid !== old.markWasValid)
    steps.push({ do: 'mark-valid', value: old.markWasValid });
  return steps;
}

type TabledRule = Required<RuleState>;

function oursThere(before: QuickState | undefined, { rules }: Snapshot): TabledRule[] {
  return before?.policy ? tabledRules(before.policy).filter(rule => isThere(rule, rule.table, rules)) : [];
}

/**
 * Reports whether a rule belongs to a pair that leads into the tunnel. A killed `up` may have left
 * half of a pair.
 */
function isPaired({ family, table }: TabledRule, there: readonly TabledRule[]): boolean {
  return there.some(other => other.kind === 'mark' && other.family === family && other.table === table);
}

function staleRules(
  before: QuickState | undefined,
  policy: PolicyState | undefined,
  now: Snapshot,
): { readonly useless: TabledRule[]; readonly stale: TabledRule[] } {
  const there = oursThere(before, now);
  const stay = new Set((policy ? tabledRules(policy) : []).map(ruleText));
  const useless = there.filter(rule => !isPaired(rule, there));
  return { useless, stale: there.filter(rule => !stay.has(ruleText(rule)) && !useless.includes(rule)) };
}

function removeRule(rule: TabledRule): Step {
  return { do: 'remove-rule', rule, table: rule.table };
}

function ruleText({ family, priority, kind, table }: TabledRule): string {
  return `${family} ${priority} ${kind} ${table}`;
}

/** Returns the policy to record. Stale rules stay recorded as ours until they are removed. */
function withStale(policy: PolicyState | undefined, stale: readonly TabledRule[]): PolicyState | undefined {
  const [first] = stale;
  if (!first) return policy;
  return { ...(policy ?? { table: first.table }), rules: [...(policy?.rules ?? []), ...stale] };
}

/**
 * Configures a new device completely, as `wg setconf` does. On an existing device, sets only the
 * differences.
 */
function configuration(config: DeviceConfig, kept: Snapshot | undefined, isAdopted: boolean): Step[] {
  if (!kept?.status)
    return [{ do: 'configure', config: { privateKey: NO_KEY, listenPort: 0, ...config, replacePeers: true } }];
  // If the file has no PrivateKey, a hook has set the key.
  const { privateKey } = kept.status;
  const change = difference({ ...(privateKey && { privateKey }), ...config }, kept.status);
  if (Object.keys(change).length === 0) return [];
  return [{ do: 'configure', config: isAdopted ? initiating(change) : change }];
}

type Owned = Required<Pick<QuickState, 'addresses' | 'routes' | 'configured'>>;

function merged(owned: Owned, before: QuickState | undefined): Owned {
  return {
    addresses: [...new Set([...owned.addresses, ...(before?.addresses ?? [])])],
    routes: [...new Set([...owned.routes, ...(before?.routes ?? [])])],
    configured: {
      ...owned.configured,
      mark: owned.configured.mark || (before?.configured?.mark ?? false),
      peers: [...new Set([...owned.configured.peers, ...(before?.configured?.peers ?? [])])],
    },
  };
}

function addresses(
  wanted: readonly QuickAddress[],
  kept: Snapshot | undefined,
  before: QuickState | undefined,
): Step[] {
  const now = kept?.addresses ?? [];
  const there = new Set(now.map(addressText));
  const goal = new Map(wanted.map(address => [addressText(address), address]));
  const stale = new Set(before?.addresses?.filter(text => !goal.has(text)));
  const removed = now
    .filter(address => stale.has(addressText(address)))
    .map(({ address, prefixLength }) => ({ do: 'remove-address', address: { address, prefixLength } }) as const);
  const added = [...goal]
    .filter(([text]) => !there.has(text))
    .map(([, address]) => ({ do: 'add-address', address }) as const);
  // A link loses its IPv4 routes with its last IPv4 address.
  return sharesNetwork(wanted, now) ? [...removed, ...added] : [...added, ...removed];
}

/**
 * Reports whether a new address would become a secondary of an old one. The kernel removes
 * secondary addresses with their primary.
 */
function sharesNetwork(wanted: readonly QuickAddress[], now: readonly QuickAddress[]): boolean {
  const text = ({ address, prefixLength }: QuickAddress) => formatPrefix(makePrefix(address, prefixLength));
  const networks = new Set(now.map(text));
  const there = new Set(now.map(addressText));
  return wanted.some(each => each.address.length === 4 && !there.has(addressText(each)) && networks.has(text(each)));
}

function routes(
  wanted: readonly QuickRoute[],
  file: QuickFile,
  kept: Snapshot | undefined,
  before: QuickState | undefined,
): { readonly added: Step[]; readonly removed: Step[] } {
  // A link that is down has lost its routes. Earlier steps bring it up, and these steps add the
  // routes.
  const now =
    kept?.link?.up && before ? kept.routes.filter(route => !goesWithAddresses(route, file, kept, before)) : [];
  const there = new Set(now.filter(({ protocol }) => protocol === PROTOCOL.boot).map(routeText));
  const goal = new Set(wanted.map(routeText));
  const stale = new Set(before?.routes?.filter(text => !goal.has(text)));
  const removed = now
    .filter(route => route.protocol === PROTOCOL.boot && stale.has(routeText(route)))
    .map(({ destination, table }) => ({ do: 'remove-route', route: { destination, table } }) as const);
  const added = wanted
    .filter(route => !there.has(routeText(route)))
    .map(route => ({ do: 'add-route', route }) as const);
  return { added, removed };
}

/** Reports whether the kernel removes a route with the link's last IPv4 address. */
function goesWithAddresses(
  { family }: Route,
  { addresses: goal }: QuickFile,
  kept: Snapshot,
  before: QuickState,
): boolean {
  if (family === 6) return false;
  if (goal.some(({ address }) => address.length === 4) && !sharesNetwork(goal, kept.addresses)) return false;
  const wanted = new Set(goal.map(addressText));
  const now = kept.addresses.filter(({ address }) => address.length === 4).map(addressText);
  return now.length > 0 && now.every(text => before.addresses?.includes(text) && !wanted.has(text));
}

function addressText({ address, prefixLength }: QuickAddress): string {
  return `${formatAddress(address)}/${prefixLength}`;
}

function routeText({ destination, table }: QuickRoute): string {
  return `${formatPrefix(destination)} ${table}`;
}

/**
 * From a file and what the kernel has now to the steps that bring the one about. Pure, and the same for a first `up` and for one after a
 * crash: what is there as it should be has no step, what is there and should not be is taken away.
 */
import { formatAddress } from '../base/address.ts';
import { formatPrefix, makePrefix } from '../base/prefix.ts';
import { difference } from '../config/diff.ts';
import type { DeviceConfig, PeerConfig } from '../config/model.ts';
import type { Family } from '../netlink/family.ts';
import { PROTOCOL, type Route } from '../netlink/route.ts';
import { resolverText } from './differences.ts';
import type { QuickAddress, QuickFile } from './file.ts';
import { plannedRoutes, plannedRules, policyFamilies } from './routing.ts';
import { isThere, sameRule } from './rule-match.ts';
import type { Snapshot } from './snapshot.ts';
import {
  type BackendKind,
  type Configured,
  type PolicyState,
  type QuickState,
  type RuleState,
  tabledRules,
} from './state.ts';
import type { QuickRoute, Step } from './step.ts';
import { withoutIpv6 } from './surroundings.ts';

export interface UpInput {
  readonly file: QuickFile;
  /** What the device is to be, with endpoints that are addresses. */
  readonly wanted: DeviceConfig;
  /** Its peers that get routes. Default: all. */
  readonly routed?: readonly PeerConfig[];
  /** What of it the file says, to be remembered. */
  readonly configured?: Omit<Configured, 'mark'>;
  /** The mark is a hook's. */
  readonly isMarked?: boolean;
  readonly backend: BackendKind;
  /** For a default route by policy. */
  readonly table: number;
  readonly mtu: number;
  /** IPv6 is switched off: the file's IPv6 addresses and routes are left out. */
  readonly lacksIpv6?: boolean;
  /** Links that drop the peers' answers if src_valid_mark cannot be set. */
  readonly strict?: readonly string[];
  /** What is left of an earlier attempt. */
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
    // with what is to go too, until it is gone
    {
      do: 'remember',
      change: { phase: 'starting', policy: withStale(policy, stale), dns: wantsDns, ...absent, ...both(owned, before) },
    },
  ];
  if (!kept) steps.push(...makeLink(backend, now));
  steps.push(...configuration(config, kept), ...addresses(file.addresses, kept, before));
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
  // what the tunnel had goes last: in no instant, and after no step that fails, does traffic go in the clear for lack of either
  steps.push(...stale.map(removeRule), ...removed);
  if (stale.length + removed.length > 0) steps.push({ do: 'remember', change: { policy, ...owned, resolver } });
  return steps;
}

function onlyIpv4(file: QuickFile): QuickFile {
  return { ...file, addresses: file.addresses.filter(({ address }) => address.length === 4) };
}

/**
 * The interface alone, before PreUp and all else. One that is made anew has nothing of what hooks and files set on another.
 * @param before what is remembered of the one that is there; undefined where that is of no use for this file
 */
export function planLink(backend: BackendKind, before: QuickState | undefined, now: LinkSnapshot): Step[] {
  if (isWhole(before, backend, now)) return [];
  const blank = { hooksDone: [], configured: undefined, addresses: undefined, routes: undefined };
  return [{ do: 'remember', change: blank }, ...makeLink(backend, now)];
}

type LinkSnapshot = Pick<Snapshot, 'link' | 'status'>;

/** One that was not seen whole may be about to end; another kind is of no use. */
function isWhole(before: QuickState | undefined, backend: BackendKind, { link, status }: LinkSnapshot): boolean {
  return link !== undefined && status !== undefined && before?.made === true && before.backend === backend;
}

/** Of which kind it is is remembered between the old one and the new one, for by its kind it is known as ours. */
function makeLink(kind: BackendKind, { link }: LinkSnapshot): Step[] {
  const old = [{ do: 'remember', change: { made: undefined } }, { do: 'remove-link' }] as const;
  return [
    ...(link ? old : []),
    { do: 'remember', change: { backend: kind, made: undefined } },
    { do: 'make-link', kind },
    { do: 'remember', change: { made: true } },
  ];
}

/** Rules that are ours already stay where they are; others come before those that go, which are still there then. */
function planPolicy({ before, table, now }: UpInput, families: readonly Family[]): PolicyState {
  const there = oursThere(before, now);
  const old = there.filter(rule => rule.table === table);
  const useless = there.filter(rule => !leads(rule, there));
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

/** What a default route had beside it, of a family that has none any more. */
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

/** Whether a rule is of a pair that leads into the tunnel: what a killed `up` left may be half of one. */
function leads({ family, table }: TabledRule, there: readonly TabledRule[]): boolean {
  return there.some(other => other.kind === 'mark' && other.family === family && other.table === table);
}

function staleRules(
  before: QuickState | undefined,
  policy: PolicyState | undefined,
  now: Snapshot,
): { readonly useless: TabledRule[]; readonly stale: TabledRule[] } {
  const there = oursThere(before, now);
  const stay = new Set((policy ? tabledRules(policy) : []).map(ruleText));
  const useless = there.filter(rule => !leads(rule, there));
  return { useless, stale: there.filter(rule => !stay.has(ruleText(rule)) && !useless.includes(rule)) };
}

function removeRule(rule: TabledRule): Step {
  return { do: 'remove-rule', rule, table: rule.table };
}

function ruleText({ family, priority, kind, table }: TabledRule): string {
  return `${family} ${priority} ${kind} ${table}`;
}

/** Until they are gone, the stale ones are ours too. */
function withStale(policy: PolicyState | undefined, stale: readonly TabledRule[]): PolicyState | undefined {
  const [first] = stale;
  if (!first) return policy;
  return { ...(policy ?? { table: first.table }), rules: [...(policy?.rules ?? []), ...stale] };
}

/** As `wg setconf` for a new one, no more than what differs for one that is there. */
function configuration(config: DeviceConfig, kept: Snapshot | undefined): Step[] {
  if (!kept?.status)
    return [{ do: 'configure', config: { privateKey: NO_KEY, listenPort: 0, ...config, replacePeers: true } }];
  // a file without a key has it from a hook
  const { privateKey } = kept.status;
  const change = difference({ ...(privateKey && { privateKey }), ...config }, kept.status);
  return Object.keys(change).length > 0 ? [{ do: 'configure', config: change }] : [];
}

type Owned = Required<Pick<QuickState, 'addresses' | 'routes' | 'configured'>>;

function both(owned: Owned, before: QuickState | undefined): Owned {
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
  // a link without an IPv4 address loses its IPv4 routes
  return sharesNetwork(wanted, now) ? [...removed, ...added] : [...added, ...removed];
}

/** Whether a new address would be a secondary one of an old one, with which the kernel takes it away. */
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
  // a link that is down has no routes: they go with the next step before these
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

/** The kernel takes all IPv4 routes of a link whose last IPv4 address goes, until it has another. */
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

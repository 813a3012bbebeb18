/**
 * What must be said to a device so that it is as a conf file has it, and no more: peers that are not in the file go, and of the others
 * only what differs is set, so that sessions live on. Goes further than `wg syncconf` (setconf.c), which says everything of every peer
 * again, empties all lists of allowed IPs before filling them, and without a ListenPort in the file moves the device to another port.
 */
import { sameFarSide } from '../base/endpoint.ts';
import { formatKeyHex, isZeroKey, KEY_SIZE } from '../base/key.ts';
import { type Prefix, prefixKey, samePrefix } from '../base/prefix.ts';
import type { AllowedIpConfig, DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from './model.ts';

type PrefixKey = ReturnType<typeof prefixKey>;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };
/** What a peer is to be in the end: after all entries of its key, and after other peers took prefixes from it. */
type Goal = Mutable<Pick<PeerConfig, 'publicKey' | 'presharedKey' | 'endpoint' | 'persistentKeepalive'>> & {
  /** Absent: those that it has. */
  readonly prefixes?: Map<PrefixKey, Prefix>;
};
type Owner = Goal & Required<Pick<Goal, 'prefixes'>>;

const NO_KEY = new Uint8Array(KEY_SIZE);

/**
 * Returns the changes that make a device equal to a configuration, and no more: peers that the
 * configuration lacks are removed, and of the others only what differs is set, so that sessions
 * live on.
 * @param wanted the whole configuration: what it lacks is removed, except port and endpoints, which
 * stay
 * @param status the device as it is
 * @param removals whether to remove single allowed IPs, after others were added, instead of
 * emptying a list and filling it again
 * @returns an empty object where nothing differs
 */
export function difference(wanted: DeviceConfig, status: DeviceStatus, removals = false): DeviceConfig {
  const config: Mutable<DeviceConfig> = {};
  const privateKey = wanted.privateKey ?? NO_KEY;
  // a device keeps its key clamped, and setting it, even to the same, ends all sessions of some
  if (!samePrivateKey(privateKey, status.privateKey ?? NO_KEY)) config.privateKey = privateKey;
  // port 0 is any port, and one is in use already
  if (wanted.listenPort && wanted.listenPort !== status.listenPort) config.listenPort = wanted.listenPort;
  if ((wanted.fwmark ?? 0) !== status.fwmark) config.fwmark = wanted.fwmark ?? 0;
  const now = new Map(status.peers.map(peer => [formatKeyHex(peer.publicKey), peer]));
  const then = goals(wanted.peers ?? [], now);
  const gone: PeerConfig[] = [];
  for (const [key, { publicKey }] of now) if (!then.has(key)) gone.push({ publicKey, remove: true });
  const changed: PeerConfig[] = [];
  // what somebody else is to have leaves its owner by that alone
  const given = removals ? allPrefixes(then.values()) : undefined;
  for (const [key, goal] of then) {
    const change = peerDifference(goal, now.get(key), given);
    if (change) changed.push(change);
  }
  // who inherits a prefix has it before its owner goes
  const peers = removals ? [...changed, ...gone] : [...gone, ...changed];
  if (peers.length > 0) config.peers = peers;
  return config;
}

/** Plays the entries in their order: a prefix is the last peer's that asked for it. */
function goals(entries: readonly PeerConfig[], now: ReadonlyMap<string, PeerStatus>): Map<string, Goal> {
  const settled = settledPeers(entries, now);
  const peers = new Map<string, Goal>();
  const owners = new Map<PrefixKey, Owner>();
  const take = (goal: Owner, name: PrefixKey, prefix: Prefix) => {
    owners.get(name)?.prefixes.delete(name);
    owners.set(name, goal);
    goal.prefixes.set(name, prefix);
  };
  for (const entry of entries) {
    const { publicKey, remove, allowedIps = [], replaceAllowedIps } = entry;
    const key = formatKeyHex(publicKey);
    if (settled.has(key)) {
      peers.set(key, said({ publicKey }, entry));
      continue;
    }
    let goal = peers.get(key) as Owner | undefined;
    if (remove || replaceAllowedIps) goal?.prefixes.clear();
    if (remove) {
      peers.delete(key);
      continue;
    }
    if (!goal) {
      goal = { publicKey, prefixes: new Map() };
      peers.set(key, goal);
      if (!replaceAllowedIps)
        for (const prefix of now.get(key)?.allowedIps ?? [])
          if (!owners.has(prefixKey(prefix))) take(goal, prefixKey(prefix), prefix);
    }
    said(goal, entry);
    for (const { prefix, remove: leave } of allowedIps) {
      const name = prefixKey(prefix);
      if (leave) goal.prefixes.delete(name);
      else take(goal, name, prefix);
    }
  }
  return peers;
}

function said(goal: Goal, { presharedKey, endpoint, persistentKeepalive }: PeerConfig): Goal {
  if (presharedKey) goal.presharedKey = presharedKey;
  if (endpoint) goal.endpoint = endpoint;
  if (persistentKeepalive !== undefined) goal.persistentKeepalive = persistentKeepalive;
  return goal;
}

/**
 * Peers that are told once, and to have just what they have, where nobody else asks for any of it: of thousands in a file, nearly all.
 * What they have need not be looked at again.
 */
function settledPeers(entries: readonly PeerConfig[], now: ReadonlyMap<string, PeerStatus>): ReadonlySet<string> {
  const settled = new Set<string>();
  const told = new Set<string>();
  const wanted = new Set<PrefixKey>();
  for (const { publicKey, remove, replaceAllowedIps, allowedIps = [] } of entries) {
    const key = formatKeyHex(publicKey);
    if (told.has(key)) return new Set();
    told.add(key);
    const has = now.get(key)?.allowedIps;
    if (has && !remove && replaceAllowedIps && sameList(allowedIps, has)) settled.add(key);
    else for (const { prefix } of allowedIps) wanted.add(prefixKey(prefix));
  }
  if (wanted.size > 0)
    for (const key of settled)
      if (now.get(key)!.allowedIps.some(prefix => wanted.has(prefixKey(prefix)))) return new Set();
  return settled;
}

function sameList(wanted: readonly AllowedIpConfig[], has: readonly Prefix[]): boolean {
  return (
    wanted.length === has.length && wanted.every(({ prefix, remove }, i) => !remove && samePrefix(prefix, has[i]!))
  );
}

/**
 * @param given all prefixes that anybody is to have, where those of nobody are to be taken away one by one
 * @returns undefined if the peer is there and is as it should be
 */
function peerDifference(
  goal: Goal,
  there: PeerStatus | undefined,
  given: ReadonlySet<PrefixKey> | undefined,
): PeerConfig | undefined {
  const change: Mutable<PeerConfig> = { publicKey: goal.publicKey, ...(there && { updateOnly: true }) };
  const before = there ? Object.keys(change).length : 0;
  const presharedKey = goal.presharedKey ?? NO_KEY;
  if (!sameKey(presharedKey, there?.presharedKey ?? NO_KEY)) change.presharedKey = presharedKey;
  if (goal.endpoint && !(there?.endpoint && sameFarSide(goal.endpoint, there.endpoint)))
    change.endpoint = goal.endpoint;
  const keepalive = goal.persistentKeepalive ?? 0;
  if (keepalive !== (there?.persistentKeepalive ?? 0)) change.persistentKeepalive = keepalive;
  if (goal.prefixes) tellPrefixes(change, goal.prefixes, there, given);
  return Object.keys(change).length > before ? change : undefined;
}

function tellPrefixes(
  change: Mutable<PeerConfig>,
  wanted: ReadonlyMap<PrefixKey, Prefix>,
  there: PeerStatus | undefined,
  given: ReadonlySet<PrefixKey> | undefined,
): void {
  const had = there?.allowedIps ?? [];
  const surplus = had.filter(prefix => !wanted.has(prefixKey(prefix)));
  // a list is emptied only where something must go: other daemons drop packets between that and its filling
  const anew = surplus.length > 0 && !given;
  const complete = had.length - surplus.length === wanted.size;
  const added = anew ? beyond(wanted, []) : complete ? [] : beyond(wanted, had);
  const away = surplus
    .filter(prefix => given && !given.has(prefixKey(prefix)))
    .map(prefix => ({ prefix, remove: true }));
  if (anew || !there) change.replaceAllowedIps = true;
  if (anew || added.length + away.length > 0) change.allowedIps = [...added, ...away];
}

function allPrefixes(goals: Iterable<Goal>): Set<PrefixKey> {
  const names = new Set<PrefixKey>();
  for (const { prefixes } of goals) for (const name of prefixes?.keys() ?? []) names.add(name);
  return names;
}

/** Those that are not among these. */
function beyond(prefixes: ReadonlyMap<PrefixKey, Prefix>, these: readonly Prefix[]): AllowedIpConfig[] {
  const names = new Set(these.map(prefixKey));
  return [...prefixes].filter(([name]) => !names.has(name)).map(([, prefix]) => ({ prefix }));
}

/** Whether they are the same once clamped (clampPrivateKey), which is judged without a copy; no key is only like no key. */
function samePrivateKey(a: Uint8Array, b: Uint8Array): boolean {
  if (isZeroKey(a) || isZeroKey(b)) return isZeroKey(a) && isZeroKey(b);
  let bits = 0;
  for (let i = 0; i < KEY_SIZE; i++) bits |= (a[i]! ^ b[i]!) & (i === 0 ? 0xf8 : i === KEY_SIZE - 1 ? 0x3f : 0xff);
  return bits === 0;
}

function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  let bits = 0;
  for (let i = 0; i < KEY_SIZE; i++) bits |= a[i]! ^ b[i]!;
  return bits === 0;
}

/**
 * Computes the smallest change that brings a device to the state of a conf file. Peers missing from
 * the file are removed, and only differing fields of the others are set, so that sessions survive.
 * `wg syncconf` (setconf.c) changes more: it sets every field of every peer again, empties all
 * lists of allowed IPs before it fills them, and moves the device to another port if the file has
 * no ListenPort.
 */
import { sameBytes } from '../base/bytes.ts';
import { sameFarSide } from '../base/endpoint.ts';
import { formatKeyHex, isZeroKey, KEY_SIZE } from '../base/key.ts';
import type { Mutable } from '../base/mutable.ts';
import { type Prefix, prefixKey, samePrefix } from '../base/prefix.ts';
import type { AllowedIpConfig, DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from './model.ts';

type PrefixKey = ReturnType<typeof prefixKey>;
/**
 * The desired state of a peer: the result of all entries for its key, without prefixes that other
 * peers took from it.
 */
type Goal = Mutable<Pick<PeerConfig, 'publicKey' | 'presharedKey' | 'endpoint' | 'persistentKeepalive'>> & {
  /** If absent, the peer keeps its current prefixes. */
  readonly prefixes?: Map<PrefixKey, Prefix>;
};
type Owner = Goal & Required<Pick<Goal, 'prefixes'>>;

const NO_KEY = new Uint8Array(KEY_SIZE);

/**
 * Returns only the changes that make a device equal to a configuration. Peers that the
 * configuration lacks are removed, and only differing fields of the others are set, so that
 * sessions survive.
 * @param wanted the whole configuration. Absent fields are cleared, except the port and endpoints,
 * which stay.
 * @param status the current state of the device
 * @param removals whether to remove single allowed IPs after others were added, instead of emptying
 * a list and filling it again
 * @returns an empty object if nothing differs
 */
export function difference(wanted: DeviceConfig, status: DeviceStatus, removals = false): DeviceConfig {
  const config: Mutable<DeviceConfig> = {};
  const privateKey = wanted.privateKey ?? NO_KEY;
  // devices store the key clamped, and on some, setting it ends all sessions even if it is
  // unchanged
  if (!samePrivateKey(privateKey, status.privateKey ?? NO_KEY)) config.privateKey = privateKey;
  // port 0 means any port, and the device already has one
  if (wanted.listenPort && wanted.listenPort !== status.listenPort) config.listenPort = wanted.listenPort;
  if ((wanted.fwmark ?? 0) !== status.fwmark) config.fwmark = wanted.fwmark ?? 0;
  const observed = new Map(status.peers.map(peer => [formatKeyHex(peer.publicKey), peer]));
  const desired = desiredPeers(wanted.peers ?? [], observed);
  const removed: PeerConfig[] = [];
  for (const [key, { publicKey }] of observed) if (!desired.has(key)) removed.push({ publicKey, remove: true });
  const changed: PeerConfig[] = [];
  // assigning a prefix to another peer already removes it from its current owner
  const claimed = removals ? allPrefixes(desired.values()) : undefined;
  for (const [key, goal] of desired) {
    const change = peerDifference(goal, observed.get(key), claimed);
    if (change) changed.push(change);
  }
  // the prefix moves to its new owner before the old owner is removed
  const peers = removals ? [...changed, ...removed] : [...removed, ...changed];
  if (peers.length > 0) config.peers = peers;
  return config;
}

/** Applies the entries in order: the last peer that claims a prefix owns it. */
function desiredPeers(entries: readonly PeerConfig[], observed: ReadonlyMap<string, PeerStatus>): Map<string, Goal> {
  const settled = settledPeers(entries, observed);
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
      peers.set(key, mergeSettings({ publicKey }, entry));
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
        for (const prefix of observed.get(key)?.allowedIps ?? [])
          if (!owners.has(prefixKey(prefix))) take(goal, prefixKey(prefix), prefix);
    }
    mergeSettings(goal, entry);
    for (const { prefix, remove: isRemoval } of allowedIps) {
      const name = prefixKey(prefix);
      if (isRemoval) goal.prefixes.delete(name);
      else take(goal, name, prefix);
    }
  }
  return peers;
}

function mergeSettings(goal: Goal, { presharedKey, endpoint, persistentKeepalive }: PeerConfig): Goal {
  if (presharedKey) goal.presharedKey = presharedKey;
  if (endpoint) goal.endpoint = endpoint;
  if (persistentKeepalive !== undefined) goal.persistentKeepalive = persistentKeepalive;
  return goal;
}

/**
 * Fast path: returns the peers that are listed once, whose desired prefixes equal the observed
 * ones, and whose prefixes no other peer claims. In a file with thousands of peers, nearly all are
 * of this kind. Their prefixes need no further comparison.
 */
function settledPeers(entries: readonly PeerConfig[], observed: ReadonlyMap<string, PeerStatus>): ReadonlySet<string> {
  const settled = new Set<string>();
  const listed = new Set<string>();
  const claimed = new Set<PrefixKey>();
  for (const { publicKey, remove, replaceAllowedIps, allowedIps = [] } of entries) {
    const key = formatKeyHex(publicKey);
    if (listed.has(key)) return new Set();
    listed.add(key);
    const current = observed.get(key)?.allowedIps;
    if (current && !remove && replaceAllowedIps && sameList(allowedIps, current)) settled.add(key);
    else for (const { prefix } of allowedIps) claimed.add(prefixKey(prefix));
  }
  if (claimed.size > 0)
    for (const key of settled)
      if (observed.get(key)!.allowedIps.some(prefix => claimed.has(prefixKey(prefix)))) return new Set();
  return settled;
}

function sameList(wanted: readonly AllowedIpConfig[], current: readonly Prefix[]): boolean {
  return (
    wanted.length === current.length &&
    wanted.every(({ prefix, remove }, i) => !remove && samePrefix(prefix, current[i]!))
  );
}

/**
 * Returns the change to one peer.
 * @param claimed the desired prefixes of all peers, if unclaimed prefixes are to be removed one by
 * one
 * @returns undefined if the peer exists and needs no change
 */
function peerDifference(
  goal: Goal,
  observed: PeerStatus | undefined,
  claimed: ReadonlySet<PrefixKey> | undefined,
): PeerConfig | undefined {
  const change: Mutable<PeerConfig> = { publicKey: goal.publicKey, ...(observed && { updateOnly: true }) };
  const before = observed ? Object.keys(change).length : 0;
  const presharedKey = goal.presharedKey ?? NO_KEY;
  if (!sameBytes(presharedKey, observed?.presharedKey ?? NO_KEY)) change.presharedKey = presharedKey;
  if (goal.endpoint && !(observed?.endpoint && sameFarSide(goal.endpoint, observed.endpoint)))
    change.endpoint = goal.endpoint;
  const keepalive = goal.persistentKeepalive ?? 0;
  if (keepalive !== (observed?.persistentKeepalive ?? 0)) change.persistentKeepalive = keepalive;
  if (goal.prefixes) addPrefixChanges(change, goal.prefixes, observed, claimed);
  return Object.keys(change).length > before ? change : undefined;
}

function addPrefixChanges(
  change: Mutable<PeerConfig>,
  wanted: ReadonlyMap<PrefixKey, Prefix>,
  observed: PeerStatus | undefined,
  claimed: ReadonlySet<PrefixKey> | undefined,
): void {
  const current = observed?.allowedIps ?? [];
  const surplus = current.filter(prefix => !wanted.has(prefixKey(prefix)));
  // empty the list only if a prefix must go: other daemons drop packets until the list is refilled
  const refill = surplus.length > 0 && !claimed;
  const isComplete = current.length - surplus.length === wanted.size;
  const added = refill ? missingFrom([], wanted) : isComplete ? [] : missingFrom(current, wanted);
  const removed = surplus
    .filter(prefix => claimed && !claimed.has(prefixKey(prefix)))
    .map(prefix => ({ prefix, remove: true }));
  if (refill || !observed) change.replaceAllowedIps = true;
  if (refill || added.length + removed.length > 0) change.allowedIps = [...added, ...removed];
}

function allPrefixes(goals: Iterable<Goal>): Set<PrefixKey> {
  const names = new Set<PrefixKey>();
  for (const { prefixes } of goals) for (const name of prefixes?.keys() ?? []) names.add(name);
  return names;
}

/** Returns the wanted prefixes that the current list lacks. */
function missingFrom(current: readonly Prefix[], wanted: ReadonlyMap<PrefixKey, Prefix>): AllowedIpConfig[] {
  const names = new Set(current.map(prefixKey));
  return [...wanted].filter(([name]) => !names.has(name)).map(([, prefix]) => ({ prefix }));
}

/**
 * Compares two private keys as if both were clamped (clampPrivateKey), without copying them. An
 * absent key equals only an absent key.
 */
function samePrivateKey(a: Uint8Array, b: Uint8Array): boolean {
  if (isZeroKey(a) || isZeroKey(b)) return isZeroKey(a) && isZeroKey(b);
  let bits = 0;
  for (let i = 0; i < KEY_SIZE; i++) bits |= (a[i]! ^ b[i]!) & (i === 0 ? 0xf8 : i === KEY_SIZE - 1 ? 0x3f : 0xff);
  return bits === 0;
}

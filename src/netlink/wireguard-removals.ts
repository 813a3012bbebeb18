/**
 * Removes single allowed IPs on kernels without that operation (before Linux 6.16). Moves the
 * prefixes to a temporary sink peer and removes that peer at the end. A peer thus never lacks a
 * prefix that it keeps, not even for one packet, as it would if its list were emptied and refilled.
 * To find out which removals have an effect, the config is simulated on the device's current state.
 */
import { formatKeyHex } from '../base/key.ts';
import { formatPrefix, type Prefix } from '../base/prefix.ts';
import type { AllowedIpConfig, DeviceConfig, DeviceStatus, PeerConfig } from '../config/model.ts';

/**
 * The public key of the sink peer, the ASCII text "wireguard-ts: prefixes to let go". Its private
 * key is unknown.
 */
export const SINK_KEY: Uint8Array = Uint8Array.from('wireguard-ts: prefixes to let go', char => char.charCodeAt(0));

type Entry = PeerConfig & { readonly allowedIps: AllowedIpConfig[] };

export function hasRemovals(config: DeviceConfig): boolean {
  return (config.peers ?? []).some(peer => !peer.remove && peer.allowedIps?.some(({ remove }) => remove));
}

/** Returns an equivalent config without removals. */
export function withoutRemovals(config: DeviceConfig, status: DeviceStatus): DeviceConfig {
  if (!hasRemovals(config)) return config;
  const owners = new Owners(config.replacePeers ? [] : status.peers);
  const peers = (config.peers ?? []).flatMap(peer => entriesOf(peer, owners));
  // only once at the end: on each removal of a peer, the kernel waits for all processors
  if (peers.some(isSink)) peers.push({ publicKey: SINK_KEY, remove: true });
  return { ...config, peers };
}

/** Splits an entry in which removals come between additions, because their order matters. */
function entriesOf(peer: PeerConfig, owners: Owners): PeerConfig[] {
  const { publicKey, remove, replaceAllowedIps, updateOnly, allowedIps } = peer;
  const key = formatKeyHex(publicKey);
  if (updateOnly && !owners.has(key)) return [withoutList(peer)];
  owners.enter(key, remove === true, remove === true || replaceAllowedIps === true);
  if (remove || !allowedIps) return [peer];
  const entries: Entry[] = [{ ...peer, allowedIps: [] }];
  const append = (entry: PeerConfig, prefix: Prefix) => {
    const last = entries.at(-1)!;
    if (last.publicKey === entry.publicKey) last.allowedIps.push({ prefix });
    else entries.push({ ...entry, allowedIps: [{ prefix }] });
  };
  for (const { prefix, remove: away } of allowedIps) {
    if (!away) {
      owners.give(prefix, key);
      append({ publicKey, updateOnly: true }, prefix);
    } else if (owners.take(prefix, key)) append({ publicKey: SINK_KEY }, prefix);
  }
  return entries;
}

function isSink({ publicKey }: PeerConfig): boolean {
  return publicKey === SINK_KEY;
}

function withoutList({ allowedIps: _, ...peer }: PeerConfig): PeerConfig {
  return peer;
}

/** Maps each prefix to its owner, both as text. */
class Owners {
  readonly #of = new Map<string, string>();
  readonly #peers = new Set<string>();

  constructor(peers: DeviceStatus['peers']) {
    for (const { publicKey, allowedIps } of peers) {
      const key = formatKeyHex(publicKey);
      this.#peers.add(key);
      for (const prefix of allowedIps) this.give(prefix, key);
    }
  }

  has(key: string): boolean {
    return this.#peers.has(key);
  }

  enter(key: string, gone: boolean, empty: boolean): void {
    if (gone) this.#peers.delete(key);
    else this.#peers.add(key);
    if (empty) for (const [prefix, owner] of this.#of) if (owner === key) this.#of.delete(prefix);
  }

  give(prefix: Prefix, key: string): void {
    this.#of.set(formatPrefix(prefix), key);
  }

  /** Removes a prefix from a peer. @returns true if the peer owned it */
  take(prefix: Prefix, key: string): boolean {
    const text = formatPrefix(prefix);
    return this.#of.get(text) === key && this.#of.delete(text);
  }
}

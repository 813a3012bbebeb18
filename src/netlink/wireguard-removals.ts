/**
 * Taking single allowed IPs away where the kernel cannot (before Linux 6.16): the prefixes are moved to a peer made for that, which is
 * removed with them at the end. Unlike emptying the peer's list and filling it again, that never leaves the peer without a prefix that
 * it is to keep, not for one packet. Which removals have something to do is found by playing the config on what the device has.
 */
import { formatKeyHex } from '../base/key.ts';
import { formatPrefix, type Prefix } from '../base/prefix.ts';
import type { AllowedIpConfig, DeviceConfig, DeviceStatus, PeerConfig } from '../config/model.ts';

/** "wireguard-ts: prefixes to let go": nobody has the private key of these 32 bytes. */
export const HEIR: Uint8Array = Uint8Array.from('wireguard-ts: prefixes to let go', char => char.charCodeAt(0));

type Entry = PeerConfig & { readonly allowedIps: AllowedIpConfig[] };

export function hasRemovals(config: DeviceConfig): boolean {
  return (config.peers ?? []).some(peer => !peer.remove && peer.allowedIps?.some(({ remove }) => remove));
}

/** The same config without removals. */
export function withoutRemovals(config: DeviceConfig, status: DeviceStatus): DeviceConfig {
  if (!hasRemovals(config)) return config;
  const owners = new Owners(config.replacePeers ? [] : status.peers);
  const peers = (config.peers ?? []).flatMap(peer => entriesOf(peer, owners));
  // once, since removing a peer makes the kernel wait for all its processors
  if (peers.some(isHeir)) peers.push({ publicKey: HEIR, remove: true });
  return { ...config, peers };
}

/** One entry becomes several where removals stand between additions, since the order of both counts. */
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
    } else if (owners.take(prefix, key)) append({ publicKey: HEIR }, prefix);
  }
  return entries;
}

function isHeir({ publicKey }: PeerConfig): boolean {
  return publicKey === HEIR;
}

function withoutList({ allowedIps: _, ...peer }: PeerConfig): PeerConfig {
  return peer;
}

/** Which peer has which prefix, by their texts. */
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

  /** @returns whether it was this peer's */
  take(prefix: Prefix, key: string): boolean {
    const text = formatPrefix(prefix);
    return this.#of.get(text) === key && this.#of.delete(text);
  }
}

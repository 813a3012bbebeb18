/**
 * Taking single allowed IPs away where the kernel cannot (before Linux 6.16): a prefix is moved to a peer made for that and removed at
 * once with it. Unlike emptying the peer's list and filling it again, that never leaves the peer without a prefix that it is to keep,
 * not for one packet. Which removals have something to do is found by playing the config on what the device has.
 */
import { formatKeyHex } from '../base/key.ts';
import { formatPrefix, type Prefix } from '../base/prefix.ts';
import type { AllowedIpConfig, DeviceConfig, DeviceStatus, PeerConfig } from '../config/model.ts';

/** "wireguard-ts: prefixes to let go": nobody has the private key of these 32 bytes. */
export const HEIR: Uint8Array = Uint8Array.from('wireguard-ts: prefixes to let go', char => char.charCodeAt(0));

export function hasRemovals(config: DeviceConfig): boolean {
  return (config.peers ?? []).some(peer => !peer.remove && peer.allowedIps?.some(({ remove }) => remove));
}

/** The same config without removals. */
export function withoutRemovals(config: DeviceConfig, status: DeviceStatus): DeviceConfig {
  if (!hasRemovals(config)) return config;
  const owners = new Owners(config.replacePeers ? [] : status.peers);
  const peers = (config.peers ?? []).flatMap(peer => entriesOf(peer, owners));
  return { ...config, peers };
}

/** One entry becomes several where removals stand between additions, since the order of both counts. */
function entriesOf(peer: PeerConfig, owners: Owners): PeerConfig[] {
  const { publicKey, remove, replaceAllowedIps, updateOnly, allowedIps } = peer;
  const key = formatKeyHex(publicKey);
  if (updateOnly && !owners.has(key)) return [withoutList(peer)];
  owners.enter(key, remove === true, remove === true || replaceAllowedIps === true);
  if (remove || !allowedIps) return [peer];
  const entries: PeerConfig[] = [{ ...peer, allowedIps: [] }];
  let additions = entries[0]!.allowedIps as AllowedIpConfig[];
  for (const { prefix, remove: away } of allowedIps) {
    if (!away) {
      owners.give(prefix, key);
      additions.push({ prefix });
    } else if (owners.take(prefix, key)) {
      additions = [];
      entries.push(
        { publicKey: HEIR, allowedIps: [{ prefix }] },
        { publicKey: HEIR, remove: true },
        { publicKey, updateOnly: true, allowedIps: additions },
      );
    }
  }
  return entries.filter((entry, i) => i === 0 || entry.remove || entry.allowedIps!.length > 0);
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

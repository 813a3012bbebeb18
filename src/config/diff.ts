/**
 * What must be said to a device so that it is as a conf file has it, and no more: peers that are not in the file go, and of the others only
 * what differs is set, so that sessions live on. Goes further than `wg syncconf` in one thing: a preshared key or keepalive that the
 * file has no longer is taken away.
 */
import { ENDPOINT_FAR_SIZE, sameEndpoint } from '../base/endpoint.ts';
import { formatKeyHex } from '../base/key.ts';
import { formatPrefix } from '../base/prefix.ts';
import type { DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from './model.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const NO_KEY = new Uint8Array(32);

/** @param wanted with all that the file says; what is absent there is to be absent */
export function difference(wanted: DeviceConfig, status: DeviceStatus): DeviceConfig {
  const config: Mutable<DeviceConfig> = {};
  const privateKey = wanted.privateKey ?? NO_KEY;
  if (!sameBytes(privateKey, status.privateKey ?? NO_KEY)) config.privateKey = privateKey;
  // port 0 is any port, and one is in use already
  if (wanted.listenPort && wanted.listenPort !== status.listenPort) config.listenPort = wanted.listenPort;
  if ((wanted.fwmark ?? 0) !== status.fwmark) config.fwmark = wanted.fwmark ?? 0;
  const now = new Map(status.peers.map(peer => [formatKeyHex(peer.publicKey), peer]));
  const then = new Map((wanted.peers ?? []).map(peer => [formatKeyHex(peer.publicKey), peer]));
  const peers: PeerConfig[] = [];
  for (const [key, { publicKey }] of now) if (!then.has(key)) peers.push({ publicKey, remove: true });
  for (const [key, peer] of then) {
    const there = now.get(key);
    const change = there ? peerDifference(peer, there) : { ...peer, replaceAllowedIps: true };
    if (change) peers.push(change);
  }
  if (peers.length > 0) config.peers = peers;
  return config;
}

function peerDifference(wanted: PeerConfig, there: PeerStatus): PeerConfig | undefined {
  const change: Mutable<PeerConfig> = { publicKey: wanted.publicKey, updateOnly: true };
  const before = Object.keys(change).length;
  const presharedKey = wanted.presharedKey ?? NO_KEY;
  if (!sameBytes(presharedKey, there.presharedKey ?? NO_KEY)) change.presharedKey = presharedKey;
  if (wanted.endpoint && !(there.endpoint && sameEndpoint(wanted.endpoint, 0, there.endpoint, 0, ENDPOINT_FAR_SIZE)))
    change.endpoint = wanted.endpoint;
  if ((wanted.persistentKeepalive ?? 0) !== there.persistentKeepalive)
    change.persistentKeepalive = wanted.persistentKeepalive ?? 0;
  const prefixes = (wanted.allowedIps ?? []).filter(entry => !entry.remove).map(entry => entry.prefix);
  const texts = new Set(prefixes.map(formatPrefix));
  const same =
    texts.size === there.allowedIps.length && there.allowedIps.every(prefix => texts.has(formatPrefix(prefix)));
  if (!same) {
    change.replaceAllowedIps = true;
    change.allowedIps = prefixes.map(prefix => ({ prefix }));
  }
  return Object.keys(change).length > before ? change : undefined;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let bits = 0;
  for (let i = 0; i < 32; i++) bits |= a[i]! ^ b[i]!;
  return bits === 0;
}

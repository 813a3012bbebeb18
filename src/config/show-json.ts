/**
 * `wgts show --json`: everything that `dump` has, with names, and the counters of a daemon that has some. Secrets are left out unless they
 * are asked for. The names are stable: a field is added, never renamed.
 */
import { formatKeyBase64 } from '../base/key.ts';
import { formatPrefix } from '../base/prefix.ts';
import type { DeviceStatus } from './model.ts';
import { formatZonedEndpoint, numericZones, type Zones } from './zones.ts';

export interface JsonDevice {
  readonly name: string;
  /** Who runs it: `kernel`, `userspace`. */
  readonly kind: string;
  readonly publicKey: string | null;
  /** Present only when secrets were asked for. */
  readonly privateKey?: string | null;
  readonly listenPort: number;
  readonly fwmark: number;
  readonly peers: readonly JsonPeer[];
  /** By name; null where the daemon keeps none. */
  readonly counters: Readonly<Record<string, number>> | null;
}

export interface JsonPeer {
  readonly publicKey: string;
  readonly hasPresharedKey: boolean;
  readonly presharedKey?: string | null;
  readonly endpoint: string | null;
  readonly allowedIps: readonly string[];
  /** Unix time in seconds; null before the first one. */
  readonly latestHandshake: number | null;
  readonly rxBytes: number;
  readonly txBytes: number;
  /** Seconds; null when off. */
  readonly persistentKeepalive: number | null;
}

export function toJson(
  name: string,
  kind: string,
  status: DeviceStatus,
  counters: Readonly<Record<string, number>> | undefined,
  secrets: boolean,
  zones: Zones = numericZones,
): JsonDevice {
  const key = (bytes: Uint8Array | undefined) => (bytes ? formatKeyBase64(bytes) : null);
  return {
    name,
    kind,
    publicKey: key(status.publicKey),
    ...(secrets && { privateKey: key(status.privateKey) }),
    listenPort: status.listenPort,
    fwmark: status.fwmark,
    peers: status.peers.map(peer => ({
      publicKey: formatKeyBase64(peer.publicKey),
      hasPresharedKey: peer.presharedKey !== undefined,
      ...(secrets && { presharedKey: key(peer.presharedKey) }),
      endpoint: peer.endpoint ? formatZonedEndpoint(peer.endpoint, zones) : null,
      allowedIps: peer.allowedIps.map(formatPrefix),
      latestHandshake: peer.lastHandshakeSeconds || null,
      rxBytes: peer.rxBytes,
      txBytes: peer.txBytes,
      persistentKeepalive: peer.persistentKeepalive || null,
    })),
    counters: counters ?? null,
  };
}

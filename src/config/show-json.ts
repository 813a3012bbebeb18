/**
 * The output of `wgts show --json`: all fields of `dump` with names, and the daemon's counters if
 * it has any. Secrets are included only on request.
 */
import { formatKeyBase64 } from '../base/key.ts';
import { formatPrefix } from '../base/prefix.ts';
import type { DeviceStatus } from './model.ts';
import { formatZonedEndpoint, numericZones, type Zones } from './zones.ts';

/** A device in `wgts show --json`. Fields may be added, but are never renamed. */
export interface JsonDevice {
  /** The interface's name. */
  readonly name: string;
  /** What runs the device: `kernel` or `userspace`. */
  readonly kind: string;
  /** base64; null if there is no private key. */
  readonly publicKey: string | null;
  /** base64. Present only if secrets were requested; null if there is no key. */
  readonly privateKey?: string | null;
  /** UDP port; 0 if none is configured and no socket is open. */
  readonly listenPort: number;
  /** Firewall mark; 0 is off. */
  readonly fwmark: number;
  /** In the device's own order. */
  readonly peers: readonly JsonPeer[];
  /** The daemon's counters by name; null if it has no counters. */
  readonly counters: Readonly<Record<string, number>> | null;
}

/** A peer in `wgts show --json`. */
export interface JsonPeer {
  /** base64. */
  readonly publicKey: string;
  /** Whether the peer has a preshared key. The key itself is a secret. */
  readonly hasPresharedKey: boolean;
  /** base64. Present only if secrets were requested; null if there is no key. */
  readonly presharedKey?: string | null;
  /** `192.0.2.1:51820` or `[2001:db8::1]:51820`; null when unknown. */
  readonly endpoint: string | null;
  /** `10.0.0.0/8`, always with a length. */
  readonly allowedIps: readonly string[];
  /** Unix time in seconds; null before the first handshake. */
  readonly latestHandshake: number | null;
  /** Bytes received from the peer. */
  readonly rxBytes: number;
  /** Bytes sent to the peer. */
  readonly txBytes: number;
  /** Seconds; null when off. */
  readonly persistentKeepalive: number | null;
}

/**
 * Returns a device's status as plain JSON values, as `wgts show --json` prints it.
 * @param name the interface's name
 * @param kind what runs the device: `kernel` or `userspace`
 * @param counters the device's counters by name, if it has any
 * @param secrets whether to include the private key and the preshared keys
 */
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

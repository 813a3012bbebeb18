/**
 * The control model: the configuration applied to a device (DeviceConfig) and the status that a
 * device reports (DeviceStatus). The UAPI, conf files, netlink and the Calico planner all convert
 * to and from these types. A field that is absent from a config leaves that setting unchanged, as
 * in wgctrl's wgtypes.Config and the kernel's WG_CMD_SET_DEVICE. Keys are 32 bytes.
 */
import type { Prefix } from '../base/prefix.ts';

/** Changes to a device. An absent field leaves that setting as it is. */
export interface DeviceConfig {
  /** 32 bytes; 32 zero bytes remove the key. A new key ends all sessions. */
  readonly privateKey?: Uint8Array;
  /** UDP port; 0 lets the system choose one. */
  readonly listenPort?: number;
  /** Firewall mark (SO_MARK) of the sockets, 32 bits; 0 turns it off. */
  readonly fwmark?: number;
  /** Removes all of the device's peers before `peers` are applied. */
  readonly replacePeers?: boolean;
  /** Changes to peers, in order: a later entry for a key acts on the result of an earlier one. */
  readonly peers?: readonly PeerConfig[];
}

/** Changes to one peer. An absent field leaves that setting as it is. */
export interface PeerConfig {
  /** The peer's key, 32 bytes. A peer that does not exist is added. */
  readonly publicKey: Uint8Array;
  /** Removes the peer. */
  readonly remove?: boolean;
  /** Does nothing unless the peer exists already. */
  readonly updateOnly?: boolean;
  /** 32 bytes; 32 zero bytes remove the key. */
  readonly presharedKey?: Uint8Array;
  /**
   * An endpoint record of ENDPOINT_SIZE bytes, as returned by `makeEndpoint` and `parseEndpoint`.
   */
  readonly endpoint?: Uint8Array;
  /** Seconds between keepalives, 0 to 65535; 0 is off. */
  readonly persistentKeepalive?: number;
  /** Removes the peer's allowed IPs before `allowedIps` are applied. */
  readonly replaceAllowedIps?: boolean;
  /**
   * Begins a handshake at once, even if there is a session or the last handshake has just begun.
   * Existing sessions continue until the new one is confirmed. Only this project's own devices
   * support this field.
   */
  readonly initiate?: boolean;
  /** Applied in order. A prefix that another peer has moves to this peer. */
  readonly allowedIps?: readonly AllowedIpConfig[];
}

/** One allowed IP to add to a peer, or to remove from it. */
export interface AllowedIpConfig {
  /** The addresses. */
  readonly prefix: Prefix;
  /** Removes the prefix if this peer has it. */
  readonly remove?: boolean;
}

/** The state of a device: its settings, peers and counters. */
export interface DeviceStatus {
  /** 32 bytes. Absent if there is no key. A copy: overwrite it after use. */
  readonly privateKey?: Uint8Array;
  /** 32 bytes. Absent if there is no private key, and in the result of `parseGetResponse`. */
  readonly publicKey?: Uint8Array;
  /** UDP port; 0 if none is configured and no socket is open. */
  readonly listenPort: number;
  /** Firewall mark of the sockets; 0 is off. */
  readonly fwmark: number;
  /** In the device's own order. */
  readonly peers: readonly PeerStatus[];
}

/** What a device knows about one peer. */
export interface PeerStatus {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes. Absent if there is no key. A copy: overwrite it after use. */
  readonly presharedKey?: Uint8Array;
  /**
   * An endpoint record (see `formatEndpoint`): the address from which the peer's last authenticated
   * message came, or the configured address before that. Absent when unknown.
   */
  readonly endpoint?: Uint8Array;
  /** Unix time of the last completed handshake; 0 before the first. */
  readonly lastHandshakeSeconds: number;
  /** The nanoseconds within that second. */
  readonly lastHandshakeNanoseconds: number;
  /**
   * Bytes received from the peer, counted as in the kernel: whole messages, including their
   * WireGuard header.
   */
  readonly rxBytes: number;
  /** Bytes sent to the peer, counted in the same way. */
  readonly txBytes: number;
  /** Seconds; 0 is off. */
  readonly persistentKeepalive: number;
  /** The prefixes that are routed to the peer and accepted from it. */
  readonly allowedIps: readonly Prefix[];
}

/** The secret fields that configs, statuses and parsed files share. */
export interface Secrets {
  readonly privateKey?: Uint8Array;
  readonly peers?: readonly { readonly presharedKey?: Uint8Array }[];
}

/** Overwrites the secrets of a config or parsed file that is no longer needed. */
export function eraseConfig({ privateKey, peers = [] }: Secrets): void {
  privateKey?.fill(0);
  for (const { presharedKey } of peers) presharedKey?.fill(0);
}

/** Overwrites the secrets of a status. A status always holds copies, so this is safe. */
export function eraseStatus(status: Secrets): void {
  eraseConfig(status);
}

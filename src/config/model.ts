/**
 * The control model: what a device is told (DeviceConfig) and what it says of itself (DeviceStatus). UAPI text, wg.conf,
 * netlink and the Calico planner all translate to and from these. In a config an absent field means "leave alone"
 * (the rule of wgctrl's wgtypes.Config and of the kernel's WG_CMD_SET_DEVICE). Keys are 32 bytes.
 */
import type { Prefix } from '../base/prefix.ts';

export interface DeviceConfig {
  /** 32 zero bytes take the key away. */
  readonly privateKey?: Uint8Array;
  /** 0 lets the system choose. */
  readonly listenPort?: number;
  /** SO_MARK of the sockets; 0 turns it off. */
  readonly fwmark?: number;
  readonly replacePeers?: boolean;
  /** In order: a later entry for one key acts on what an earlier one left. */
  readonly peers?: readonly PeerConfig[];
}

export interface PeerConfig {
  readonly publicKey: Uint8Array;
  readonly remove?: boolean;
  /** Act only if the peer is already there. */
  readonly updateOnly?: boolean;
  /** 32 zero bytes take it away. */
  readonly presharedKey?: Uint8Array;
  /** An endpoint record (base/endpoint.ts). */
  readonly endpoint?: Uint8Array;
  /** Seconds, 0 to 65535; 0 is off. */
  readonly persistentKeepalive?: number;
  readonly replaceAllowedIps?: boolean;
  /**
   * Begin a handshake at once, whatever session there is and however short a time ago the last was begun. Sessions live on until the new one is
   * confirmed. Only this project's own devices know it.
   */
  readonly initiate?: boolean;
  /** In order; a prefix that another peer has moves here. */
  readonly allowedIps?: readonly AllowedIpConfig[];
}

export interface AllowedIpConfig {
  readonly prefix: Prefix;
  /** Take it away, if it is this peer's. */
  readonly remove?: boolean;
}

export interface DeviceStatus {
  /** Absent when there is none. */
  readonly privateKey?: Uint8Array;
  readonly publicKey?: Uint8Array;
  readonly listenPort: number;
  readonly fwmark: number;
  readonly peers: readonly PeerStatus[];
}

export interface PeerStatus {
  readonly publicKey: Uint8Array;
  /** Absent when there is none. */
  readonly presharedKey?: Uint8Array;
  readonly endpoint?: Uint8Array;
  /** Unix time; both 0 when there was no handshake yet. */
  readonly lastHandshakeSeconds: number;
  readonly lastHandshakeNanoseconds: number;
  /** Bytes of datagrams' payloads and headers as the kernel counts them: whole messages with their WireGuard header. */
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly persistentKeepalive: number;
  readonly allowedIps: readonly Prefix[];
}

/** What a config, a status, and a file have of secrets. */
export interface Secrets {
  readonly privateKey?: Uint8Array;
  readonly peers?: readonly { readonly presharedKey?: Uint8Array }[];
}

/** Overwrites the secrets of a config, or a file, that has served. */
export function eraseConfig({ privateKey, peers = [] }: Secrets): void {
  privateKey?.fill(0);
  for (const { presharedKey } of peers) presharedKey?.fill(0);
}

/** Overwrites the secrets of a status, which are always copies. */
export function eraseStatus(status: Secrets): void {
  eraseConfig(status);
}

/**
 * What a node shall have: the result of the plan, and all that apply is told. Equal states are equal values, so that the difference between
 * two is what must be done. Each tunnel is of one family: IPv4 over IPv4 and IPv6 over IPv6, with its own device, key and port, as Felix has it.
 */
import type { Prefix } from '../../base/prefix.ts';
import type { Family } from '../../netlink/family.ts';
import type { PerFamily } from './cluster.ts';

export interface Desired {
  /** Absent where the family is off: then everything of ours in that family goes, and so does our key. */
  readonly tunnels: PerFamily<DesiredTunnel>;
}

/** docs/reference/calico-felix.md#data-plane. */
export interface DesiredTunnel {
  readonly family: Family;
  readonly interfaceName: string;
  readonly mtu: number;
  readonly listenPort: number;
  /** Where the device is the kernel's: its NAPI has a thread of its own. */
  readonly threaded: boolean;
  /** Set on our own encrypted datagrams, and the mask of the rule: one bit or more. */
  readonly mark: number;
  /** The device has this address alone, as /32 or /128; none is valid. */
  readonly address?: Uint8Array;
  /** By public key in base64. */
  readonly peers: ReadonlyMap<string, DesiredPeer>;
  /** All routes in it are ours. */
  readonly table: number;
  /** By prefix as text (formatPrefix). */
  readonly routes: ReadonlyMap<string, DesiredRoute>;
  /** Protocol number of our routes. */
  readonly routeProtocol: number;
  /** `not from all fwmark mark/mark lookup table` */
  readonly rulePriority: number;
  readonly firewall: DesiredFirewall;
}

export interface DesiredPeer {
  /** For people, and for the difference of two plans. */
  readonly node: string;
  readonly publicKey: Uint8Array;
  /** 4 or 16 bytes. */
  readonly endpointAddress: Uint8Array;
  readonly endpointPort: number;
  /** Seconds; 0 is off. */
  readonly persistentKeepalive: number;
  /** In the order of their text. */
  readonly allowedIps: readonly Prefix[];
}

export interface DesiredRoute {
  readonly destination: Prefix;
  /** Into the tunnel; as if this table were not; or nowhere, where nothing may go in the clear (fail-closed). */
  readonly kind: 'tunnel' | 'throw' | 'unreachable';
  /** Of one into the tunnel: nowhere, where the tunnel is gone and its routes with it. Otherwise as if this table were not: for hosts. */
  readonly orElse?: 'unreachable';
}

/** docs/reference/calico-felix.md#firewall, #sysctls, #options-a-and-b. All in one nftables table of ours per family. */
export interface DesiredFirewall {
  /** Accept UDP to and from the listening port of this host: Felix does so itself where it believes WireGuard to be on. */
  readonly allowPort: boolean;
  /** Masquerade what the host itself sends by the tunnel from an address that is not the tunnel's. */
  readonly masquerade: boolean;
  /**
   * Host encryption (IPv4): mark what comes in by any interface but the loopback, the tunnels and the workloads' (by prefix of their names), so that a strict
   * rp_filter looks at the main table; with net.ipv4.conf.all.src_valid_mark=1. Absent where there is no host encryption.
   */
  readonly incomingMark?: { readonly exemptInterfaces: readonly string[]; readonly exemptPrefixes: readonly string[] };
  /**
   * Fail-closed: no packet from or to one of these (pods elsewhere, encrypted or not) may leave or enter by any interface but the tunnel and the
   * workloads', whatever the routes say. Empty otherwise.
   */
  readonly sealed: readonly Prefix[];
  /** How the names of the workloads' interfaces begin (Felix's `interfacePrefix`): the seal does not hold there. */
  readonly workloadPrefixes: readonly string[];
}

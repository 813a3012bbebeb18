/**
 * The desired state of a node: the result of the planner, and the only input of the applier. States
 * are compared by value; what differs between two is what the applier must change. As in Felix,
 * each tunnel has one family (IPv4 over IPv4, IPv6 over IPv6) with its own device, key and port.
 */
import type { Family } from '../../base/family.ts';
import type { Prefix } from '../../base/prefix.ts';
import type { PerFamily } from './cluster.ts';

/** The desired state of a node. */
export interface Desired {
  /**
   * By IP version. If a family is off, its tunnel is absent. The agent then removes everything that
   * it owns in that family, including the published key.
   */
  readonly tunnels: PerFamily<DesiredTunnel>;
}

/**
 * The desired state of one tunnel: device, peers, routes and firewall
 * (docs/reference/calico-felix.md#data-plane).
 */
export interface DesiredTunnel {
  /** The tunnel's IP version: IPv4 goes over IPv4, and IPv6 over IPv6. */
  readonly family: Family;
  /** Name of the device, at most 15 bytes. */
  readonly interfaceName: string;
  /** MTU of the device in bytes. */
  readonly mtu: number;
  /** UDP port that the device listens on. */
  readonly listenPort: number;
  /** Whether to enable threaded NAPI on the device (kernel WireGuard only). */
  readonly threaded: boolean;
  /**
   * Firewall mark (at least one bit) set on the node's own encrypted datagrams. The routing rule
   * uses the same value as its mask.
   */
  readonly mark: number;
  /**
   * The only address of the device, as /32 or /128. May be absent: a tunnel without an address is
   * valid.
   */
  readonly address?: Uint8Array;
  /** By public key in base64. */
  readonly peers: ReadonlyMap<string, DesiredPeer>;
  /** Number of the route table. Every route in it belongs to the agent. */
  readonly table: number;
  /** By prefix as text, such as `10.0.0.0/26`. */
  readonly routes: ReadonlyMap<string, DesiredRoute>;
  /** Protocol number of the agent's routes (rtnetlink(7)). */
  readonly routeProtocol: number;
  /** Priority of the rule `not from all fwmark MARK/MARK lookup TABLE`. */
  readonly rulePriority: number;
  /** What the tunnel needs from nftables. */
  readonly firewall: DesiredFirewall;
}

/** One peer of a tunnel: another node. */
export interface DesiredPeer {
  /** The node's name, for messages and for comparing plans. */
  readonly node: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 4 or 16 bytes. */
  readonly endpointAddress: Uint8Array;
  /** UDP port of the other node's device. */
  readonly endpointPort: number;
  /** Seconds; 0 is off. */
  readonly persistentKeepalive: number;
  /** Sorted by their textual form. */
  readonly allowedIps: readonly Prefix[];
}

/** One route of the tunnel's table (docs/reference/calico-felix.md#routes). */
export interface DesiredRoute {
  /** The prefix that the route covers. */
  readonly destination: Prefix;
  /**
   * `tunnel` sends into the tunnel, `throw` continues with the next table, and `unreachable`
   * refuses the traffic (fail-closed: it does not leave in the clear).
   */
  readonly kind: 'tunnel' | 'throw' | 'unreachable';
  /**
   * For `tunnel` routes: when the tunnel is removed, an unreachable route replaces this one, so
   * that traffic is refused. Absent if the traffic may then use the next table, as for host
   * addresses.
   */
  readonly orElse?: 'unreachable';
}

/**
 * The rules of the agent's nftables table, one table per family
 * (docs/reference/calico-felix.md#firewall, #sysctls, #options-a-and-b).
 */
export interface DesiredFirewall {
  /**
   * Accept UDP to and from this host's listening port. Not needed if Felix considers WireGuard
   * enabled: Felix then accepts this traffic.
   */
  readonly allowPort: boolean;
  /**
   * Masquerade packets that this host sends into the tunnel from an address other than the
   * tunnel's.
   */
  readonly masquerade: boolean;
  /**
   * For host encryption (IPv4): mark incoming packets, except on the loopback and tunnel interfaces
   * (`exemptInterfaces`) and on workload interfaces (names that begin with an `exemptPrefixes`
   * entry). The mark makes a strict rp_filter use the main table; this requires
   * net.ipv4.conf.all.src_valid_mark=1. Absent without host encryption.
   */
  readonly incomingMark?: {
    /** Names of the interfaces on which packets are not marked. */
    readonly exemptInterfaces: readonly string[];
    /** Name prefixes of further exempt interfaces. */
    readonly exemptPrefixes: readonly string[];
  };
  /**
   * Remote pod prefixes, in fail-closed mode. Packets from or to them are dropped on every
   * interface except the tunnel's and the workloads', regardless of routes. Empty if fail-closed
   * mode is off.
   */
  readonly sealed: readonly Prefix[];
  /**
   * Name prefixes of the workload interfaces (Felix's `interfacePrefix`), to which `sealed` does
   * not apply.
   */
  readonly workloadPrefixes: readonly string[];
}

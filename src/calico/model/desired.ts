/**
 * The desired state of a node: the result of the planner, and the only input of the applier. Equal
 * states are equal values, so the difference between two is the work to do. As in Felix, each
 * tunnel has one family (IPv4 over IPv4, IPv6 over IPv6) with its own device, key and port.
 */
import type { Family } from '../../base/family.ts';
import type { Prefix } from '../../base/prefix.ts';
import type { PerFamily } from './cluster.ts';

/**
 * The desired state of a node. Equal states are equal values, so the difference of two is what must
 * be changed.
 */
export interface Desired {
  /**
   * By IP version. Absent where the family is off: then everything of that family that belongs to
   * the agent is removed, its published key included.
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
  /** True where the kernel's device runs its NAPI in a thread of its own. */
  readonly threaded: boolean;
  /**
   * Firewall mark of the node's own encrypted datagrams, which is also the mask of the rule: one
   * bit or more.
   */
  readonly mark: number;
  /**
   * The only address of the device, as /32 or /128. Absent where the node has none, which is valid.
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
  /** The node's name, for messages and for the difference of two plans. */
  readonly node: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 4 or 16 bytes. */
  readonly endpointAddress: Uint8Array;
  /** UDP port of the other node's device. */
  readonly endpointPort: number;
  /** Seconds; 0 is off. */
  readonly persistentKeepalive: number;
  /** In the order of their text. */
  readonly allowedIps: readonly Prefix[];
}

/** One route of the tunnel's table (docs/reference/calico-felix.md#routes). */
export interface DesiredRoute {
  /** The prefix that the route is for. */
  readonly destination: Prefix;
  /**
   * `tunnel` sends into the tunnel, `throw` continues with the next table, `unreachable` refuses
   * (fail-closed: nothing leaves in the clear).
   */
  readonly kind: 'tunnel' | 'throw' | 'unreachable';
  /**
   * Set on a `tunnel` route where traffic must be refused once the tunnel, and this route with it,
   * is gone. Absent where it then continues with the next table, as for hosts.
   */
  readonly orElse?: 'unreachable';
}

/**
 * The rules of the agent's nftables table, one table per family
 * (docs/reference/calico-felix.md#firewall, #sysctls, #options-a-and-b).
 */
export interface DesiredFirewall {
  /**
   * Accept UDP to and from the listening port of this host. Felix accepts it itself where it
   * believes WireGuard to be on.
   */
  readonly allowPort: boolean;
  /**
   * Masquerade packets of the host itself that enter the tunnel from an address other than the
   * tunnel's.
   */
  readonly masquerade: boolean;
  /**
   * For host encryption (IPv4): mark packets that arrive on any interface except the loopback, the
   * tunnels (`exemptInterfaces`) and the workloads' (`exemptPrefixes` of their names). A strict
   * rp_filter then looks at the main table; it needs net.ipv4.conf.all.src_valid_mark=1. Absent
   * without host encryption.
   */
  readonly incomingMark?: {
    /** Names of the interfaces whose packets are not marked. */
    readonly exemptInterfaces: readonly string[];
    /** Prefixes of the names of more such interfaces. */
    readonly exemptPrefixes: readonly string[];
  };
  /**
   * Fail-closed: no packet from or to one of these prefixes (pods elsewhere, encrypted or not) may
   * leave or enter by an interface other than the tunnel's and the workloads', whatever the routes
   * say. Empty otherwise.
   */
  readonly sealed: readonly Prefix[];
  /**
   * Prefixes of the workloads' interface names (Felix's `interfacePrefix`), where the seal does not
   * apply.
   */
  readonly workloadPrefixes: readonly string[];
}

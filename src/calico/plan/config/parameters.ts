/**
 * Felix's parameters that affect the tunnel: name, parser and default of each
 * (docs/reference/calico-felix.md#wireguard-parameters, #related-parameters). The parsers accept
 * and reject the same texts as Felix.
 */
import { goRegexp, type NamePattern } from './go-regexp.ts';
import {
  boolean,
  integer,
  interfaceName,
  interfacePrefixes,
  legacyTableRange,
  type MarkMask,
  markMask,
  oneOf,
  pattern,
  type Reader,
  seconds,
  type TableRange,
  tableRanges,
} from './values.ts';

export interface Parameter<T> {
  readonly read: Reader<T>;
  readonly default: T;
  /** Value that the word `none` stands for; absent if Felix rejects `none`. */
  readonly zero?: T;
  /** Field name in a FelixConfiguration, in lower case, if it differs from the parameter's name. */
  readonly field?: string;
}

/**
 * Felix's parameters that affect the tunnel, by Felix's own names
 * (docs/reference/calico-felix.md#wireguard-parameters, #related-parameters). Environment variables
 * use the same names (`FELIX_...`), and {@link FelixConfiguration.parameters} uses them in lower
 * case.
 */
export interface FelixParameters {
  /** Whether IPv4 is encrypted. Default false. */
  readonly WireguardEnabled: boolean;
  /** Whether IPv6 is encrypted. Default false. */
  readonly WireguardEnabledV6: boolean;
  /** UDP port for IPv4. Default 51820. */
  readonly WireguardListeningPort: number;
  /** UDP port for IPv6. Default 51821. */
  readonly WireguardListeningPortV6: number;
  /** Priority of the routing rule, 1 to 32765. Default 99. */
  readonly WireguardRoutingRulePriority: number;
  /** Name of Felix's own IPv4 device. Default `wireguard.cali`. */
  readonly WireguardInterfaceName: string;
  /** Name of Felix's own IPv6 device. Default `wg-v6.cali`. */
  readonly WireguardInterfaceNameV6: string;
  /** MTU of the IPv4 device in bytes; 0 derives it from the host's links. */
  readonly WireguardMTU: number;
  /** MTU of the IPv6 device in bytes; 0 derives it from the host's links. */
  readonly WireguardMTUV6: number;
  /** Whether traffic between hosts is encrypted too. Default false. */
  readonly WireguardHostEncryptionEnabled: boolean;
  /** Whether the kernel's device uses threaded NAPI. Default false. */
  readonly WireguardThreadingEnabled: boolean;
  /** Seconds between keepalives, 0 to 65535; 0 disables them. */
  readonly WireguardPersistentKeepAlive: number;
  /** Whether Felix handles IPv6 at all. Default true. */
  readonly Ipv6Support: boolean;
  /** Source of pod addresses: IPAM blocks, or the Pods themselves. */
  readonly RouteSource: 'CalicoIPAM' | 'WorkloadIPs';
  /** Seconds between full resyncs with the kernel's state. Default 90; 0 disables them. */
  readonly RouteRefreshInterval: number;
  /** Protocol number of Felix's routes, 0 to 255. Default 3 (boot). */
  readonly DeviceRouteProtocol: number;
  /** Matches the names of the host links that determine the tunnel's MTU. */
  readonly MTUIfacePattern: NamePattern;
  /** Prefixes of the workloads' interface names. Default `cali`. */
  readonly InterfacePrefix: readonly string[];
  /** Route tables that Felix may use. Undefined if not configured; RouteTableRange then applies. */
  readonly RouteTableRanges: readonly TableRange[] | undefined;
  /**
   * The older form of RouteTableRanges. Undefined if not configured; Felix then uses tables 1 to
   * 250.
   */
  readonly RouteTableRange: readonly TableRange[] | undefined;
  /** Mark bits that Felix uses with iptables. Default 0xffff0000. */
  readonly IptablesMarkMask: MarkMask;
  /** Mark bits that Felix uses with nftables. Default 0xffff0000. */
  readonly NftablesMarkMask: MarkMask;
  /** Whether Felix runs its eBPF data plane. Default false. */
  readonly BPFEnabled: boolean;
  /** Whether Felix programs no routes and only enforces policy. */
  readonly RouteSyncDisabled: boolean;
  /** `All` lets established connections bypass the nftables chains through a flow table. */
  readonly NFTablesFlowTableOffload: 'All' | 'Disabled';
  /** Whether Felix serves metrics. Default false. */
  readonly PrometheusMetricsEnabled: boolean;
  /** TCP port of Felix's metrics. Default 9091. */
  readonly PrometheusMetricsPort: number;
  /** Whether those metrics include WireGuard's. Default true. */
  readonly PrometheusWireGuardMetricsEnabled: boolean;
}

export type ParameterName = keyof FelixParameters;

const PORT = integer(1, 65535);
const MTU = integer(0, 65535);
/** Matches the names of the host's external interfaces. */
const HOST_INTERFACES = '^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)';
const MARK_MASK = 0xffff0000;

/** Parser and default of each parameter. */
export const PARAMETERS: { readonly [N in ParameterName]: Parameter<FelixParameters[N]> } = {
  WireguardEnabled: { read: boolean, default: false, zero: false },
  WireguardEnabledV6: { read: boolean, default: false, zero: false },
  WireguardListeningPort: { read: PORT, default: 51820 },
  WireguardListeningPortV6: { read: PORT, default: 51821 },
  WireguardRoutingRulePriority: { read: integer(1, 32765), default: 99 },
  WireguardInterfaceName: { read: interfaceName, default: 'wireguard.cali' },
  WireguardInterfaceNameV6: { read: interfaceName, default: 'wg-v6.cali' },
  WireguardMTU: { read: MTU, default: 0, zero: 0 },
  WireguardMTUV6: { read: MTU, default: 0, zero: 0 },
  WireguardHostEncryptionEnabled: { read: boolean, default: false, zero: false },
  WireguardThreadingEnabled: { read: boolean, default: false, zero: false },
  WireguardPersistentKeepAlive: { read: seconds(0, 65535), default: 0, zero: 0, field: 'wireguardkeepalive' },
  Ipv6Support: { read: boolean, default: true, zero: false },
  RouteSource: { read: oneOf('CalicoIPAM', 'WorkloadIPs'), default: 'CalicoIPAM' },
  RouteRefreshInterval: { read: seconds(0, 1e9), default: 90, zero: 0 },
  DeviceRouteProtocol: { read: integer(0, 255), default: 3, zero: 0 },
  MTUIfacePattern: { read: pattern, default: goRegexp(HOST_INTERFACES)! },
  InterfacePrefix: { read: interfacePrefixes, default: ['cali'] },
  RouteTableRanges: { read: tableRanges, default: undefined, zero: undefined },
  RouteTableRange: { read: legacyTableRange, default: undefined, zero: undefined },
  IptablesMarkMask: { read: markMask, default: MARK_MASK },
  NftablesMarkMask: { read: markMask, default: MARK_MASK },
  BPFEnabled: { read: boolean, default: false, zero: false },
  RouteSyncDisabled: { read: boolean, default: false, zero: false },
  NFTablesFlowTableOffload: { read: oneOf('All', 'Disabled'), default: 'Disabled' },
  PrometheusMetricsEnabled: { read: boolean, default: false, zero: false },
  PrometheusMetricsPort: { read: integer(0, 65535), default: 9091, zero: 0 },
  PrometheusWireGuardMetricsEnabled: { read: boolean, default: true, zero: false },
};

export const PARAMETER_NAMES = Object.keys(PARAMETERS) as readonly ParameterName[];

/**
 * Returns the ranges from which Felix allocates route tables. Felix's WireGuard table is the first
 * one that the kernel does not reserve.
 */
export function felixTableRanges({
  RouteTableRanges,
  RouteTableRange,
}: Pick<FelixParameters, 'RouteTableRanges' | 'RouteTableRange'>): readonly TableRange[] {
  return RouteTableRanges ?? RouteTableRange ?? [{ min: 1, max: 250 }];
}

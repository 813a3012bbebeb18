/**
 * Felix's parameters that bear on the tunnel (docs/reference/calico-felix.md#wireguard-parameters, #related-parameters): what each is called, how its text is read and what it is where
 * nobody says anything. Texts are read as Felix reads them, so that what Felix refuses is refused here.
 */
import { goRegexp, type NamePattern } from './go-regexp.ts';
import {
  boolean,
  integer,
  interfaceName,
  interfacePrefixes,
  type MarkMask,
  markMask,
  oldTableRange,
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
  /** What the word `none` stands for; absent where Felix refuses it. */
  readonly zero?: T;
  /** What the field is called in a FelixConfiguration, in lower case, where that is not the parameter's name. */
  readonly field?: string;
}

/** By Felix's own names, which are those of the environment (`FELIX_...`) and, in lower case, of `FelixConfiguration.parameters`. */
export interface FelixParameters {
  readonly WireguardEnabled: boolean;
  readonly WireguardEnabledV6: boolean;
  readonly WireguardListeningPort: number;
  readonly WireguardListeningPortV6: number;
  readonly WireguardRoutingRulePriority: number;
  readonly WireguardInterfaceName: string;
  readonly WireguardInterfaceNameV6: string;
  /** 0: from the host's links. */
  readonly WireguardMTU: number;
  readonly WireguardMTUV6: number;
  readonly WireguardHostEncryptionEnabled: boolean;
  /** NAPI in a thread of its own: of the kernel's device alone. */
  readonly WireguardThreadingEnabled: boolean;
  /** Seconds. */
  readonly WireguardPersistentKeepAlive: number;
  readonly Ipv6Support: boolean;
  readonly RouteSource: 'CalicoIPAM' | 'WorkloadIPs';
  /** Seconds between looks at what the kernel really has. */
  readonly RouteRefreshInterval: number;
  readonly DeviceRouteProtocol: number;
  readonly MTUIfacePattern: NamePattern;
  readonly InterfacePrefix: readonly string[];
  /** Undefined: not said, so that RouteTableRange counts. */
  readonly RouteTableRanges: readonly TableRange[] | undefined;
  readonly RouteTableRange: readonly TableRange[] | undefined;
  readonly IptablesMarkMask: MarkMask;
  readonly NftablesMarkMask: MarkMask;
  readonly BPFEnabled: boolean;
  /** No routes at all: Felix is there for policy alone. */
  readonly RouteSyncDisabled: boolean;
  /** Established connections pass by nftables. */
  readonly NFTablesFlowTableOffload: 'All' | 'Disabled';
  readonly PrometheusMetricsEnabled: boolean;
  readonly PrometheusMetricsPort: number;
  readonly PrometheusWireGuardMetricsEnabled: boolean;
}

export type ParameterName = keyof FelixParameters;

const PORT = integer(1, 65535);
const MTU = integer(0, 65535);
/** Interfaces of the machine that lead out of it. */
const HOST_INTERFACES = '^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)';
const MARK_MASK = 0xffff0000;

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
  RouteTableRange: { read: oldTableRange, default: undefined, zero: undefined },
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

/** Tables that Felix takes its own from: the WireGuard one is the first that is not the kernel's. */
export function felixTables({
  RouteTableRanges,
  RouteTableRange,
}: Pick<FelixParameters, 'RouteTableRanges' | 'RouteTableRange'>): readonly TableRange[] {
  return RouteTableRanges ?? RouteTableRange ?? [{ min: 1, max: 250 }];
}

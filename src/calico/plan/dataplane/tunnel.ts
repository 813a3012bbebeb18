/**
 * Plans the tunnel of one family: device, rule and firewall around the given peers and routes
 * (docs/reference/calico-felix.md#data-plane, #options-a-and-b).
 */
import { formatAddress } from '../../../base/address.ts';
import type { Family } from '../../../base/family.ts';
import type { Prefix } from '../../../base/prefix.ts';
import type { ClusterNode } from '../../model/cluster.ts';
import type { DesiredFirewall, DesiredTunnel } from '../../model/desired.ts';
import type { Problem } from '../../model/problem.ts';
import { isEnabled } from '../config/felix-config.ts';
import type { FelixParameters } from '../config/parameters.ts';
import type { PlanInput } from '../input.ts';
import { hostAddresses, nodeAddress, wireguardAddress } from '../peers/node-addresses.ts';
import { addressPrefix } from '../peers/prefix-sets.ts';
import { reservedPrefix } from '../peers/reserved-addresses.ts';
import { tunnelMtu } from './mtu.ts';

const NO_ROUTES: DesiredTunnel['routes'] = new Map();

export interface TunnelInput {
  readonly input: PlanInput;
  readonly own: ClusterNode;
  readonly family: Family;
  readonly parameters: FelixParameters;
  readonly peers: DesiredTunnel['peers'];
  readonly routes: DesiredTunnel['routes'];
  readonly sealed: readonly Prefix[];
}

/** Returns the desired tunnel, and the problems with its MTU and address. */
export function planTunnel({ input, own, family, parameters, peers, routes, sealed }: TunnelInput): {
  readonly tunnel: DesiredTunnel;
  readonly problems: readonly Problem[];
} {
  const { options, facts } = input;
  const { WireguardHostEncryptionEnabled: hostEncryption } = parameters;
  const { mtu, problems } = tunnelMtu({
    family,
    configured: family === 4 ? parameters.WireguardMTU : parameters.WireguardMTUV6,
    pattern: parameters.MTUIfacePattern,
    hostEncryption,
    facts,
    ownInterfaces: tunnelNames(input, parameters),
  });
  // With host encryption, a device without its own address uses the host's.
  const published =
    wireguardAddress(own, family, options.usePodCidr) ?? (hostEncryption ? nodeAddress(own, family) : undefined);
  const reserved = published && (reservedPrefix(addressPrefix(published), false) ?? apiServer(input, own, published));
  const address = reserved === undefined ? published : undefined;
  const tunnel: DesiredTunnel = {
    family,
    interfaceName: options.interfaceNames[family],
    mtu,
    listenPort: family === 4 ? parameters.WireguardListeningPort : parameters.WireguardListeningPortV6,
    threaded: parameters.WireguardThreadingEnabled,
    mark: options.mark,
    ...(address && { address }),
    peers,
    table: options.table,
    // Like Felix, leave the table empty if route sync is disabled.
    routes: parameters.RouteSyncDisabled ? NO_ROUTES : routes,
    routeProtocol: parameters.DeviceRouteProtocol,
    rulePriority: options.rulePriority ?? parameters.WireguardRoutingRulePriority,
    firewall: planFirewall(input, family, parameters, sealed),
  };
  return {
    tunnel,
    problems: published && reserved !== undefined ? [...problems, unusableAddress(own, published, reserved)] : problems,
  };
}

/** Describes an address of the API server: on our device, we would reach ourselves there. */
function apiServer({ apiServers = [] }: PlanInput, own: ClusterNode, address: Uint8Array): string | undefined {
  const [text, hosts] = [address.join(), hostAddresses(own).map(each => each.join())];
  const isServer = apiServers.some(each => each.join() === text);
  return isServer && !hosts.includes(text) ? 'the address of the API server' : undefined;
}

function unusableAddress({ name }: ClusterNode, address: Uint8Array, description: string): Problem {
  return {
    object: `Node/${name}`,
    reason: 'UnusableTunnelAddress',
    message: `the tunnel's address is ${formatAddress(address)}, ${description}; the tunnel has no address until you correct the Node's annotation`,
  };
}

function planFirewall(
  input: PlanInput,
  family: Family,
  parameters: FelixParameters,
  sealed: readonly Prefix[],
): DesiredFirewall {
  // The sysctls rp_filter and src_valid_mark exist for IPv4 only.
  const marksIncoming = family === 4 && parameters.WireguardHostEncryptionEnabled;
  return {
    allowPort: !isEnabled(parameters, family),
    // Always on: Felix does not masquerade on our interface.
    masquerade: true,
    ...(marksIncoming && {
      incomingMark: {
        exemptInterfaces: ['lo', ...tunnelNames(input, parameters)],
        exemptPrefixes: parameters.InterfacePrefix,
      },
    }),
    sealed,
    workloadPrefixes: parameters.InterfacePrefix,
  };
}

/** Returns the names of our devices and of the devices that Felix would create. */
function tunnelNames({ options: { interfaceNames } }: PlanInput, parameters: FelixParameters): readonly string[] {
  return [interfaceNames[4], interfaceNames[6], parameters.WireguardInterfaceName, parameters.WireguardInterfaceNameV6];
}

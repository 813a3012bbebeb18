/** The tunnel of one family: device, rule and firewall around peers and routes (docs/reference/calico-felix.md#data-plane, #options-a-and-b). */
import { formatAddress } from '../../../base/address.ts';
import type { Family } from '../../../base/family.ts';
import type { Prefix } from '../../../base/prefix.ts';
import type { ClusterNode } from '../../model/cluster.ts';
import type { DesiredFirewall, DesiredTunnel } from '../../model/desired.ts';
import type { Problem } from '../../model/problem.ts';
import { isEnabled } from '../config/felix-config.ts';
import type { FelixParameters } from '../config/parameters.ts';
import type { PlanInput } from '../input.ts';
import { nodeAddress, wireguardAddress } from '../peers/node-addresses.ts';
import { single } from '../peers/prefix-sets.ts';
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
  // without an address of its own the device has the host's, where hosts are encrypted
  const said =
    wireguardAddress(own, family, options.usePodCidr) ?? (hostEncryption ? nodeAddress(own, family) : undefined);
  const reserved = said && reservedPrefix(single(said), false);
  const address = reserved === undefined ? said : undefined;
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
    // as Felix, whose table stays empty then
    routes: parameters.RouteSyncDisabled ? NO_ROUTES : routes,
    routeProtocol: parameters.DeviceRouteProtocol,
    rulePriority: options.rulePriority ?? parameters.WireguardRoutingRulePriority,
    firewall: planFirewall(input, family, parameters, sealed),
  };
  return {
    tunnel,
    problems: said && reserved !== undefined ? [...problems, noAddress(own, said, reserved)] : problems,
  };
}

function noAddress({ name }: ClusterNode, address: Uint8Array, what: string): Problem {
  return {
    object: `Node/${name}`,
    reason: 'UnusableTunnelAddress',
    message: `the address of the tunnel is ${formatAddress(address)}, ${what}; the tunnel is without an address until the Node has another`,
  };
}

function planFirewall(
  input: PlanInput,
  family: Family,
  parameters: FelixParameters,
  sealed: readonly Prefix[],
): DesiredFirewall {
  // rp_filter and src_valid_mark are IPv4's
  const marksIncoming = family === 4 && parameters.WireguardHostEncryptionEnabled;
  return {
    allowPort: !isEnabled(parameters, family),
    // Felix has such a rule for its own interface alone
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

/** Ours and those that Felix would have. */
function tunnelNames({ options: { interfaceNames } }: PlanInput, parameters: FelixParameters): readonly string[] {
  return [interfaceNames[4], interfaceNames[6], parameters.WireguardInterfaceName, parameters.WireguardInterfaceNameV6];
}

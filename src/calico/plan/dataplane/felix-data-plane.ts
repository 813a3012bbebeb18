/**
 * Warns about settings of Felix's data plane that affect our tunnel: eBPF, disabled route sync, and
 * flow tables that bypass the firewall.
 */
import type { FelixConfiguration } from '../../model/cluster.ts';
import type { Problem } from '../../model/problem.ts';
import type { FelixParameters } from '../config/parameters.ts';
import { boolean } from '../config/values.ts';

const EBPF =
  "bpfEnabled is true. Calico 3.32.0 and 3.32.1 then drop packets to WireGuard's UDP port unless their source is the address that Calico knows of a node, so use 3.32.2 or newer; and bpfL3IfacePattern must match the agent's interfaces (see the guide, eBPF)";
const NO_ROUTES =
  'routeSyncDisabled is true, so the agent, like Felix, adds no routes: traffic from this node is not encrypted unless another program routes it into the tunnel; set it to false to encrypt';

/** Returns the warnings for this node, if it has a tunnel. */
export function dataPlaneProblems(
  { BPFEnabled, RouteSyncDisabled, NFTablesFlowTableOffload }: FelixParameters,
  { failClosed }: { readonly failClosed: boolean },
): readonly Problem[] {
  const problems: Problem[] = [];
  const warn = (reason: string, message: string): void =>
    void problems.push({ object: 'FelixConfiguration', reason, message });
  if (BPFEnabled) warn('EbpfDataPlane', EBPF);
  if (RouteSyncDisabled) warn('RouteSyncDisabled', NO_ROUTES);
  if (failClosed && NFTablesFlowTableOffload !== 'Disabled')
    warn(
      'FlowTableOffload',
      `nftablesFlowTableOffload is ${NFTablesFlowTableOffload}: connections that Felix offloads bypass the firewall that --fail-closed relies on, so a connection that began in the clear may continue in the clear; set it to Disabled`,
    );
  return problems;
}

/** Returns the warnings for a whole cluster, one for each FelixConfiguration that causes it. */
export function clusterDataPlaneProblems(configurations: Iterable<FelixConfiguration>): readonly Problem[] {
  const isTrue = ({ parameters }: FelixConfiguration, name: string): boolean =>
    boolean(parameters.get(name) ?? '')?.value === true;
  return [...configurations].flatMap(configuration => {
    const object = `FelixConfiguration/${configuration.name}`;
    return [
      ...(isTrue(configuration, 'bpfenabled') ? [{ object, reason: 'EbpfDataPlane', message: EBPF }] : []),
      ...(isTrue(configuration, 'routesyncdisabled')
        ? [{ object, reason: 'RouteSyncDisabled', message: NO_ROUTES }]
        : []),
    ];
  });
}

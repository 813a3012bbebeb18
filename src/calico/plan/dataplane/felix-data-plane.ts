/** What Felix's data plane does beside WireGuard that bears on our tunnel, as warnings: eBPF, routes that are left to others, flows past the firewall. */
import type { FelixConfiguration } from '../../model/cluster.ts';
import type { Problem } from '../../model/problem.ts';
import type { FelixParameters } from '../config/parameters.ts';
import { boolean } from '../config/values.ts';

const EBPF =
  "bpfEnabled is true. Calico 3.32.0 and 3.32.1 then drop WireGuard's UDP port unless it comes from the very address that Calico knows of a node, so use 3.32.2 or newer; and bpfL3IfacePattern must match the agent's interfaces (see the guide, eBPF)";
const NO_ROUTES =
  'routeSyncDisabled is true, so that no routes are made, as Felix makes none: nothing that is sent here is encrypted, unless somebody else routes it into the tunnel; set it to false for that';

/** Of this node, where it has a tunnel. */
export function dataPlaneProblems(
  { BPFEnabled, RouteSyncDisabled, NFTablesFlowTableOffload }: FelixParameters,
  { failClosed }: { readonly failClosed: boolean },
): readonly Problem[] {
  const problems: Problem[] = [];
  const found = (reason: string, message: string): void =>
    void problems.push({ object: 'FelixConfiguration', reason, message });
  if (BPFEnabled) found('EbpfDataPlane', EBPF);
  if (RouteSyncDisabled) found('RouteSyncDisabled', NO_ROUTES);
  if (failClosed && NFTablesFlowTableOffload !== 'Disabled')
    found(
      'FlowTableOffload',
      `nftablesFlowTableOffload is ${NFTablesFlowTableOffload}: connections that Felix offloads pass by the firewall that --fail-closed stands on, so that one which began in the clear may go on so; set it to Disabled`,
    );
  return problems;
}

/** Of a cluster as a whole, by each object that says so: for who looks at it from outside. */
export function clusterDataPlaneProblems(configurations: Iterable<FelixConfiguration>): readonly Problem[] {
  const isOn = ({ parameters }: FelixConfiguration, name: string): boolean =>
    boolean(parameters.get(name) ?? '')?.value === true;
  return [...configurations].flatMap(configuration => {
    const object = `FelixConfiguration/${configuration.name}`;
    return [
      ...(isOn(configuration, 'bpfenabled') ? [{ object, reason: 'EbpfDataPlane', message: EBPF }] : []),
      ...(isOn(configuration, 'routesyncdisabled')
        ? [{ object, reason: 'RouteSyncDisabled', message: NO_ROUTES }]
        : []),
    ];
  });
}

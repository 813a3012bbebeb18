/** The cluster of calico-guest.ts as files: two Nodes, their blocks, and Felix's configuration. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface NumberedNode {
  readonly number: number;
}

export function blockOf({ number }: NumberedNode): string {
  return `10.244.${number}.0/26`;
}

/** Writes the cluster as `kubectl get ... -o yaml` prints it, with a short resync. */
export function writeCluster(folder: string, nodes: readonly NumberedNode[], felixKey: string): void {
  for (const node of nodes) {
    const key = node.number === 1 ? `\n    projectcalico.org/WireguardPublicKey: ${felixKey}` : '';
    writeFileSync(
      join(folder, `node-${node.number}.yaml`),
      `apiVersion: v1
kind: Node
metadata:
  name: node-${node.number}
  annotations:
    projectcalico.org/IPv4Address: 192.0.2.${node.number}/24${key}
`,
    );
    writeFileSync(
      join(folder, `block-${node.number}.yaml`),
      `apiVersion: crd.projectcalico.org/v1
kind: IPAMBlock
metadata: {name: 10-244-${node.number}-0-26}
spec: {cidr: ${blockOf(node)}, affinity: 'host:node-${node.number}', allocations: [], unallocated: [], attributes: []}
`,
    );
  }
  writeFileSync(
    join(folder, 'pool.yaml'),
    `apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.244.0.0/16}
`,
  );
  configure(folder);
}

/** Writes the FelixConfiguration. @param more settings beside the usual ones */
export function configure(folder: string, more: Readonly<Record<string, boolean>> = {}): void {
  const spec = { wireguardEnabled: true, routeRefreshInterval: '5s', ...more };
  writeFileSync(
    join(folder, 'felix.yaml'),
    `apiVersion: crd.projectcalico.org/v1
kind: FelixConfiguration
metadata: {name: default}
spec: ${JSON.stringify(spec)}
`,
  );
}

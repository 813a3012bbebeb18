// Writes the files of the Calico demo's cluster: its Nodes and Calico's objects, as `kubectl get
// ... -o yaml` prints them.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const POOL = '10.244.0.0/16';
export const nodeAddress = n => `192.0.2.${n}`;
export const podAddress = n => `10.244.${n}.2`;
export const podBlock = n => `10.244.${n}.0/26`;

export function writeCluster(folder, nodes) {
  for (const n of nodes)
    writeFileSync(
      join(folder, `node-${n}.yaml`),
      `apiVersion: v1
kind: Node
metadata:
  name: node-${n}
  annotations:
    projectcalico.org/IPv4Address: ${nodeAddress(n)}/24
`,
    );
  writeFileSync(
    join(folder, 'pool.yaml'),
    `apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: {cidr: ${POOL}, blockSize: 26}
`,
  );
  for (const n of nodes)
    writeFileSync(
      join(folder, `block-${n}.yaml`),
      `apiVersion: crd.projectcalico.org/v1
kind: IPAMBlock
metadata: {name: ${podBlock(n).replace(/[./]/g, '-')}}
spec:
  cidr: ${podBlock(n)}
  affinity: host:node-${n}
  strictAffinity: false
  allocations: [${Array.from({ length: 64 }, (_, i) => (i === 2 ? '0' : 'null')).join(', ')}]
  unallocated: [${Array.from({ length: 64 }, (_, i) => i)
    .filter(i => i !== 2)
    .join(', ')}]
  attributes:
  - handle_id: k8s-pod-network.pod-${n}
    secondary: {node: node-${n}, namespace: default, pod: pod-${n}}
`,
    );
  configure(folder, 'default', false);
}

/** Writes the FelixConfiguration with this name: `default`, or `node.<name>`. */
export function configure(folder, name, wireguardEnabled) {
  writeFileSync(
    join(folder, `felix-${name}.yaml`),
    `apiVersion: crd.projectcalico.org/v1
kind: FelixConfiguration
metadata: {name: ${name}}
spec: {wireguardEnabled: ${wireguardEnabled}}
`,
  );
}

export function publishedKey(folder, n) {
  return /WireguardPublicKey: (\S+)/.exec(readFileSync(join(folder, `node-${n}.yaml`), 'utf8'))?.[1];
}

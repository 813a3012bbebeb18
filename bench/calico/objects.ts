/**
 * Makes the objects of a cluster as an API server sends them, with the parts that nothing of ours
 * reads: a Node has fifty images, conditions and managed fields, a block an attribute for each pod.
 * Everything follows from the numbers given, so that two runs have the same objects.
 */
import { createHash } from 'node:crypto';

export type Family = 4 | 6;
export type RawObject = Readonly<Record<string, unknown>>;

const IMAGES = 50;
export const BLOCK_SIZE = 64;
const SUFFIX = { 4: '', 6: 'V6' } as const;

/** What a Node says that changes. */
export interface NodeState {
  readonly families: readonly Family[];
  /** Number of the published key; undefined without one. */
  readonly key: number | undefined;
  /** Counts the status reports. */
  readonly beat: number;
  readonly blocks: number;
}

export const nodeName = (n: number): string => `ip-172-${16 + (n >> 16)}-${(n >> 8) & 255}-${n & 255}.compute.internal`;
export const hostAddress = (n: number, family: Family): string =>
  family === 4 ? `172.${16 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}` : `fd00:ac::${(n + 1).toString(16)}`;

/** Returns the prefix of a block by its number in the cluster. */
export function blockCidr(block: number, family: Family): string {
  return `${blockAddress(block, 0, family)}/${family === 4 ? 26 : 122}`;
}

function blockAddress(block: number, ordinal: number, family: Family): string {
  const at = block * BLOCK_SIZE + ordinal;
  return family === 4
    ? `10.${(at >> 16) & 255}.${(at >> 8) & 255}.${at & 255}`
    : `fd10::${(at >>> 16).toString(16)}:${(at & 0xffff).toString(16)}`;
}

function publicKey(number: number): string {
  return createHash('sha256').update(`key ${number}`).digest('base64');
}

export function node(n: number, { families, key, beat, blocks }: NodeState): RawObject {
  const name = nodeName(n);
  const time = new Date(1_700_000_000_000 + 300_000 * beat).toISOString().replace(/\.\d+/, '');
  const annotations = families.flatMap(family => [
    [`projectcalico.org/IPv${family}Address`, `${hostAddress(n, family)}/${family === 4 ? 20 : 64}`],
    [
      `projectcalico.org/IPv${family}Wireguard${family === 4 ? 'Interface' : 'Interface'}Addr`,
      blockAddress(n * blocks, 1, family),
    ],
    ...(key === undefined
      ? []
      : [[`projectcalico.org/WireguardPublicKey${SUFFIX[family]}`, publicKey(2 * key + (family === 4 ? 0 : 1))]]),
  ]);
  const zone = `eu-central-1${'abc'[n % 3]}`;
  return {
    kind: 'Node',
    apiVersion: 'v1',
    metadata: {
      ...identity(name, beat),
      labels: {
        'beta.kubernetes.io/arch': 'amd64',
        'beta.kubernetes.io/instance-type': 'm6i.2xlarge',
        'beta.kubernetes.io/os': 'linux',
        'failure-domain.beta.kubernetes.io/region': 'eu-central-1',
        'failure-domain.beta.kubernetes.io/zone': zone,
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'node-role.kubernetes.io/worker': '',
        'node.kubernetes.io/instance-type': 'm6i.2xlarge',
        'topology.ebs.csi.aws.com/zone': zone,
        'topology.kubernetes.io/region': 'eu-central-1',
        'topology.kubernetes.io/zone': zone,
      },
      annotations: {
        ...Object.fromEntries(annotations),
        'csi.volume.kubernetes.io/nodeid': `{"ebs.csi.aws.com":"i-${hash(name, 17)}","csi.tigera.io":"${name}"}`,
        'node.alpha.kubernetes.io/ttl': '300',
        'volumes.kubernetes.io/controller-managed-attach-detach': 'true',
        'kubeadm.alpha.kubernetes.io/cri-socket': 'unix:///var/run/containerd/containerd.sock',
        'flannel.alpha.coreos.com/public-ip': hostAddress(n, 4),
      },
      managedFields: managedFields(time),
    },
    spec: {
      podCIDR: `100.${64 + (n >> 14)}.${(n >> 6) & 255}.${(n & 63) << 2}/30`,
      podCIDRs: [`100.${64 + (n >> 14)}.${(n >> 6) & 255}.${(n & 63) << 2}/30`],
      providerID: `aws:///${zone}/i-${hash(name, 17)}`,
    },
    status: status(n, families, time),
  };
}

function status(n: number, families: readonly Family[], time: string): RawObject {
  const name = nodeName(n);
  const capacity = {
    cpu: '8',
    'ephemeral-storage': '104845292Ki',
    'hugepages-1Gi': '0',
    'hugepages-2Mi': '0',
    memory: '32389612Ki',
    pods: '110',
  };
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: type === 'Ready' ? 'True' : 'False',
    lastHeartbeatTime: time,
    lastTransitionTime: '2023-11-14T22:13:20Z',
    reason,
    message,
  });
  return {
    capacity,
    allocatable: { ...capacity, cpu: '7910m', memory: '31372780Ki' },
    conditions: [
      condition('NetworkUnavailable', 'CalicoIsUp', 'Calico is running on this node'),
      condition('MemoryPressure', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
      condition('DiskPressure', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
      condition('PIDPressure', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
      condition('Ready', 'KubeletReady', 'kubelet is posting ready status'),
    ],
    addresses: [
      ...families.map(family => ({ type: 'InternalIP', address: hostAddress(n, family) })),
      { type: 'Hostname', address: name },
      { type: 'InternalDNS', address: name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    nodeInfo: {
      machineID: hash(`machine ${n}`, 32),
      systemUUID: uid(`system ${n}`),
      bootID: uid(`boot ${n}`),
      kernelVersion: '6.1.0-28-cloud-amd64',
      osImage: 'Debian GNU/Linux 12 (bookworm)',
      containerRuntimeVersion: 'containerd://1.7.24',
      kubeletVersion: 'v1.31.4',
      kubeProxyVersion: 'v1.31.4',
      operatingSystem: 'linux',
      architecture: 'amd64',
    },
    images: Array.from({ length: IMAGES }, (_, i) => ({
      names: [
        `registry.example.com/platform/team-${i % 7}/service-${i}@sha256:${hash(`image ${i + (n % 20)}`, 64)}`,
        `registry.example.com/platform/team-${i % 7}/service-${i}:v1.${n % 20}.${i}`,
      ],
      sizeBytes: 412_345_678 - i * 7_654_321,
    })),
  };
}

export function identity(name: string, version: number): RawObject {
  return {
    name,
    uid: uid(name),
    resourceVersion: String(1_000_000 + version),
    creationTimestamp: '2023-11-14T22:13:20Z',
    generation: 1 + version,
  };
}

function managedFields(time: string): readonly RawObject[] {
  const condition = (type: string) => [
    `k:{"type":"${type}"}`,
    {
      '.': {},
      'f:lastHeartbeatTime': {},
      'f:lastTransitionTime': {},
      'f:message': {},
      'f:reason': {},
      'f:status': {},
      'f:type': {},
    },
  ];
  const entry = (manager: string, fields: RawObject, subresource?: string) => ({
    manager,
    operation: 'Update',
    apiVersion: 'v1',
    time,
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
    ...(subresource !== undefined && { subresource }),
  });
  return [
    entry('kubelet', {
      'f:metadata': {
        'f:annotations': { '.': {}, 'f:volumes.kubernetes.io/controller-managed-attach-detach': {} },
        'f:labels': {
          '.': {},
          'f:beta.kubernetes.io/arch': {},
          'f:beta.kubernetes.io/os': {},
          'f:kubernetes.io/arch': {},
          'f:kubernetes.io/hostname': {},
          'f:kubernetes.io/os': {},
        },
      },
    }),
    entry('kube-controller-manager', {
      'f:metadata': { 'f:annotations': { 'f:node.alpha.kubernetes.io/ttl': {} } },
      'f:spec': { 'f:podCIDR': {}, 'f:podCIDRs': { '.': {}, 'v:"100.64.0.0/30"': {} } },
    }),
    entry(
      'calico-node',
      {
        'f:metadata': {
          'f:annotations': { 'f:projectcalico.org/IPv4Address': {}, 'f:projectcalico.org/WireguardPublicKey': {} },
        },
        'f:status': { 'f:conditions': Object.fromEntries([condition('NetworkUnavailable')]) },
      },
      'status',
    ),
    entry(
      'kubelet',
      {
        'f:status': {
          'f:allocatable': { 'f:memory': {} },
          'f:capacity': { 'f:memory': {} },
          'f:conditions': Object.fromEntries(['DiskPressure', 'MemoryPressure', 'PIDPressure', 'Ready'].map(condition)),
          'f:images': {},
          'f:nodeInfo': { 'f:bootID': {} },
        },
      },
      'status',
    ),
  ];
}

const hashes = new Map<string, string>();
export function hash(of: string, length: number): string {
  const known = hashes.get(of);
  if (known !== undefined) return known.slice(0, length);
  const made = createHash('sha256').update(of).digest('hex');
  // The few texts that many objects share.
  if (of.startsWith('image')) hashes.set(of, made);
  return made.slice(0, length);
}

function uid(of: string): string {
  return createHash('sha256')
    .update(of)
    .digest('hex')
    .slice(0, 32)
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

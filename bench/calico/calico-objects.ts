/**
 * Makes Calico's objects of a cluster as an API server sends them. A block has an attribute for
 * each pod.
 */
import { BLOCK_SIZE, blockCidr, type Family, hash, identity, nodeName, type RawObject } from './objects.ts';

const GROUP = 'crd.projectcalico.org/v1';
const TUNNEL_TYPE = { 4: 'wireguardTunnelAddress', 6: 'wireguardV6TunnelAddress' } as const;
const TUNNEL_HANDLE = { 4: 'wireguard-tunnel-addr-', 6: 'wireguard-v6-tunnel-addr-' } as const;

/** Which node uses an address of a block. */
export interface BlockState {
  readonly families: readonly Family[];
  /** Number of addresses that pods of the owner use. */
  readonly used: number;
  /** The node that uses the last address of the block. */
  readonly borrower: number | undefined;
  /** Counts the writes. */
  readonly writes: number;
}

/** Returns a node's block. The first block of each node holds its tunnel's address. */
export function block(owner: number, i: number, blocks: number, family: Family, state: BlockState): RawObject {
  const number = owner * blocks + i;
  const cidr = blockCidr(number, family);
  const attributes: RawObject[] = [];
  const allocations: (number | null)[] = new Array<null>(BLOCK_SIZE).fill(null);
  const allocate = (ordinal: number, attribute: RawObject): void => {
    allocations[ordinal] = attributes.push(attribute) - 1;
  };
  const pod = (ordinal: number, on: number): RawObject => ({
    handle_id: `k8s-pod-network.${hash(`pod ${number} ${ordinal} ${state.writes}`, 64)}`,
    secondary: {
      namespace: `team-${ordinal % 7}`,
      node: nodeName(on),
      pod: `service-${ordinal}-${hash(`set ${ordinal}`, 10)}-${hash(`${number}`, 5)}`,
      timestamp: '2023-11-14 22:13:20.123456789 +0000 UTC',
    },
  });
  if (i === 0)
    allocate(1, {
      handle_id: `${TUNNEL_HANDLE[family]}${nodeName(owner)}`,
      secondary: { node: nodeName(owner), type: TUNNEL_TYPE[family] },
    });
  for (let ordinal = 2; ordinal < 2 + state.used; ordinal++) allocate(ordinal, pod(ordinal, owner));
  if (state.borrower !== undefined) allocate(BLOCK_SIZE - 1, pod(BLOCK_SIZE - 1, state.borrower));
  const name = cidr.replaceAll(/[.:/]/g, '-');
  return {
    apiVersion: GROUP,
    kind: 'IPAMBlock',
    metadata: {
      ...identity(name, state.writes),
      annotations: { 'projectcalico.org/metadata': '{"creationTimestamp":null}' },
      managedFields: [
        {
          manager: 'Go-http-client',
          operation: 'Update',
          apiVersion: GROUP,
          time: '2023-11-14T22:13:20Z',
          fieldsType: 'FieldsV1',
          fieldsV1: {
            'f:metadata': { 'f:annotations': { '.': {}, 'f:projectcalico.org/metadata': {} } },
            'f:spec': {
              '.': {},
              'f:affinity': {},
              'f:allocations': {},
              'f:attributes': {},
              'f:cidr': {},
              'f:deleted': {},
              'f:sequenceNumber': {},
              'f:strictAffinity': {},
              'f:unallocated': {},
            },
          },
        },
      ],
    },
    spec: {
      affinity: `host:${nodeName(owner)}`,
      allocations,
      attributes,
      cidr,
      deleted: false,
      sequenceNumber: 1_700_000_000_000 + state.writes,
      sequenceNumberForAllocation: Object.fromEntries(
        allocations.flatMap((each, ordinal) => (each === null ? [] : [[String(ordinal), 1_700_000_000_000 + ordinal]])),
      ),
      strictAffinity: false,
      unallocated: allocations.flatMap((each, ordinal) => (each === null ? [ordinal] : [])),
    },
  };
}

export function pool(family: Family): RawObject {
  const cidr = family === 4 ? '10.0.0.0/8' : 'fd10::/64';
  return {
    apiVersion: GROUP,
    kind: 'IPPool',
    metadata: identity(`default-ipv${family}-ippool`, 0),
    spec: {
      allowedUses: ['Workload', 'Tunnel'],
      blockSize: family === 4 ? 26 : 122,
      cidr,
      ipipMode: 'Never',
      natOutgoing: true,
      nodeSelector: 'all()',
      vxlanMode: 'Never',
    },
  };
}

export function felixConfiguration(families: readonly Family[]): RawObject {
  return {
    apiVersion: GROUP,
    kind: 'FelixConfiguration',
    metadata: identity('default', 0),
    spec: {
      bpfLogLevel: '',
      floatingIPs: 'Disabled',
      healthPort: 9099,
      logSeverityScreen: 'Info',
      nodeMetricsPort: 9091,
      wireguardEnabled: families.includes(4),
      wireguardEnabledV6: families.includes(6),
    },
  };
}

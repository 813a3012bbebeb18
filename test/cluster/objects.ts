/**
 * The laboratory's cluster: objects and addresses, by the index of a node. Node 3 is 172.20.0.3 and
 * fd20::3, its block 10.244.3.0/26 and fd10:244:3::/122, its pod the second of these.
 */
import type { Family } from '../../src/base/family.ts';
import type { Manifest } from './control-plane.ts';

export const GROUP = 'crd.projectcalico.org/v1';
export const KEY = {
  4: 'projectcalico.org/WireguardPublicKey',
  6: 'projectcalico.org/WireguardPublicKeyV6',
} as const;

export const nodeName = (index: number): string => `node-${index}`;
export const nodeAddress = (index: number, family: Family): string =>
  family === 4 ? `172.20.0.${index}` : `fd20::${index}`;
export const podAddress = (index: number, family: Family, host = 2): string =>
  family === 4 ? `10.244.${index}.${host}` : `fd10:244:${index}::${host}`;
export const blockOf = (index: number, family: Family): string =>
  family === 4 ? `10.244.${index}.0/26` : `fd10:244:${index}::/122`;

const PLURALS = {
  Node: '/api/v1/nodes',
  FelixConfiguration: `/apis/${GROUP}/felixconfigurations`,
  IPAMBlock: `/apis/${GROUP}/ipamblocks`,
} as const;

/** Of an object. A block is named by its prefix. */
export function path(kind: keyof typeof PLURALS, name: string): string {
  return `${PLURALS[kind]}/${kind === 'IPAMBlock' ? name.replace(/[.:/]/g, '-') : name}`;
}

export function node(index: number, families: readonly Family[]): Manifest {
  const annotations = families.map(family => [
    `projectcalico.org/IPv${family}Address`,
    `${nodeAddress(index, family)}/${family === 4 ? 24 : 64}`,
  ]);
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: nodeName(index), annotations: Object.fromEntries(annotations) as Record<string, string> },
    status: { addresses: families.map(family => ({ type: 'InternalIP', address: nodeAddress(index, family) })) },
  };
}

/**
 * @param allocations maps an address' number in the block to the index of the node whose pod uses
 * it
 */
export function ipamBlock(cidr: string, owner: number, allocations: Readonly<Record<number, number>>): Manifest {
  const given = Object.entries(allocations);
  const slots = Array.from({ length: 64 }, (_, ordinal): number | null => {
    const at = given.findIndex(([each]) => Number(each) === ordinal);
    return at < 0 ? null : at;
  });
  return {
    apiVersion: GROUP,
    kind: 'IPAMBlock',
    metadata: { name: cidr.replace(/[.:/]/g, '-') },
    spec: {
      cidr,
      affinity: `host:${nodeName(owner)}`,
      allocations: slots,
      unallocated: slots.flatMap((slot, ordinal) => (slot === null ? [ordinal] : [])),
      strictAffinity: false,
      attributes: given.map(([ordinal, holder]) => ({
        handle_id: `k8s-pod-network.${ordinal}`,
        secondary: { node: nodeName(holder), namespace: 'default', pod: `pod-${ordinal}` },
      })),
    },
  };
}

export function pool(family: Family): Manifest {
  const spec = family === 4 ? { cidr: '10.244.0.0/16', blockSize: 26 } : { cidr: 'fd10:244::/32', blockSize: 122 };
  return { apiVersion: GROUP, kind: 'IPPool', metadata: { name: `pool-${family}` }, spec };
}

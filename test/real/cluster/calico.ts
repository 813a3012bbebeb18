/** Calico's objects of the real cluster, and definitions of them for where Calico's own are not. */
import type { CalicoGroup } from '../../../src/calico/datastore/resource-kinds.ts';
import type { Manifest } from '../../cluster/control-plane.ts';
import type { PodRange } from './machine.ts';
import { blockOf, nodeName, POOL } from './network.ts';

/** The group of plainDefinitions(). */
const PLAIN_GROUP: CalicoGroup = 'crd.projectcalico.org/v1';
const KINDS = [
  'ClusterInformation',
  'FelixConfiguration',
  'IPPool',
  'IPAMBlock',
  'IPAMHandle',
  'BlockAffinity',
  'IPAMConfig',
];
/** Addresses of each block that Calico keeps for itself: the gateway and tunnels. */
const RESERVED = 8;
const SIZE = 64;

/** Definitions without a schema, for a machine that does not have Calico's own. */
export function plainDefinitions(): readonly Manifest[] {
  const [group, version] = PLAIN_GROUP.split('/');
  return KINDS.map(kind => {
    const plural = kind.endsWith('y') ? `${kind.slice(0, -1)}ies` : `${kind}s`;
    const names = { kind, plural: plural.toLowerCase(), singular: kind.toLowerCase() };
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    return {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${names.plural}.${group}` },
      spec: { group, names, scope: 'Cluster', versions: [{ name: version, served: true, storage: true, schema }] },
    };
  });
}

/** Objects without their group, which the cluster adds. */
export type CalicoObject = Omit<Manifest, 'apiVersion'>;

export function pool(): CalicoObject {
  const spec = { cidr: POOL, blockSize: 26, ipipMode: 'Never', vxlanMode: 'Never', natOutgoing: false };
  return { kind: 'IPPool', metadata: { name: 'default-ipv4-ippool' }, spec };
}

/** The block of a node. The CNI plugin's part of it counts as allocated. */
export function block(index: number): CalicoObject {
  const cidr = blockOf(index);
  const allocations = Array.from({ length: SIZE }, (_, ordinal) => (ordinal < 2 || ordinal >= RESERVED ? 0 : null));
  return {
    kind: 'IPAMBlock',
    metadata: { name: cidr.replace(/[./]/g, '-') },
    spec: {
      cidr,
      affinity: `host:${nodeName(index)}`,
      allocations,
      unallocated: allocations.flatMap((slot, ordinal) => (slot === null ? [ordinal] : [])),
      strictAffinity: false,
      attributes: [{ handle_id: `pods-of-${nodeName(index)}`, secondary: { node: nodeName(index) } }],
    },
  };
}

/** The range of a block from which the CNI plugin serves pods. */
export function podRange(index: number): PodRange {
  const at = (host: number) => `10.244.${index}.${host}`;
  return { subnet: blockOf(index), first: at(RESERVED), last: at(SIZE - 2), gateway: at(1) };
}

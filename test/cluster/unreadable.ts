/**
 * Unreadable objects: invalid keys, addresses, prefixes, selectors, allocations and values, and
 * very long ones.
 */
import { sleep } from '../netns/command.ts';
import type { ControlPlane, Manifest } from './control-plane.ts';
import { blockOf, GROUP, ipamBlock, KEY, node, nodeName } from './objects.ts';

type Texts = Readonly<Record<string, string>>;

/** @param key the key of node 3, which another node claims too */
export async function createUnreadable(plane: ControlPlane, key: string): Promise<void> {
  await plane.apply(...unreadable(key));
  await createUnchecked(plane, {
    apiVersion: GROUP,
    kind: 'IPPool',
    metadata: { name: 'bad-pool' },
    spec: { cidr: 'everything' },
  });
}

/**
 * Stores an object from before Calico's CRD validated it: an older CRD accepts it, and an upgrade
 * keeps it.
 */
async function createUnchecked(plane: ControlPlane, object: Manifest): Promise<void> {
  const crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ippools.crd.projectcalico.org';
  const { spec } = (await plane.api('GET', crd)) as { spec: { versions: readonly object[] } };
  const openAPIV3Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const versions = spec.versions.map(version => ({ ...version, schema: { openAPIV3Schema } }));
  await plane.api('PATCH', crd, { spec: { versions } });
  try {
    // The server applies the other CRD with a delay.
    for (let i = 0; ; i++)
      try {
        return await plane.apply(object);
      } catch (error) {
        if (i === 100) throw error;
        await sleep(100);
      }
  } finally {
    await plane.api('PATCH', crd, { spec: { versions: spec.versions } });
  }
}

function unreadable(key: string): readonly Manifest[] {
  return [
    bad(11, { [KEY[4]]: 'no key at all' }),
    bad(12, { [KEY[4]]: `${'A'.repeat(43)}=` }),
    bad(13, { [KEY[4]]: Buffer.alloc(31, 1).toString('base64') }),
    bad(14, { [KEY[4]]: key }),
    bad(15, { 'projectcalico.org/IPv4Address': '172.20.0.999/24', [KEY[4]]: Buffer.alloc(32, 9).toString('base64') }),
    bad(16, { [KEY[4]]: 'x'.repeat(200_000), 'projectcalico.org/Interfaces': '{"y"' }),
    block('bad-cidr', { cidr: '10.244.300.0/26' }),
    block('bad-length', { cidr: '10.244.22.0/77' }),
    block('bad-allocations', {
      cidr: '10.244.23.0/26',
      allocations: [0, 5, null, -3],
      attributes: [{ handle_id: 'h' }],
    }),
    block('unknown-fields', { cidr: '10.244.24.0/26', colour: { of: ['the', 7, null] } }),
    felix('odd', { nodeSelector: 'has(' }),
    felix(`node.${nodeName(1)}`, {}, { 'config.projectcalico.org/WireguardMTU': 'banana' }),
  ];
}

function bad(index: number, annotations: Texts): Manifest {
  const whole = node(index, [4]);
  const all = { ...(whole.metadata['annotations'] as Texts), ...annotations };
  return { ...whole, metadata: { ...whole.metadata, annotations: all } };
}

function block(name: string, change: object): Manifest {
  const spec = ipamBlock(blockOf(21, 4), 2, {})['spec'] as object;
  return { apiVersion: GROUP, kind: 'IPAMBlock', metadata: { name }, spec: { ...spec, ...change } };
}

function felix(name: string, spec: object, annotations: Texts = {}): Manifest {
  return { apiVersion: GROUP, kind: 'FelixConfiguration', metadata: { name, annotations }, spec };
}

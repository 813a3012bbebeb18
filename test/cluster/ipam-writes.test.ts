/**
 * The agent's writes to Calico's IPAM, validated by Calico's own CRDs in either group: nothing is
 * refused, nothing pruned.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import { ipamPort } from '../../src/calico/agent/ipam.ts';
import { openApiDatastore } from '../../src/calico/datastore/api/datastore.ts';
import type { Datastore, ObjectStore, StoredObject } from '../../src/calico/datastore/datastore.ts';
import { AddressAllocator } from '../../src/calico/publish/ipam/allocator.ts';
import { calicoCrds } from './calico-crds.ts';
import { type ControlPlane, describeCluster, type Manifest, startControlPlane } from './control-plane.ts';

const NODE = 'worker.example';
const POOL_SIZE = { cidr: '192.168.0.0/24', blockSize: 26 };

describeCluster('IPAM with Calico’s own CRDs', () => {
  describe.each(['crd.projectcalico.org/v1', 'projectcalico.org/v3'] as const)('%s', group => {
    let plane: ControlPlane;
    let datastore: Datastore;
    const written: string[] = [];

    beforeAll(async () => {
      plane = await startControlPlane();
      const config = group === 'projectcalico.org/v3' ? 'IPAMConfiguration' : 'IPAMConfig';
      await plane.apply(...calicoCrds(group));
      await plane.apply(
        { apiVersion: 'v1', kind: 'Node', metadata: { name: NODE } },
        { apiVersion: group, kind: 'IPPool', metadata: { name: 'pool' }, spec: POOL_SIZE },
        {
          apiVersion: group,
          kind: config,
          metadata: { name: 'default' },
          spec: { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0 },
        },
      );
      datastore = await openApiDatastore({ kubeconfig: plane.kubeconfig, env: {} });
    });
    afterEach(() => void written.splice(0));
    afterAll(async () => {
      await datastore?.close();
      await plane?.stop();
    });

    const allocator = (): AddressAllocator =>
      new AddressAllocator({
        node: NODE,
        ipam: ipamPort(kept(datastore.objects, written)),
        api: datastore,
        matches: () => true,
        pause: async () => {},
        now: Date.now,
        log: () => {},
      });

    test('an address from a new block, another agent that finds it, and its release', async () => {
      const { address, problem } = await allocator().ensure(4, undefined);
      expect(problem).toBeUndefined();
      expect(written).toEqual([
        'create BlockAffinity',
        'create IPAMBlock',
        'replace BlockAffinity',
        'create IPAMHandle',
        'replace IPAMBlock',
      ]);
      const text = formatAddress(address!);
      expect(await allocator().ensure(4, text)).toEqual({ address });
      expect(written).toHaveLength(5);
      const { metadata } = (await plane.api('GET', `/api/v1/nodes/${NODE}`)) as Manifest;
      expect(metadata['annotations']).toEqual({ 'projectcalico.org/IPv4WireguardInterfaceAddr': text });
      expect((await allocator().release(4, text)).problem).toBeUndefined();
      expect(written.slice(5)).toEqual(['replace IPAMBlock', 'delete IPAMHandle']);
      expect(await datastore.objects.list('IPAMHandle')).toEqual([]);
    });

    test('an address from a block that Calico filled: its contents stay, number by number', async () => {
      const [block] = await datastore.objects.list('IPAMBlock');
      const attributes = [
        { handle_id: 'k8s-pod-network.a', secondary: { node: 'x', pod: 'p' }, alternateOwnerAttrs: { pod: 'q' } },
        { handle_id: 'k8s-pod-network.b', secondary: { node: 'x' }, releasedAt: '2026-01-01T00:00:00Z' },
      ];
      const allocations = Array.from({ length: 64 }, (_, i) => (i < 2 ? i : null));
      const filled = {
        ...block!.spec,
        affinityClaimTime: '2026-01-01T00:00:00Z',
        allocations,
        unallocated: allocations.flatMap((each, i) => (each === null ? [i] : [])),
        attributes,
        sequenceNumber: 7,
        sequenceNumberForAllocation: { 0: 3, 1: 5 },
      };
      await datastore.objects.replace('IPAMBlock', { ...block!, spec: filled });
      expect((await allocator().ensure(4, undefined)).problem).toBeUndefined();
      const after = (await datastore.objects.get('IPAMBlock', block!.metadata.name))!.spec as typeof filled;
      expect(after.attributes.slice(0, 2)).toEqual(attributes);
      expect(after.sequenceNumberForAllocation).toMatchObject({ 0: 3, 1: 5 });
      expect(after.affinityClaimTime).toBe(filled.affinityClaimTime);
      expect((await allocator().release(4, undefined)).problem).toBeUndefined();
      const end = (await datastore.objects.get('IPAMBlock', block!.metadata.name))!.spec as typeof filled;
      expect(end.attributes).toEqual(attributes);
      expect(end.allocations).toEqual(allocations);
    });
  });
});

/**
 * Wraps the store and checks that each answer has all fields that were sent: a CRD silently prunes
 * unknown ones.
 */
function kept(objects: ObjectStore, written: string[]): ObjectStore {
  const checked = async (what: string, kind: string, sent: StoredObject['spec'], answer: Promise<StoredObject>) => {
    const { spec, metadata } = await answer;
    written.push(`${what} ${kind}`);
    expect(spec).toEqual({ ...spec, ...sent });
    return { ...(await answer), spec, metadata };
  };
  return {
    ...objects,
    create: (kind, object) => checked('create', kind, object.spec, objects.create(kind, object)),
    replace: (kind, object) => checked('replace', kind, object.spec, objects.replace(kind, object)),
    delete: async (kind, object) => {
      await objects.delete(kind, object);
      written.push(`delete ${kind}`);
    },
  };
}

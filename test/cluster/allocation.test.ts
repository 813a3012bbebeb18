/**
 * `--allocate` on a real API server with Calico's own CRDs: what Calico's IPAM finds, and numbers
 * beyond JavaScript's.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ipamPort } from '../../src/calico/agent/ipam.ts';
import { openApiDatastore } from '../../src/calico/datastore/api/datastore.ts';
import type { Datastore } from '../../src/calico/datastore/datastore.ts';
import { AddressAllocator } from '../../src/calico/publish/ipam/allocator.ts';
import { calicoCrds } from './calico-crds.ts';
import { type ControlPlane, describeCluster, startControlPlane } from './control-plane.ts';

const GROUP = '/apis/crd.projectcalico.org/v1';
/** libcalico-go finds a host's blocks by these labels only. */
const CLAIMS = `${GROUP}/blockaffinities?labelSelector=${encodeURIComponent(
  'projectcalico.org/hostname-hash=A3XPYDATRKB7Q4SM2O5FN4RXIHBFIL2PITFX26BAIP5XAB2X74CA,projectcalico.org/affinity-type=host,projectcalico.org/ip-version=4',
)}`;
/** A number of another program, too large for JavaScript's numbers. */
const THEIRS = 1795933657863714321n;

describeCluster("with Calico's own CRDs", () => {
  let plane: ControlPlane;
  let datastore: Datastore;

  beforeAll(async () => {
    plane = await startControlPlane();
    await plane.apply(...calicoCrds('crd.projectcalico.org/v1'));
    await plane.apply(
      { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } },
      {
        apiVersion: 'crd.projectcalico.org/v1',
        kind: 'IPPool',
        metadata: { name: 'pool' },
        spec: { cidr: '10.244.0.0/16', blockSize: 26, ipipMode: 'Never', vxlanMode: 'Never', nodeSelector: 'all()' },
      },
    );
    datastore = await openApiDatastore({ kubeconfig: plane.kubeconfig, env: {} });
  });
  afterAll(async () => {
    await datastore?.close();
    await plane?.stop();
  });

  const allocator = (): AddressAllocator =>
    new AddressAllocator({
      node: 'node-1',
      ipam: ipamPort(datastore.objects),
      api: datastore,
      matches: () => true,
      pause: async () => {},
      now: Date.now,
      log: () => {},
    });

  test("Calico's IPAM finds the claim by its labels, and the block counts from the time", async () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    expect((await allocator().ensure(4, undefined)).problem).toBeUndefined();
    const { items } = (await plane.api('GET', CLAIMS)) as { items: { spec: { state: string; node: string } }[] };
    expect(items.map(({ spec }) => spec)).toMatchObject([{ state: 'confirmed', node: 'node-1' }]);
    const [block] = await datastore.objects.list('IPAMBlock');
    expect(block!.spec['sequenceNumber']).toBeGreaterThan(before);
    expect(block!.spec['affinityClaimTime']).toMatch(/^\d{4}-.*Z$/);
  });

  test('foreign numbers are unchanged after our address was allocated and released', async () => {
    const [block] = await datastore.objects.list('IPAMBlock');
    const { allocations, attributes, unallocated } = block!.spec as unknown as {
      allocations: (number | null)[];
      attributes: object[];
      unallocated: number[];
    };
    const spec = {
      ...block!.spec,
      allocations: allocations.map((each, i) => (i === 9 ? attributes.length : each)),
      unallocated: unallocated.filter(each => each !== 9),
      attributes: [...attributes, { handle_id: 'a-pod', secondary: { node: 'node-1', pod: 'p' } }],
      sequenceNumber: THEIRS + 2n,
      sequenceNumberForAllocation: { 9: THEIRS },
    };
    await datastore.objects.replace('IPAMBlock', { ...block!, spec });
    expect((await allocator().release(4, undefined)).problem).toBeUndefined();
    expect((await allocator().ensure(4, undefined)).problem).toBeUndefined();
    const [after] = await datastore.objects.list('IPAMBlock');
    const numbers = after!.spec['sequenceNumberForAllocation'] as Record<string, bigint>;
    expect(after!.spec['sequenceNumber']).toBe(THEIRS + 4n);
    expect(numbers[9]).toBe(THEIRS);
    expect(Object.values(numbers).sort()).toEqual([THEIRS, THEIRS + 3n]);
  });
});

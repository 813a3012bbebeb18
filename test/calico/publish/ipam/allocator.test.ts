/** Tunnel addresses from IPAM, by the rules of docs/reference/calico-felix.md#tunnel-addresses. */
import { describe, expect, test } from 'vitest';
import { parsePrefix } from '../../../../src/base/prefix.ts';
import { ADDRESS_ANNOTATION } from '../../../../src/calico/model/annotations.ts';
import { newBlock, parseBlock } from '../../../../src/calico/publish/ipam/block.ts';
import { AllocatorScene, BLOCK, CIDR, HANDLE, NOW, TYPE } from './allocator-scene.ts';

describe.each([4, 6] as const)('IPv%s', family => {
  const scene = new AllocatorScene(family);
  const { cidr, name } = BLOCK[family];

  test("from the node's own block, with handle, attributes and annotation as Calico writes them", async () => {
    scene.pool();
    scene.ownBlock();
    const address = scene.text(await scene.ensure());
    expect(address).toBe(family === 4 ? '10.42.0.64' : 'fd42::40');
    expect(scene.annotations).toEqual({ n1: { [ADDRESS_ANNOTATION[family]]: address } });
    expect(scene.ipam.specOf('IPAMBlock', name)).toMatchObject({
      attributes: [{ handle_id: HANDLE[family], secondary: { node: 'n1', type: TYPE[family] } }],
    });
    expect((scene.ipam.specOf('IPAMBlock', name)!['allocations'] as unknown[]).slice(0, 2)).toEqual([0, null]);
    expect(scene.ipam.specOf('IPAMBlock', name)!['unallocated']).not.toContain(0);
    expect(scene.ipam.specOf('IPAMHandle', HANDLE[family])).toEqual({
      handleID: HANDLE[family],
      block: { [cidr]: 1 },
      deleted: false,
    });
    expect(scene.ipam.names('IPAMBlock')).toHaveLength(1);
  });

  test('is kept by repeated calls without a write', async () => {
    scene.pool();
    const first = scene.text(await scene.ensure());
    const writes: string[] = [];
    scene.ipam.before = verb => void (/list|get/.test(verb) || writes.push(verb));
    expect(scene.text(await scene.ensure())).toBe(first);
    expect(writes).toEqual([]);
    // A lost or changed annotation is written again.
    scene.annotations = { n1: { [ADDRESS_ANNOTATION[family]]: '10.9.9.9' } };
    expect(scene.text(await scene.ensure())).toBe(first);
    expect(scene.annotated()).toBe(first);
  });

  test('claims a block if the node has none: pending affinity, block, confirmed affinity', async () => {
    scene.pool();
    const steps: string[] = [];
    scene.ipam.before = (verb, kind) =>
      void (
        /list|get/.test(verb) ||
        steps.push(
          `${verb} ${kind} ${scene.ipam.names('BlockAffinity').map(each => scene.ipam.specOf('BlockAffinity', each)!['state'])}`,
        )
      );
    scene.text(await scene.ensure());
    expect(steps).toEqual([
      'create BlockAffinity ',
      'create IPAMBlock pending',
      'replace BlockAffinity pending',
      'create IPAMHandle confirmed',
      'replace IPAMBlock confirmed',
    ]);
    const [block] = scene.ipam.names('IPAMBlock');
    expect(scene.ipam.names('BlockAffinity')).toEqual([`n1-${block}`]);
    expect(scene.ipam.specOf('BlockAffinity', `n1-${block}`)).toMatchObject({
      node: 'n1',
      type: 'host',
      state: 'confirmed',
      deleted: 'false',
      cidr: scene.ipam.specOf('IPAMBlock', block!)!['cidr'],
    });
    expect(scene.ipam.specOf('IPAMBlock', block!)).toMatchObject({ affinity: 'host:n1', strictAffinity: false });
  });

  test('comes only from enabled pools that select the node and allow tunnels', async () => {
    for (const change of [
      { disabled: true },
      { nodeSelector: 'others' },
      { allowedUses: ['Workload'] },
      { cidr: 'nonsense' },
    ]) {
      scene.reset();
      scene.pool(change);
      const { address, problem } = await scene.ensure();
      expect(address).toBeUndefined();
      expect(problem).toMatchObject({
        object: 'Node/n1',
        reason: 'NoIPPool',
        message: expect.stringContaining('nodeSelector'),
      });
      scene.pool({ nodeSelector: 'mine', allowedUses: ['Workload', 'Tunnel'] });
      scene.text(await scene.ensure());
    }
    scene.ipam.put('IPPool', { metadata: { name: 'pool', deletionTimestamp: 'x' }, spec: { cidr: CIDR[family] } });
    expect((await scene.ensure()).problem).toMatchObject({ reason: 'NoIPPool' });
  });

  test('is released and replaced if its pool may no longer be used', async () => {
    scene.pool();
    const first = scene.text(await scene.ensure());
    scene.pool({ disabled: true });
    scene.pool({ cidr: family === 4 ? '10.43.0.0/24' : 'fd43::/120' }, 'second');
    const second = scene.text(await scene.ensure());
    expect(second).toMatch(/^(10\.43|fd43)/);
    expect(scene.held('n1')).toEqual([second]);
    expect(first).not.toBe(second);
    expect(scene.annotated()).toBe(second);
  });

  test('is replaced, but not released, if another handle holds it now', async () => {
    scene.pool();
    scene.ownBlock();
    const first = scene.text(await scene.ensure());
    const spec = structuredClone(scene.ipam.specOf('IPAMBlock', name)!);
    spec['attributes'] = [{ handle_id: 'k8s-pod-network.x', secondary: { node: 'n1', pod: 'p' } }];
    scene.ipam.put('IPAMBlock', { metadata: { name }, spec });
    const second = scene.text(await scene.ensure());
    expect(second).not.toBe(first);
    expect(scene.ipam.specOf('IPAMBlock', name)).toMatchObject({
      attributes: [{ handle_id: 'k8s-pod-network.x' }, { handle_id: HANDLE[family] }],
    });
    await scene.release();
    expect(scene.ipam.specOf('IPAMBlock', name)).toMatchObject({ attributes: [{ handle_id: 'k8s-pod-network.x' }] });
    expect((scene.ipam.specOf('IPAMBlock', name)!['allocations'] as unknown[])[0]).toBe(0);
  });

  test('release removes address, handle and annotation, leaves others’, and is idempotent', async () => {
    scene.pool();
    scene.text(await scene.ensure());
    const other = scene.text(await scene.ensure('n2'));
    await scene.release();
    await scene.release();
    expect([scene.held('n1'), scene.held('n2')]).toEqual([[], [other]]);
    expect(scene.annotated()).toBeUndefined();
    expect(scene.ipam.names('IPAMHandle')).toHaveLength(1);
    expect(scene.annotated('n2')).toBe(other);
  });

  test('skips reserved addresses and full blocks, and obeys the limits of IPAMConfig', async () => {
    scene.pool();
    scene.ownBlock();
    scene.ipam.put('IPReservation', {
      metadata: { name: 'r' },
      spec: { reservedCIDRs: [family === 4 ? '10.42.0.64/30' : 'fd42::40/126'] },
    });
    expect(scene.text(await scene.ensure())).toBe(family === 4 ? '10.42.0.68' : 'fd42::44');
    await scene.release();
    const spec = structuredClone(scene.ipam.specOf('IPAMBlock', name)!);
    scene.ipam.put('IPAMBlock', {
      metadata: { name },
      spec: {
        ...spec,
        allocations: (spec['allocations'] as null[]).map(() => 0),
        unallocated: [],
        attributes: [{ handle_id: 'x' }],
      },
    });
    scene.ipam.put('IPAMConfig', { metadata: { name: 'default' }, spec: { maxBlocksPerHost: 1 } });
    expect((await scene.ensure()).problem).toMatchObject({ reason: 'NoFreeAddress' });
    scene.ipam.put('IPAMConfig', { metadata: { name: 'default' }, spec: { autoAllocateBlocks: false } });
    expect((await scene.ensure()).problem).toMatchObject({ reason: 'NoFreeAddress' });
    scene.ipam.put('IPAMConfig', { metadata: { name: 'default' }, spec: {} });
    scene.text(await scene.ensure());
    expect(scene.ipam.names('IPAMBlock')).toHaveLength(2);
  });
});

describe('blocks', () => {
  const scene = new AllocatorScene(4);

  test('inconsistent blocks are skipped, unknown fields preserved, sequence numbers incremented', async () => {
    const good = newBlock(parsePrefix('10.42.0.0/30')!, 'host:n1', NOW);
    for (const spec of [
      { cidr: 'x' },
      { allocations: [null] },
      { allocations: [5, null, null, null] },
      { unallocated: [9] },
      { attributes: 'x' },
    ])
      expect(parseBlock({ ...good, spec: { ...good.spec, ...spec } })).toBeUndefined();
    scene.ipam.pool('pool', { cidr: '10.42.0.0/24', blockSize: 30 });
    scene.ipam.put('IPAMBlock', {
      ...good,
      extra: 1,
      spec: { ...good.spec, sequenceNumber: 7, sequenceNumberForAllocation: { 3: 2 }, later: true },
    });
    await scene.ensure();
    expect(scene.ipam.objects.get('IPAMBlock/10-42-0-0-30')).toMatchObject({
      extra: 1,
      spec: { later: true, sequenceNumber: 8, sequenceNumberForAllocation: { 0: 7, 3: 2 } },
    });
  });
});

/**
 * Objects that `--allocate` writes meet the requirements of Calico's own IPAM (libcalico-go), so
 * both find the same blocks and allocations.
 */
import { expect, test } from 'vitest';
import { parsePrefix } from '../../../../src/base/prefix.ts';
import { newBlock } from '../../../../src/calico/publish/ipam/block.ts';
import { affinityName } from '../../../../src/calico/publish/ipam/block-affinity.ts';
import type { IpamObject } from '../../../../src/calico/publish/ipam/port.ts';
import { AllocatorScene, BLOCK, NOW } from './allocator-scene.ts';

const HASH = 'projectcalico.org/hostname-hash';
const TYPE = 'projectcalico.org/affinity-type';
const VERSION = 'projectcalico.org/ip-version';

const scene = new AllocatorScene(4);
const scene6 = new AllocatorScene(6);
const affinities = (of: AllocatorScene): readonly IpamObject[] =>
  of.ipam.names('BlockAffinity').map(name => of.ipam.objects.get(`BlockAffinity/${name}`)!);

test("an affinity has the labels by which IPAM finds a node's affinities", async () => {
  scene.pool();
  scene6.pool();
  scene.text(await scene.ensure('node-1'));
  scene6.text(await scene6.ensure('node-1'));
  // The value of a real cluster's node-1.
  const hash = 'A3XPYDATRKB7Q4SM2O5FN4RXIHBFIL2PITFX26BAIP5XAB2X74CA';
  expect(affinities(scene).map(({ metadata }) => metadata['labels'])).toEqual([
    { [HASH]: hash, [TYPE]: 'host', [VERSION]: '4' },
  ]);
  expect(affinities(scene6).map(({ metadata }) => metadata['labels'])).toEqual([
    { [HASH]: hash, [TYPE]: 'host', [VERSION]: '6' },
  ]);
});

test.each([
  ['v1', 'false'],
  ['v3', false],
] as const)('an affinity in group %s has labels and deleted: %o', async (group, deleted) => {
  scene.pool();
  scene.ipam.inGroup = group;
  scene.text(await scene.ensure('node-1'));
  expect(affinities(scene)).toMatchObject([
    { metadata: { labels: { [TYPE]: 'host', [VERSION]: '4' } }, spec: { deleted, type: 'host', state: 'confirmed' } },
  ]);
});

test('affinities that an agent wrote without labels get them, others stay unchanged', async () => {
  scene.pool();
  scene.ownBlock();
  const { cidr, name } = BLOCK[4];
  const bare = (node: string, type?: string): IpamObject => ({
    metadata: { name: `${node}-${name}`, labels: { mine: 'yes' } },
    spec: { cidr, node, state: 'confirmed', deleted: 'false', ...(type && { type }) },
  });
  scene.ipam.put('BlockAffinity', bare('n1'));
  scene.ipam.put('BlockAffinity', bare('n2', 'host'));
  scene.text(await scene.ensure());
  const labels = (node: string): unknown => scene.ipam.objects.get(`BlockAffinity/${node}-${name}`)!.metadata['labels'];
  expect(labels('n1')).toEqual({ mine: 'yes', [HASH]: expect.any(String), [TYPE]: 'host', [VERSION]: '4' });
  expect(labels('n2')).toEqual({ mine: 'yes' });
  // An older Calico rewrote the affinity whole and dropped the labels of an existing claim.
  scene.ipam.put('BlockAffinity', bare('n1'));
  scene.text(await scene.ensure());
  expect(labels('n1')).toMatchObject({ [TYPE]: 'host' });
});

test('an affinity marked as deleted is removed, and an affinity without its block is completed', async () => {
  scene.pool();
  scene.text(await scene.ensure());
  const [block] = scene.ipam.names('IPAMBlock');
  for (const change of [{ deleted: 'true' }, { deleted: true }, { state: 'pendingDeletion' }]) {
    const affinity = scene.ipam.objects.get(`BlockAffinity/n1-${block}`)!;
    scene.ipam.objects.delete(`IPAMBlock/${block}`);
    scene.ipam.objects.delete('IPAMHandle/wireguard-tunnel-addr-n1');
    scene.ipam.put('BlockAffinity', { ...affinity, spec: { ...affinity.spec, ...change } });
    scene.text(await scene.ensure());
    expect(affinities(scene).map(({ spec }) => spec)).toMatchObject([{ state: 'confirmed', deleted: 'false' }]);
    expect(scene.ipam.names('IPAMBlock')).toEqual([block]);
  }
});

test('no address is assigned from a block marked as deleted', async () => {
  scene.pool();
  scene.ownBlock();
  const { name } = BLOCK[4];
  const block = scene.ipam.objects.get(`IPAMBlock/${name}`)!;
  scene.ipam.put('IPAMBlock', { ...block, spec: { ...block.spec, deleted: true } });
  const address = scene.text(await scene.ensure());
  expect(address).not.toMatch(/^10\.42\.0\.(6[4-9]|[789]\d|1[01]\d|12[0-7])$/);
});

test("a new block's sequence starts at the time in nanoseconds, and the block has its claim time", async () => {
  scene.pool();
  scene.text(await scene.ensure());
  const [name] = scene.ipam.names('IPAMBlock');
  const first = BigInt(NOW) * 1_000_000n;
  expect(scene.ipam.specOf('IPAMBlock', name!)).toMatchObject({
    affinityClaimTime: '2026-11-28T12:00:57Z',
    sequenceNumber: first + 1n,
    sequenceNumberForAllocation: { 0: first },
  });
});

test("numbers beyond 2^53 stay exact, ours and other programs'", async () => {
  const block = newBlock(parsePrefix('10.42.0.0/30')!, 'host:n1', NOW);
  const others = { 1: 1795933657863714321n, 2: 1795933657863714323n };
  scene.ipam.pool('pool', { cidr: '10.42.0.0/24', blockSize: 30 });
  scene.ipam.put('IPAMBlock', {
    ...block,
    spec: {
      ...block.spec,
      allocations: [null, 0, 0, null],
      unallocated: [3, 0],
      attributes: [{ handle_id: 'pod' }],
      sequenceNumber: 1795933657863714325n,
      sequenceNumberForAllocation: others,
    },
  });
  expect(scene.text(await scene.ensure())).toBe('10.42.0.3');
  const spec = (): Record<string, unknown> => scene.ipam.specOf('IPAMBlock', '10-42-0-0-30')!;
  expect(spec()['sequenceNumber']).toBe(1795933657863714326n);
  expect(spec()['sequenceNumberForAllocation']).toEqual({ ...others, 3: 1795933657863714325n });
  await scene.release();
  expect(spec()['sequenceNumber']).toBe(1795933657863714327n);
  expect(spec()['sequenceNumberForAllocation']).toEqual(others);
});

test('a released address that still rests no longer counts as ours', async () => {
  const block = newBlock(parsePrefix('10.42.0.0/30')!, 'host:n1', NOW);
  scene.ipam.pool('pool', { cidr: '10.42.0.0/24', blockSize: 30 });
  scene.ipam.put('IPAMBlock', {
    ...block,
    spec: {
      ...block.spec,
      allocations: [0, null, null, null],
      unallocated: [1, 2, 3],
      attributes: [
        {
          handle_id: 'wireguard-tunnel-addr-n1',
          secondary: { node: 'n1', type: 'wireguardTunnelAddress' },
          releasedAt: '2026-11-28T12:00:00Z',
        },
      ],
    },
  });
  expect(scene.text(await scene.ensure())).toBe('10.42.0.1');
});

test('a long affinity name is shortened as in Calico', () => {
  expect(affinityName('node-1', '10-42-0-64-26')).toBe('node-1-10-42-0-64-26');
  const long = affinityName('n'.repeat(245), '10-42-0-64-26');
  expect(long).toMatch(/^n{226}-10-42-0-64-26-[0-9a-f]{11}$/);
  expect(affinityName(`${'n'.repeat(244)}m`, '10-42-0-64-26')).not.toBe(long);
});

/** Assigning a tunnel address under conflicts, with concurrent writers, and after interruptions. */
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../../../../src/base/address.ts';
import { AllocatorScene, BLOCK } from './allocator-scene.ts';
import { conflict } from './fake-ipam.ts';

describe.each([4, 6] as const)('IPv%s', family => {
  const scene = new AllocatorScene(family);

  test('retries every write that conflicts with a faster writer', async () => {
    for (const [verb, kind] of [
      ['create', 'BlockAffinity'],
      ['create', 'IPAMBlock'],
      ['replace', 'BlockAffinity'],
      ['create', 'IPAMHandle'],
      ['replace', 'IPAMBlock'],
    ] as const)
      for (const times of [1, 5]) {
        scene.reset();
        scene.pool();
        let left: number = times;
        scene.ipam.before = (does, what) => {
          if (does === verb && what === kind && left-- > 0) throw conflict('injected');
        };
        expect(scene.held('n1')).toEqual([]);
        const address = scene.text(await scene.ensure());
        expect(scene.held('n1'), `${verb} ${kind}`).toEqual([address]);
        expect(
          scene.ipam
            .names('BlockAffinity')
            .every(each => scene.ipam.specOf('BlockAffinity', each)!['state'] === 'confirmed'),
        ).toBe(true);
      }
  });

  test('interrupted before any write, the next run ends with one address, one block and one confirmed affinity', async () => {
    for (let stopAt = 0; stopAt < 5; stopAt++) {
      scene.reset();
      scene.pool();
      let at = 0;
      scene.ipam.before = verb => {
        if (!/list|get/.test(verb) && at++ >= stopAt) throw new Error('stopped');
      };
      expect((await scene.ensure()).problem).toMatchObject({
        reason: 'AddressNotAllocated',
        message: expect.stringContaining('stopped'),
      });
      scene.ipam.before = undefined;
      const address = scene.text(await scene.ensure());
      expect(scene.held('n1'), `stopped at ${stopAt}`).toEqual([address]);
      expect(scene.ipam.names('IPAMBlock')).toHaveLength(1);
      expect(scene.ipam.names('BlockAffinity').map(each => scene.ipam.specOf('BlockAffinity', each)!['state'])).toEqual(
        ['confirmed'],
      );
    }
  });

  test('releases the address if the Node cannot be patched', async () => {
    scene.pool();
    scene.refusePatch = true;
    expect((await scene.ensure()).problem).toMatchObject({ message: expect.stringContaining('503') });
    expect(scene.held('n1')).toEqual([]);
    scene.refusePatch = false;
    scene.text(await scene.ensure());
  });

  test('twelve concurrent nodes on eight blocks never share an address or a block; nodes without one report it', async () => {
    scene.pool({ blockSize: BLOCK[family].size + 1 });
    const names = Array.from({ length: 12 }, (_, i) => `n${i}`);
    const results = await Promise.all(names.map(each => scene.ensure(each)));
    const assigned = results.flatMap(({ address }) => (address ? [formatAddress(address)] : []));
    expect(new Set(assigned).size).toBe(assigned.length);
    // A pool of 256 addresses has eight blocks of 32.
    expect(assigned).toHaveLength(8);
    for (const { problem } of results.filter(({ address }) => !address))
      expect(problem).toMatchObject({ reason: 'NoFreeAddress' });
    expect(scene.ipam.names('BlockAffinity')).toHaveLength(8);
    for (const [i, each] of names.entries())
      expect(scene.held(each)).toEqual(results[i]!.address ? [formatAddress(results[i]!.address!)] : []);
  });

  test('two concurrent agents of one node end with one address', async () => {
    scene.pool();
    await Promise.all([scene.ensure(), scene.ensure()]);
    const address = scene.text(await scene.ensure());
    expect(scene.held('n1')).toEqual([address]);
    expect(scene.annotated()).toBe(address);
  });
});

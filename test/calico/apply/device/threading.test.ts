/**
 * wireguardThreadingEnabled: only for the kernel's device, once it has a peer; a failure is a
 * warning, and the tunnel works.
 */
import { describe, expect, test } from 'vitest';
import type { Family } from '../../../../src/base/family.ts';
import { NAME, Scene, VARIANTS } from '../scene.ts';

const attribute = (family: Family): string => `class/net/${NAME(family)}/threaded`;

describe.each(VARIANTS)('NAPI threading, %s', (_, families) => {
  const scene = new Scene(families);
  const values = () => families.map(family => scene.node.sysctls.get(attribute(family)));
  const has = (value: string): void => {
    for (const family of families) scene.node.sysctls.set(attribute(family), value);
  };
  const all = (value: string) => families.map(() => value);

  test('toggles 0-1-0', async () => {
    has('0');
    await scene.apply(scene.wanted());
    expect(values()).toEqual(all('0'));
    for (const full of [false, true]) {
      await scene.apply(scene.wanted({ threaded: true }), full);
      expect(values()).toEqual(all('1'));
      expect((await scene.apply(scene.wanted({ threaded: true }), full)).changes).toBe(0);
      await scene.apply(scene.wanted(), full);
      expect(values()).toEqual(all('0'));
    }
  });

  test('waits for the first peer; restores a foreign change', async () => {
    has('0');
    await scene.apply(scene.wanted({ threaded: true }, []));
    expect(values()).toEqual(all('0'));
    await scene.apply(scene.wanted({ threaded: true }));
    expect(values()).toEqual(all('1'));
    has('0');
    await scene.apply(scene.wanted({ threaded: true }));
    expect(values()).toEqual(all('0'));
    await scene.apply(scene.wanted({ threaded: true }), true);
    expect(values()).toEqual(all('1'));
  });

  test('a kernel without it, and one that refuses: a warning, and the tunnel is up', async () => {
    await scene.apply(scene.wanted());
    expect(scene.process.warned).toEqual([]);
    await scene.apply(scene.wanted({ threaded: true }));
    expect(scene.process.warned).toHaveLength(families.length);
    expect(scene.process.warned[0]).toContain(`wireguardThreadingEnabled: true has no effect on ${NAME(families[0]!)}`);
    has('0');
    scene.process.host.sysctls.set = () => {
      throw new Error('EROFS: read-only file system');
    };
    const { tunnels } = await scene.apply(scene.wanted({ threaded: true }), true);
    expect(families.map(family => tunnels[family]!.ready)).toEqual(families.map(() => true));
    expect(scene.process.warned.at(-1)).toContain('EROFS');
  });
});

/**
 * After our key was absent from our Node, peers that dropped their session get two fresh
 * handshakes, per family.
 */
import { expect, test } from 'vitest';
import { KEY_ANNOTATION } from '../../../src/calico/model/annotations.ts';
import { felix, keyText } from './cluster.ts';
import { Scene, type SceneOptions } from './scene.ts';

const [V4, V6] = [KEY_ANNOTATION[4], KEY_ANNOTATION[6]];
const OTHERS = keyText(77);

/** A scene with a published key, after the handshakes that publishing triggers. */
async function running(options: SceneOptions = {}): Promise<Scene> {
  const scene = await new Scene(options).started();
  await scene.pass(5_000);
  scene.refreshes.length = 0;
  return scene;
}

async function wipe(scene: Scene, ...names: readonly string[]): Promise<void> {
  scene.own = Object.fromEntries(Object.entries(scene.own ?? {}).filter(([name]) => !names.includes(name)));
  await scene.told();
}

test('no handshakes while the key stays, whatever else changes', async () => {
  const scene = await running();
  scene.own = { ...scene.own, other: 'x' };
  await scene.told();
  await scene.pass(60_000);
  expect(scene.refreshes).toEqual([]);
  await scene.agent.stop();
});

test('a cleared key: handshakes soon after it is back, and once more', async () => {
  const scene = await running();
  await wipe(scene, V4);
  await scene.pass(5_000);
  expect(scene.own).toMatchObject({ [V4]: keyText(104) });
  expect(scene.refreshes).toEqual(['4 400', '4 2000 again']);
  await scene.pass(60_000);
  expect(scene.refreshes).toHaveLength(2);
  await scene.agent.stop();
});

test('an overwritten key, and one that another program restored', async () => {
  const scene = await running();
  scene.own = { ...scene.own, [V4]: OTHERS };
  await scene.told();
  await scene.pass(5_000);
  expect(scene.refreshes).toEqual(['4 400', '4 2000 again']);
  await scene.pass(60_000);
  scene.refreshes.length = 0;
  scene.patch = async () => {
    throw new Error('503');
  };
  const own = scene.own;
  await wipe(scene, V4);
  await scene.pass(3_000);
  expect(scene.refreshes).toEqual([]);
  scene.own = own;
  await scene.told();
  await scene.pass(5_000);
  expect(scene.refreshes).toEqual(['4 400', '4 2000 again']);
  await scene.agent.stop();
});

test('our Node is deleted and re-created without its key', async () => {
  const scene = await running();
  scene.own = undefined;
  await scene.told();
  await scene.pass(20_000);
  expect(scene.refreshes).toEqual([]);
  scene.own = {};
  await scene.told();
  await scene.pass(5_000);
  expect(scene.own).toMatchObject({ [V4]: keyText(104) });
  expect(scene.refreshes).toEqual(['4 400', '4 2000 again']);
  await scene.agent.stop();
});

test('several restores in a row: the first attempt is not postponed, the second follows the last restore', async () => {
  const scene = await running();
  for (let i = 0; i < 4; i++) {
    await wipe(scene, V4);
    await scene.pass(150);
  }
  await scene.pass(10_000);
  const [first, ...more] = scene.refreshes;
  expect(first).toBe('4 400');
  expect(more.at(-1)).toBe('4 2000 again');
  expect(more.filter(each => each.includes('again'))).toHaveLength(1);
  expect(scene.refreshes.length).toBeLessThanOrEqual(4);
  await scene.agent.stop();
});

test('each family separately', async () => {
  const scene = new Scene();
  scene.more = { felixConfigurations: felix({ wireguardenabled: 'true', wireguardenabledv6: 'true' }) };
  await scene.started();
  await scene.pass(5_000);
  scene.refreshes.length = 0;
  await wipe(scene, V6);
  await scene.pass(5_000);
  expect(scene.refreshes).toEqual(['6 400', '6 2000 again']);
  await scene.pass(60_000);
  scene.refreshes.length = 0;
  await wipe(scene, V4, V6);
  await scene.pass(5_000);
  expect([...scene.refreshes].sort()).toEqual(['4 2000 again', '4 400', '6 2000 again', '6 400']);
  await scene.agent.stop();
});

test('an agent that starts while the key is cleared begins handshakes too: the device has old sessions', async () => {
  const scene = new Scene();
  scene.keys = { 4: Uint8Array.from(Buffer.from(keyText(104), 'base64')) };
  await scene.started();
  await scene.pass(5_000);
  expect(scene.refreshes).toEqual(['4 400', '4 2000 again']);
  await scene.agent.stop();
  const again = new Scene();
  again.own = { [V4]: keyText(104) };
  again.keys = scene.keys;
  await again.started();
  await again.pass(5_000);
  expect(again.refreshes).toEqual([]);
  await again.agent.stop();
});

test('jitters the attempts across the cluster; the first within 600 ms, the second within 3 s', async () => {
  for (const random of [0, 0.5, 0.999]) {
    const scene = await running({ random });
    await wipe(scene, V4);
    await scene.pass(5_000);
    const times = scene.refreshes.map(each => Number(each.split(' ')[1]));
    expect(times).toEqual([400 * (1 + random / 2), 2000 * (1 + random / 2)].map(each => expect.closeTo(each, 0)));
    await scene.agent.stop();
  }
});

test('no attempt while the key is absent again or after close; a failure is logged and the agent goes on', async () => {
  const scene = await running();
  await wipe(scene, V4);
  await scene.pass(100);
  scene.patch = async () => {
    throw new Error('503');
  };
  await wipe(scene, V4);
  await scene.pass(10_000);
  expect(scene.refreshes).toEqual([]);
  scene.patch = async () => {};
  scene.refreshHandshakes = async () => {
    throw new Error('EIO');
  };
  await scene.pass(10_000);
  expect(scene.refreshes).toEqual(['4 400', '4 2000 again']);
  expect(scene.warnings.filter(each => each.includes('EIO'))).toHaveLength(2);
  expect(scene.agent.status.phase).toBe('running');
  await wipe(scene, V4);
  await scene.pass(100);
  await scene.agent.stop();
  scene.refreshes.length = 0;
  await scene.pass(10_000);
  expect(scene.refreshes).toEqual([]);
});

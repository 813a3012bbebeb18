/** The key on our Node: after the tunnel, before its end, and each family by itself; with --once, --take-over and hand-over. */
import { describe, expect, test } from 'vitest';
import { KEY_ANNOTATION } from '../../../src/calico/model/annotations.ts';
import { felix, keyOf, keyText } from './cluster.ts';
import { Scene } from './scene.ts';

const BROKEN = { ready: false, error: { step: 'link' as const, message: 'no' } };
const OFF = { felixConfigurations: felix({ wireguardenabled: 'false' }) };
const ON = { felixConfigurations: felix({ wireguardenabled: 'true' }) };
const BOTH = { felixConfigurations: felix({ wireguardenabled: 'true', wireguardenabledv6: 'true' }) };

async function running(more = ON): Promise<Scene> {
  const scene = new Scene();
  scene.more = more;
  await scene.started();
  await scene.pass(10);
  scene.since();
  return scene;
}

test('the key goes before the tunnel does', async () => {
  const scene = await running();
  scene.more = OFF;
  let release: () => void = () => {};
  scene.patch = () => new Promise(resolve => (release = resolve));
  await scene.told();
  await scene.pass(5000);
  expect(scene.since()).toEqual(['patch 4 -']);
  release();
  await scene.pass(10);
  expect(scene.since()[0]).toBe('apply -');
  expect(scene.own).toEqual({});
});

test('a cluster that does not answer is waited for ten seconds, once', async () => {
  const scene = await running();
  scene.more = OFF;
  scene.patch = () => Promise.reject(new Error('503'));
  await scene.told();
  await scene.pass(9_900);
  expect(scene.since()).not.toContain('apply -');
  await scene.pass(200);
  expect(scene.since()).toContain('apply -');
  expect(scene.agent.status.problems).toMatchObject([{ object: 'Node/n1', reason: 'KeyNotWithdrawn' }]);
  // what comes then does not wait
  const before = scene.clock.now();
  await scene.told();
  expect(scene.since()).toContain('apply -');
  expect(scene.clock.now() - before).toBe(0);
  scene.patch = async () => {};
  await scene.pass(15_000);
  expect(scene.own).toEqual({});
  expect(scene.agent.status.problems).toEqual([]);
});

test('no key while the tunnel is not ready, and it is withdrawn when it stops to be', async () => {
  const scene = new Scene();
  scene.outcome = () => BROKEN;
  await scene.started();
  await scene.pass(5000);
  expect(scene.since().filter(each => each.startsWith('patch'))).toEqual([]);
  scene.outcome = () => ({});
  await scene.pass(5000);
  expect(scene.own).toHaveProperty([KEY_ANNOTATION[4]]);
  scene.outcome = () => BROKEN;
  await scene.told();
  await scene.pass(10);
  expect(scene.own).toEqual({});
  scene.outcome = () => ({});
  await scene.pass(1000);
  expect(scene.own).toHaveProperty([KEY_ANNOTATION[4]]);
});

test('a tunnel that failed and still runs keeps its key', async () => {
  const scene = await running();
  scene.outcome = () => ({ error: BROKEN.error });
  await scene.told();
  await scene.pass(30_000);
  expect(scene.since().filter(each => each.startsWith('patch'))).toEqual([]);
});

test('families know nothing of each other', async () => {
  const scene = await running(BOTH);
  expect(scene.own).toEqual({ [KEY_ANNOTATION[4]]: keyText(104), [KEY_ANNOTATION[6]]: keyText(106) });
  scene.outcome = family => (family === 6 ? BROKEN : {});
  await scene.told();
  await scene.pass(10);
  expect(scene.own).toEqual({ [KEY_ANNOTATION[4]]: keyText(104) });
  expect(scene.agent.status.published).toEqual({ 4: true, 6: false });
  scene.outcome = family => (family === 4 ? BROKEN : {});
  await scene.pass(1000);
  await scene.pass(10);
  expect(scene.own).toEqual({ [KEY_ANNOTATION[6]]: keyText(106) });
});

test('a key that an agent before us left goes at the first turn of a family that is off', async () => {
  const scene = new Scene();
  scene.more = OFF;
  scene.keys = { 4: keyOf(104) };
  scene.own = { [KEY_ANNOTATION[4]]: keyText(104), [KEY_ANNOTATION[6]]: keyText(9) };
  await scene.started();
  await scene.pass(10);
  expect(scene.own).toEqual({ [KEY_ANNOTATION[6]]: keyText(9) });
});

test("somebody else's key stays", async () => {
  const scene = new Scene();
  scene.more = OFF;
  scene.keys = { 4: keyOf(104) };
  scene.own = { [KEY_ANNOTATION[4]]: keyText(7) };
  await scene.started();
  await scene.pass(100_000);
  expect(scene.own).toEqual({ [KEY_ANNOTATION[4]]: keyText(7) });
});

test('our Node is missing: no tunnel, said so; it comes, and so does the tunnel', async () => {
  const scene = new Scene();
  scene.own = undefined;
  await scene.started();
  await scene.pass(10);
  expect(scene.since()).toEqual(['apply - full']);
  expect(scene.reasons).toContain('UnknownNode');
  scene.own = {};
  await scene.told();
  await scene.pass(10);
  expect(scene.own).toHaveProperty([KEY_ANNOTATION[4]]);
});

describe('hand-over', () => {
  test('the kernel has WireGuard: the key goes, then all of it; and it comes back', async () => {
    const scene = await running();
    scene.kernelHasWireguard = async () => true;
    await scene.pass(90_000);
    expect(scene.since().slice(0, 2)).toEqual(['patch 4 -', 'apply - full']);
    expect(scene.agent.status.phase).toBe('handed-over');
    expect(scene.own).toEqual({});
    await scene.pass(200_000);
    expect(scene.since().filter(each => each !== 'apply -' && each !== 'apply - full')).toEqual([]);
    expect(scene.reasons.filter(reason => reason === 'HandedOver').length).toBe(1);
    scene.kernelHasWireguard = async () => false;
    await scene.pass(100_000);
    expect(scene.agent.status.phase).toBe('running');
    expect(scene.own).toHaveProperty([KEY_ANNOTATION[4]]);
  });

  test('it holds while the cluster cannot be read', async () => {
    const scene = await running();
    scene.kernelHasWireguard = async () => true;
    await scene.pass(90_000);
    Object.assign(scene, { synced: false, stale: 'away' });
    await scene.told();
    scene.since();
    await scene.pass(100_000);
    expect(scene.since()).toEqual(['apply - full']);
  });

  test('from the start nothing is made', async () => {
    const scene = new Scene();
    scene.kernelHasWireguard = async () => true;
    scene.own = { [KEY_ANNOTATION[4]]: keyText(7) };
    await scene.started();
    await scene.pass(10);
    expect(scene.since()).toEqual(['apply - full']);
    expect(scene.own).toEqual({ [KEY_ANNOTATION[4]]: keyText(7) });
  });

  test('--take-over does not ask', async () => {
    const scene = new Scene({ takeOver: true });
    scene.kernelHasWireguard = async () => {
      throw new Error('asked');
    };
    await scene.started();
    await scene.pass(10);
    expect(scene.agent.status).toMatchObject({ phase: 'running', problems: [] });
    expect(scene.own).toHaveProperty([KEY_ANNOTATION[4]]);
  });
});

describe('--once', () => {
  const settled = async (scene: Scene, patience = 60_000): Promise<boolean | undefined> => {
    let result: boolean | undefined;
    void scene.agent.waitUntilConverged(patience).then(value => (result = value));
    await scene.pass(patience);
    return result;
  };

  test('ends when the key is on the Node', async () => {
    const scene = new Scene();
    let done = false;
    void scene.agent.waitUntilConverged(60_000).then(() => (done = true));
    let release: () => void = () => {};
    scene.patch = () => new Promise(resolve => (release = resolve));
    await scene.started();
    await scene.pass(5000);
    expect(done).toBe(false);
    release();
    await scene.pass(200);
    expect(done).toBe(true);
  });

  test('ends where WireGuard is off, and where the kernel has it', async () => {
    const off = new Scene();
    off.more = OFF;
    off.keys = { 4: keyOf(104) };
    off.own = { [KEY_ANNOTATION[4]]: keyText(104) };
    expect(await settled(await off.started())).toBe(true);
    expect(off.own).toEqual({});
    const kernel = new Scene();
    kernel.kernelHasWireguard = async () => true;
    expect(await settled(await kernel.started())).toBe(true);
  });

  test.each<[string, (scene: Scene) => void]>([
    ['the cluster was not read', scene => Object.assign(scene, { synced: false })],
    ['the tunnel does not come up', scene => Object.assign(scene, { outcome: () => BROKEN })],
    [
      'it still runs, and something failed',
      scene => Object.assign(scene, { outcome: () => ({ error: BROKEN.error }) }),
    ],
    ['the key is not taken', scene => Object.assign(scene, { patch: () => Promise.reject(new Error('403')) })],
    ['there is no such Node', scene => Object.assign(scene, { own: undefined })],
    ['turns fail', scene => Object.assign(scene, { facts: () => Promise.reject(new Error('no')) })],
    [
      'a key of ours does not go',
      scene =>
        Object.assign(scene, {
          more: OFF,
          keys: { 4: keyOf(104) },
          own: { [KEY_ANNOTATION[4]]: keyText(104) },
          patch: () => Promise.reject(new Error('403')),
        }),
    ],
  ])('gives up in time: %s', async (_, change) => {
    const scene = new Scene();
    change(scene);
    expect(await settled(await scene.started())).toBe(false);
  });
});

/**
 * The key on our Node: published after the tunnel is up, withdrawn before it ends, per family;
 * --once, --take-over, hand-over.
 */
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

test('withdraws the key before removing the tunnel', async () => {
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

test('waits ten seconds, once, for a cluster that does not answer', async () => {
  const scene = await running();
  scene.more = OFF;
  scene.patch = () => Promise.reject(new Error('503'));
  await scene.told();
  await scene.pass(9_900);
  expect(scene.since()).not.toContain('apply -');
  await scene.pass(200);
  expect(scene.since()).toContain('apply -');
  expect(scene.agent.status.problems).toMatchObject([{ object: 'Node/n1', reason: 'KeyNotWithdrawn' }]);
  // Later withdrawals do not wait.
  const before = scene.clock.now();
  await scene.told();
  expect(scene.since()).toContain('apply -');
  expect(scene.clock.now() - before).toBe(0);
  scene.patch = async () => {};
  await scene.pass(15_000);
  expect(scene.own).toEqual({});
  expect(scene.agent.status.problems).toEqual([]);
});

test('publishes no key before the tunnel is ready, and withdraws it when the tunnel stops being ready', async () => {
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

test('a tunnel that failed but still runs keeps its key', async () => {
  const scene = await running();
  scene.outcome = () => ({ error: BROKEN.error });
  await scene.told();
  await scene.pass(30_000);
  expect(scene.since().filter(each => each.startsWith('patch'))).toEqual([]);
});

test('families are independent', async () => {
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

test('withdraws the key of an earlier agent in the first turn of a family that is off', async () => {
  const scene = new Scene();
  scene.more = OFF;
  scene.keys = { 4: keyOf(104) };
  scene.own = { [KEY_ANNOTATION[4]]: keyText(104), [KEY_ANNOTATION[6]]: keyText(9) };
  await scene.started();
  await scene.pass(10);
  expect(scene.own).toEqual({ [KEY_ANNOTATION[6]]: keyText(9) });
});

test("another owner's key stays", async () => {
  const scene = new Scene();
  scene.more = OFF;
  scene.keys = { 4: keyOf(104) };
  scene.own = { [KEY_ANNOTATION[4]]: keyText(7) };
  await scene.started();
  await scene.pass(100_000);
  expect(scene.own).toEqual({ [KEY_ANNOTATION[4]]: keyText(7) });
});

test('a missing Node: no tunnel and a problem; both resolve when the Node appears', async () => {
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
  test('the kernel has WireGuard: the key is withdrawn, then the tunnel removed; and back again', async () => {
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

  test('holds while the cluster is unreadable', async () => {
    const scene = await running();
    scene.kernelHasWireguard = async () => true;
    await scene.pass(90_000);
    Object.assign(scene, { synced: false, stale: 'away' });
    await scene.told();
    scene.since();
    await scene.pass(100_000);
    expect(scene.since()).toEqual(['apply - full']);
  });

  test('creates nothing from the start', async () => {
    const scene = new Scene();
    scene.kernelHasWireguard = async () => true;
    scene.own = { [KEY_ANNOTATION[4]]: keyText(7) };
    await scene.started();
    await scene.pass(10);
    expect(scene.since()).toEqual(['apply - full']);
    expect(scene.own).toEqual({ [KEY_ANNOTATION[4]]: keyText(7) });
  });

  test('--take-over does not check the kernel', async () => {
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

  test('resolves when the key is on the Node', async () => {
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

  test('resolves where WireGuard is off, and where the kernel has it', async () => {
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

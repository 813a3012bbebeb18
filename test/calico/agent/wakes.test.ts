/**
 * Other causes of turns: foreign changes, a failed netlink socket, and pods that must be read
 * first.
 */
import { expect, test } from 'vitest';
import { felix } from './cluster.ts';
import { Scene } from './scene.ts';

test('repairs foreign changes at once, but at most five times a second', async () => {
  const scene = await new Scene().started();
  await scene.pass(1000);
  scene.since();
  scene.broken!();
  await scene.pass(0);
  expect(scene.since()).toEqual(['apply 4 full']);
  // As in a fight with another program: each turn causes another change.
  const times: number[] = [];
  scene.apply = async (_, full) => {
    if (full) times.push(scene.clock.now());
    scene.broken!();
  };
  scene.broken!();
  await scene.pass(2000);
  const pauses = times.slice(1).map((time, i) => time - times[i]!);
  expect(times.length).toBeGreaterThanOrEqual(9);
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(200);
});

test('repairs a change soon after a full turn, even if another turn comes in between', async () => {
  const scene = await new Scene().started();
  await scene.pass(1000);
  scene.broken!();
  await scene.pass(50);
  scene.broken!();
  await scene.told();
  scene.since();
  await scene.pass(200);
  expect(scene.since()).toEqual(['apply 4 full']);
});

test('cancels the retry once a change has fixed the failure', async () => {
  const scene = await new Scene().started();
  await scene.pass(10);
  scene.outcome = () => ({ error: { step: 'link', message: 'no' } });
  await scene.told();
  scene.outcome = () => ({});
  await scene.told();
  scene.since();
  await scene.pass(20_000);
  expect(scene.since()).toEqual([]);
});

test('reopens the netlink socket, with back-off while it fails at once; then runs a full turn', async () => {
  const scene = await new Scene().started();
  await scene.pass(10);
  scene.since();
  scene.ended!(new Error('ENOBUFS'));
  await scene.pass(900);
  expect(scene.watches).toBe(1);
  await scene.pass(100);
  expect(scene.watches).toBe(2);
  expect(scene.since()).toEqual(['apply 4 full']);
  scene.watch = () => {
    throw new Error('EPERM');
  };
  scene.warnings.length = 0;
  scene.ended!(new Error('ENOBUFS'));
  await scene.pass(600_000);
  expect(scene.warnings.length).toBeLessThan(20);
  scene.watch = () => {};
  await scene.pass(60_000);
  const { watches } = scene;
  await scene.pass(600_000);
  expect(scene.watches).toBe(watches);
  await scene.agent.stop();
  scene.ended!(new Error('ENOBUFS'));
  await scene.pass(600_000);
  expect(scene.watches).toBe(watches);
});

test('applies no plan without pods where addresses come from pods', async () => {
  const scene = new Scene();
  const workloads = { felixConfigurations: felix({ wireguardenabled: 'true', routesource: 'WorkloadIPs' }) };
  scene.more = workloads;
  scene.synced = true;
  const gates: (() => void)[] = [];
  scene.facts = () => new Promise(resolve => gates.push(resolve));
  await scene.started();
  // An older snapshot arrives during the first planning.
  scene.tell();
  scene.facts = async () => {};
  scene.synced = false;
  gates[0]!();
  await scene.pass(10);
  scene.broken!();
  await scene.pass(100_000);
  expect(scene.since()).toEqual([]);
  expect(scene.wantedPods).toEqual([true]);
  scene.synced = true;
  const pod = { namespace: 'a', name: 'b', node: 'n2', addresses: [Uint8Array.of(10, 9, 9, 9)] };
  scene.more = { ...workloads, pods: new Map([['a/b', pod]]) };
  await scene.told();
  expect([...scene.applied[0]!.tunnels[4]!.routes.keys()]).toContain('10.9.9.9/32');
});

test('starts even if there are no pods', async () => {
  const scene = new Scene();
  scene.more = { felixConfigurations: felix({ wireguardenabled: 'true', routesource: 'WorkloadIPs' }) };
  await scene.started();
  await scene.pass(10);
  expect(scene.applied.length).toBeGreaterThan(0);
});

/** What else begins a turn: something of ours that broke, a netlink socket that failed, pods that must be read first. */
import { expect, test } from 'vitest';
import { felix } from './cluster.ts';
import { Scene } from './scene.ts';

test('what breaks is seen to at once, but not more often than five times a second', async () => {
  const scene = await new Scene().started();
  await scene.pass(1000);
  scene.since();
  scene.broken!();
  await scene.pass(0);
  expect(scene.since()).toEqual(['apply 4 full']);
  // as of a fight: each turn itself breaks it
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

test('what broke soon after a look at everything is seen to, whatever turn comes between', async () => {
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

test('once a change mended what failed, it is not tried again', async () => {
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

test('the netlink socket is opened again, ever slower while it fails at once; then all is looked at', async () => {
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

test('no plan without pods is applied where addresses come from pods', async () => {
  const scene = new Scene();
  const workloads = { felixConfigurations: felix({ wireguardenabled: 'true', routesource: 'WorkloadIPs' }) };
  scene.more = workloads;
  scene.synced = true;
  const gates: (() => void)[] = [];
  scene.facts = () => new Promise(resolve => gates.push(resolve));
  await scene.started();
  // a snapshot of before comes while the first plan is made
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

test('with no pod at all it begins nevertheless', async () => {
  const scene = new Scene();
  scene.more = { felixConfigurations: felix({ wireguardenabled: 'true', routesource: 'WorkloadIPs' }) };
  await scene.started();
  await scene.pass(10);
  expect(scene.applied.length).toBeGreaterThan(0);
});

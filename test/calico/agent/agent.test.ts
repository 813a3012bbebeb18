/**
 * The agent's loop: it never plans from a partial cluster, runs one turn at a time and always
 * schedules the next.
 */
import { expect, test } from 'vitest';
import { Metrics } from '../../../src/calico/agent/report/metrics.ts';
import { KEY_ANNOTATION } from '../../../src/calico/model/annotations.ts';
import { clusterOf, felix, keyText, node } from './cluster.ts';
import { Scene } from './scene.ts';

const BROKEN = { ready: false, error: { step: 'link' as const, message: 'no' } };
/** The turn that generates the key, and the one that sees it on the Node. */
const FIRST = ['apply 4 full', 'patch 4 +', 'apply 4', 'apply 4'];

test('brings up a tunnel, publishes its key and converges', async () => {
  const scene = await new Scene().started();
  await scene.pass(10);
  expect(scene.since()).toEqual(FIRST);
  expect(scene.own).toEqual({ [KEY_ANNOTATION[4]]: keyText(104) });
  expect(scene.agent.status).toMatchObject({ phase: 'running', published: { 4: true, 6: false }, problems: [] });
  await scene.pass(60_000);
  expect(scene.since()).toEqual([]);
});

test('does nothing before the cluster has been read completely', async () => {
  const scene = new Scene();
  scene.synced = false;
  await scene.started();
  await scene.pass(300_000);
  expect(scene.since()).toEqual([]);
  expect(scene.agent.status.phase).toBe('waiting');
  scene.synced = true;
  await scene.told();
  expect(scene.since()[0]).toMatch(/^apply 4/);
});

test('reports why the cluster cannot be read', async () => {
  const scene = new Scene();
  scene.synced = false;
  scene.problems = [{ object: 'API/nodes', reason: 'AccessDenied', message: 'forbidden' }];
  await scene.started();
  expect(scene.agent.status.problems).toEqual(scene.problems);
  expect(scene.reasons).toEqual(['AccessDenied']);
});

test('keeps running tunnels while the cluster is unreadable, and a resync applies the last plan', async () => {
  const scene = await new Scene().started();
  await scene.pass(10);
  scene.since();
  const last = scene.applied.at(-1);
  Object.assign(scene, { stale: 'away', synced: false, others: new Map(), more: {} });
  await scene.told();
  expect(scene.since()).toEqual([]);
  await scene.pass(100_000);
  expect(scene.since()).toEqual(['apply 4 full']);
  expect(scene.applied.at(-1)).toBe(last);
  expect(scene.agent.status.stale).toBe('away');
  await scene.told();
  // Logged once, for a reader who wonders why nothing happens.
  expect(scene.warnings).toEqual(['the cluster cannot be read, so its last known state stays in effect: away']);
  Object.assign(scene, { stale: undefined, synced: true });
  await scene.told();
  expect(scene.agent.status.stale).toBeUndefined();
  expect(scene.said.filter(each => each === 'the cluster can be read again')).toHaveLength(1);
});

test('coalesces simultaneous changes into one turn, and changes during a turn into one more', async () => {
  const scene = await new Scene().started();
  await scene.pass(10);
  scene.since();
  for (let i = 0; i < 100; i++) scene.tell();
  await scene.pass(0);
  expect(scene.since()).toEqual(['apply 4']);
  let release: () => void = () => {};
  scene.apply = () => new Promise(resolve => (release = resolve));
  await scene.told();
  scene.more = { felixConfigurations: felix({ wireguardenabled: 'true', wireguardlisteningport: '1234' }) };
  for (let i = 0; i < 100; i++) scene.tell();
  scene.apply = async () => {};
  release();
  await scene.pass(0);
  expect(scene.since()).toEqual(['apply 4', 'apply 4']);
  expect(scene.applied.at(-1)?.tunnels[4]?.listenPort).toBe(1234);
});

test('never runs two turns at once, and checks for requests at the end of each', async () => {
  const scene = await new Scene().started();
  let running = 0;
  scene.apply = async () => {
    expect(++running).toBe(1);
    await Promise.resolve();
    running--;
  };
  // At each await point of a turn's end.
  for (let ticks = 0; ticks < 60; ticks++) {
    scene.tell();
    for (let i = 0; i < ticks; i++) await Promise.resolve();
    const port = String(2000 + ticks);
    scene.more = { felixConfigurations: felix({ wireguardenabled: 'true', wireguardlisteningport: port }) };
    scene.tell();
    await scene.pass(0);
    expect(scene.applied.at(-1)?.tunnels[4]?.listenPort).toBe(2000 + ticks);
  }
});

test.each([
  [0, 90_000],
  [1, 99_000],
])('a resync each 90 s and up to a tenth more (chance %d)', async (random, interval) => {
  const scene = await new Scene({ random }).started();
  await scene.pass(100);
  scene.since();
  await scene.pass(interval - 200);
  expect(scene.since()).toEqual([]);
  for (let i = 0; i < 3; i++) {
    await scene.pass(200);
    expect(scene.since()).toEqual(['apply 4 full']);
    await scene.pass(interval - 200);
  }
});

test.each([
  ['10', 10],
  ['1000000000', 86_400],
  ['0', 90],
])("Felix's routeRefreshInterval %s is %d s", async (text, seconds) => {
  const scene = new Scene();
  scene.more = { felixConfigurations: felix({ wireguardenabled: 'true', routerefreshinterval: text }) };
  await scene.started();
  await scene.pass(10);
  scene.since();
  await scene.pass(seconds * 1000 - 1000);
  expect(scene.since()).toEqual([]);
  await scene.pass(1100);
  expect(scene.since()).toEqual(['apply 4 full']);
});

test.each([
  ['that is known later', undefined],
  ['that was a long one', '86400'],
])('a routeRefreshInterval %s counts from when it is known', async (_, before) => {
  const scene = new Scene();
  const told = (seconds: string): void => {
    scene.more = { felixConfigurations: felix({ wireguardenabled: 'true', routerefreshinterval: seconds }) };
  };
  if (before === undefined) scene.synced = false;
  else told(before);
  await scene.started();
  await scene.pass(1000);
  scene.synced = true;
  told('10');
  await scene.told();
  await scene.pass(10);
  scene.since();
  await scene.pass(9000);
  expect(scene.since()).toEqual([]);
  await scene.pass(1100);
  expect(scene.since()).toEqual(['apply 4 full']);
  // Changes in the meantime, as in a busy cluster, do not postpone it.
  for (let second = 0; second < 10; second++) {
    scene.others = clusterOf([node(2, { [KEY_ANNOTATION[4]]: keyText(2 + second) })]).nodes;
    await scene.told();
    await scene.pass(1000);
  }
  expect(scene.since()).toContain('apply 4 full');
});

test('retries failures with back-off up to ten seconds, and resets the back-off after a success', async () => {
  const scene = new Scene();
  scene.outcome = () => BROKEN;
  const times: number[] = [];
  scene.apply = async (_, full) => void (full && times.push(scene.clock.now()));
  await scene.started();
  await scene.pass(60_000);
  const pauses = times.slice(1).map((time, i) => time - times[i]!);
  expect(pauses.slice(0, 6)).toEqual([500, 1000, 2000, 4000, 8000, 10_000]);
  expect(Math.max(...pauses)).toBe(10_000);
  expect(scene.log.filter(each => each.includes('patch'))).toEqual([]);
  expect(scene.agent.status.problems.map(({ reason }) => reason)).toContain('ApplyFailed');
  scene.outcome = () => ({});
  await scene.pass(10_000);
  expect(scene.agent.status).toMatchObject({ problems: [], published: { 4: true } });
  scene.outcome = () => BROKEN;
  times.length = 0;
  await scene.told();
  await scene.pass(500);
  expect(times.length).toBe(1);
});

test('changes during failures do not lengthen the back-off', async () => {
  const scene = new Scene();
  scene.outcome = () => BROKEN;
  await scene.started();
  for (let i = 0; i < 20; i++) await scene.told();
  scene.since();
  await scene.pass(2000);
  expect(scene.since().filter(each => each === 'apply 4 full').length).toBeGreaterThanOrEqual(2);
});

test('a turn that had to wait keeps the pending retry of a failed one', async () => {
  const scene = await new Scene().started();
  await scene.pass(10);
  scene.outcome = () => BROKEN;
  await scene.told();
  scene.since();
  scene.synced = false;
  await scene.told();
  await scene.pass(600);
  expect(scene.since()).toEqual(expect.arrayContaining(['apply 4 full']));
});

test('a dependency that throws does not end the loop, and is reported', async () => {
  const scene = new Scene();
  scene.facts = async () => {
    throw new Error('no netlink');
  };
  await scene.started();
  await scene.pass(20_000);
  expect(scene.since()).toEqual([]);
  expect(scene.agent.status.problems).toEqual([{ object: 'Host', reason: 'TurnFailed', message: 'no netlink' }]);
  // Once, however often the turn is retried.
  expect(scene.warnings.length).toBe(1);
  expect(scene.reasons).toEqual(['TurnFailed']);
  scene.facts = async () => {};
  scene.apply = async () => {
    throw new Error('out of memory');
  };
  await scene.pass(10_000);
  expect(scene.agent.status.failure).toBe('out of memory');
  scene.apply = async () => {};
  await scene.pass(10_000);
  expect(scene.agent.status).toMatchObject({ problems: [], published: { 4: true } });
  expect(scene.agent.status.failure).toBeUndefined();
});

test('stop waits for the turn under way, and no turn follows', async () => {
  const scene = await new Scene().started();
  await scene.pass(10);
  let release: () => void = () => {};
  scene.apply = () => new Promise(resolve => (release = resolve));
  scene.tell();
  await scene.pass(0);
  let stopped = false;
  const stopping = scene.agent.stop().then(() => (stopped = true));
  scene.tell();
  scene.broken!();
  await scene.pass(1000);
  expect(stopped).toBe(false);
  release();
  await stopping;
  scene.since();
  scene.tell();
  scene.broken!();
  await scene.pass(200_000);
  expect(scene.since()).toEqual([]);
  expect(scene.own).toHaveProperty([KEY_ANNOTATION[4]]);
  await scene.agent.stop();
});

test('another node with our own key does not become a peer, from the turn that generated the key', async () => {
  const scene = new Scene();
  scene.others = new Map([['n2', node(2, { [KEY_ANNOTATION[4]]: keyText(104) })]]);
  await scene.started();
  await scene.pass(10);
  expect(scene.applied.at(-1)?.tunnels[4]?.peers.size).toBe(0);
});

test('a Node whose address is not usable as an endpoint gets an Event and a metric, and no peer', async () => {
  const scene = new Scene();
  const odd = { ...node(3, { [KEY_ANNOTATION[4]]: keyText(3) }), bgpAddress: { 4: Uint8Array.of(127, 0, 0, 1) } };
  scene.others = clusterOf([node(2, { [KEY_ANNOTATION[4]]: keyText(2) }), odd]).nodes;
  await scene.started();
  const peers = [...scene.applied.at(-1)!.tunnels[4]!.peers.values()];
  expect(peers.map(each => each.node)).toEqual(['n2']);
  const event = scene.events.find(({ reason }) => reason === 'UnusableNodeAddress');
  expect(event).toMatchObject({ type: 'Warning', message: expect.stringContaining('127.0.0.1') });
  const backend = {
    list: async () => [],
    get: async () => Promise.reject(new Error()),
    counters: async () => undefined,
  };
  const text = await new Metrics({ hostname: 'h', backend, now: () => 0 }).text(scene.agent.status);
  expect(text).toContain('wgts_nodes{family="IPv4",state="unusable-node-address"} 1');
  await scene.agent.stop();
});

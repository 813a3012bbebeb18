/** The changes of the agent's DaemonSet before an uninstallation, and the waiting for its pods. */
import { describe, expect, test } from 'vitest';
import { codedError } from '../../../src/base/coded-error.ts';
import { deleteAll, planRemoval, withdrawAgents } from '../../../src/calico/install/change/removal.ts';
import { changeDaemonSet, untilRolledOut } from '../../../src/calico/install/change/rollout.ts';
import { switchedOff, withdrawing } from '../../../src/calico/install/change/withdrawal.ts';
import type { ApiCall } from '../../../src/calico/install/cluster/api.ts';
import { pathOf } from '../../../src/calico/install/cluster/kinds.ts';
import { type Component, renderChoice } from '../../../src/calico/install/render/manifests.ts';
import { listField, type Resource } from '../../../src/calico/model/resource.ts';
import { deployTree } from '../../support/deploy-tree.ts';
import { MemoryCluster } from '../../support/memory-cluster.ts';

const tree = await deployTree();
const WAITING = { name: 'wait', image: 'old', command: ['wait'] };
const OFF = ['FELIX_WIREGUARDENABLED', 'FELIX_WIREGUARDENABLEDV6'].map(name => ({ name, value: 'false' }));

function agentOf(...components: Component[]): Resource {
  const objects = renderChoice(tree, { installation: 'manifest', components, env: [] });
  return objects.find(({ kind, metadata }) => kind === 'DaemonSet' && metadata.name === 'wireguard-ts')!;
}

const containersOf = (set: Resource, field = 'containers') =>
  listField(set, 'spec', 'template', 'spec', field) as Record<string, unknown>[];

describe('the changes', () => {
  test('the first one switches WireGuard off, and drops options against it', () => {
    const agent = agentOf('always', 'fail-closed');
    const [container] = containersOf(switchedOff(agent));
    expect(container!['args']).toEqual(['calico', '--http', '127.0.0.1:9096', '--fail-closed']);
    expect(container!['env']).toEqual([...(containersOf(agent)[0]!['env'] as object[]), ...OFF]);
    expect(switchedOff(agent)['spec']).toMatchObject({
      updateStrategy: { rollingUpdate: { maxSurge: '100%', maxUnavailable: 0 } },
    });
  });

  test('a variable that switches WireGuard on is replaced', () => {
    const agent = agentOf();
    (containersOf(agent)[0]!['env'] as object[]).push({ name: 'Felix_WireguardEnabled', value: 'true' });
    const names = (containersOf(switchedOff(agent))[0]!['env'] as { name: string }[]).map(({ name }) => name);
    expect(names.filter(name => /wireguardenabled$/i.test(name))).toEqual(['FELIX_WIREGUARDENABLED']);
  });

  test('the second one withdraws in an init container, and then waits', () => {
    const set = withdrawing(switchedOff(agentOf('host-encryption', 'allocate')), WAITING);
    const [withdraw, ...others] = containersOf(set, 'initContainers');
    expect(others).toEqual([]);
    expect(withdraw).toMatchObject({ name: 'withdraw', args: expect.arrayContaining(['--allocate', '--withdraw']) });
    expect(Object.keys(withdraw!).filter(name => name.endsWith('Probe'))).toEqual([]);
    expect(containersOf(set)).toEqual([
      { name: 'wait', image: 'wireguard-ts:0.2.0', imagePullPolicy: 'IfNotPresent', command: ['wait'] },
    ]);
    expect(set['spec']).toMatchObject({
      updateStrategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: '100%' } },
    });
  });

  test('both change nothing the second time, and none goes back', () => {
    const off = switchedOff(agentOf('always'));
    expect(switchedOff(off)).toEqual(off);
    const last = withdrawing(off, WAITING);
    expect(withdrawing(last, WAITING)).toEqual(last);
    expect(switchedOff(last)).toEqual(last);
  });

  test('neither changes its argument', () => {
    const agent = agentOf('always');
    withdrawing(switchedOff(agent), WAITING);
    expect(agent).toEqual(agentOf('always'));
  });

  test('another DaemonSet is an error', () => {
    expect(() => switchedOff({ ...agentOf(), spec: {} })).toThrow(/it is not an agent's/);
  });
});

describe('the rollout', () => {
  const agent = agentOf();
  const path = pathOf(agent);
  const patience = (seconds: number) => {
    let now = 0;
    const said: string[] = [];
    const sleep = async (milliseconds: number) => {
      now += milliseconds;
    };
    return { now: () => now, sleep, timeoutMs: seconds * 1000, log: (text: string) => said.push(text), said };
  };
  const withStatus = (status: object, generation = 2) =>
    new MemoryCluster().put(path, { ...agent, metadata: { ...agent.metadata, generation }, status });

  test.each<[string, object, string | undefined]>([
    ['unseen', { observedGeneration: 1, desiredNumberScheduled: 0 }, 'kube-controller-manager has not seen'],
    [
      'half done',
      { observedGeneration: 2, desiredNumberScheduled: 4, updatedNumberScheduled: 4, numberAvailable: 2 },
      '2 of 4',
    ],
    [
      'not updated',
      { observedGeneration: 2, desiredNumberScheduled: 4, updatedNumberScheduled: 1, numberAvailable: 4 },
      '1 of 4',
    ],
    [
      'done',
      { observedGeneration: 2, desiredNumberScheduled: 4, updatedNumberScheduled: 4, numberAvailable: 4 },
      undefined,
    ],
    ['without nodes', { observedGeneration: 2, desiredNumberScheduled: 0 }, undefined],
  ])('that is %s', async (_, status, message) => {
    const failure = await untilRolledOut(withStatus(status), agent, patience(3));
    if (message === undefined) expect(failure).toBeUndefined();
    else expect(failure).toContain(message);
  });

  test('a DaemonSet that is gone has no pods', async () => {
    expect(await untilRolledOut(new MemoryCluster(), agent, patience(3))).toBeUndefined();
    expect(await changeDaemonSet(new MemoryCluster(), agent, switchedOff)).toBe(false);
  });

  test('an API server that is away does not end the wait', async () => {
    const cluster = withStatus({ observedGeneration: 2, desiredNumberScheduled: 0 });
    let calls = 0;
    const api = {
      send: async (call: ApiCall) => {
        if (++calls <= 5) throw codedError('EAGAIN', 'connect ECONNREFUSED');
        return await cluster.send(call);
      },
    };
    const waiting = patience(60);
    expect(await untilRolledOut(api, agent, waiting)).toBeUndefined();
    expect(waiting.said).toEqual(['the API server does not answer: connect ECONNREFUSED']);
    cluster.forbidden.add(path);
    await expect(untilRolledOut(cluster, agent, waiting)).rejects.toMatchObject({ code: 'EACCES' });
  });

  test('a change that conflicts is made again on the new object', async () => {
    const cluster = withStatus({});
    let conflicts = 0;
    const api = {
      send: async (call: ApiCall) => {
        if (call.method === 'PUT' && conflicts++ < 2) throw codedError('ESTALE', '409');
        return await cluster.send(call);
      },
    };
    expect(await changeDaemonSet(api, agent, switchedOff)).toBe(true);
    expect(conflicts).toBe(3);
    const sent = cluster.sent.length;
    expect(await changeDaemonSet(cluster, agent, switchedOff)).toBe(true);
    // It was read, and not written again.
    expect(cluster.sent.slice(sent).map(({ method }) => method)).toEqual(['GET']);
  });

  test('a step that is not done stops the next one', async () => {
    const cluster = withStatus({ observedGeneration: 2, desiredNumberScheduled: 1 });
    const { agents, waiting } = await planRemoval(cluster, tree);
    expect(agents).toHaveLength(1);
    const failure = await withdrawAgents(cluster, { agents, waiting }, patience(3));
    expect(failure).toMatch(/^DaemonSet kube-system\/wireguard-ts: 0 of 1 nodes are done/);
    expect(containersOf(cluster.objects.get(path) as unknown as Resource, 'initContainers')).toEqual([]);
  });

  test('pods are deleted first, labels of Nodes then, and permissions last', async () => {
    const cluster = new MemoryCluster();
    const objects = renderChoice(tree, { installation: 'manifest', components: [], env: [] });
    for (const object of objects) cluster.put(pathOf(object), { ...object });
    for (const name of ['a', 'b'])
      cluster.put(`/api/v1/nodes/${name}`, {
        metadata: { name, labels: { 'wireguard-ts.io/kernel-module': 'absent' } },
      });
    const removal = await planRemoval(cluster, tree);
    const begin = cluster.sent.length;
    const said: string[] = [];
    await deleteAll(cluster, { ...removal, labelled: ['a', 'b'] }, text => said.push(text));
    const steps = cluster.sent
      .slice(begin)
      .map(({ method, path }) => (method === 'PATCH' ? 'label' : path.split('/').at(-2)!));
    expect(steps.slice(0, 4)).toEqual(['daemonsets', 'daemonsets', 'label', 'label']);
    expect(steps.slice(-2)).toEqual(['serviceaccounts', 'serviceaccounts']);
    expect(said).toHaveLength(objects.length + 1);
    expect((await planRemoval(cluster, tree)).objects).toEqual([]);
  });

  test('objects of the same name that are not ours are left alone', async () => {
    const cluster = withStatus({});
    cluster.objects.get(path)!['metadata'] = { ...agent.metadata, labels: {} };
    expect((await planRemoval(cluster, tree)).objects).toEqual([]);
  });
});

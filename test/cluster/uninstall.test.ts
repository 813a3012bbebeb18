/**
 * `wgts calico uninstall` against a real API server without a kubelet. The test plays the part of
 * the DaemonSet controller: it reports the pods as ready, or does not.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Administrator } from './administrator.ts';
import { type ControlPlane, describeCluster, startControlPlane } from './control-plane.ts';
import { type AgentSet, addCalico, agentSet, ownObjects, wgtsCalico } from './install-steps.ts';
import { KUBECTL_LIMIT_MS } from './kubectl.ts';

const LABEL = 'wireguard-ts.io/kernel-module';
const KEY = 'projectcalico.org/WireguardPublicKey';
const SET = '/apis/apps/v1/namespaces/kube-system/daemonsets/wireguard-ts';

let plane: ControlPlane;
let server: Administrator;
let endOfController = async (): Promise<void> => {};
const wgts = (...args: readonly string[]) => wgtsCalico(plane.kubeconfig, ...args);

describeCluster('wgts calico uninstall', () => {
  beforeAll(async () => {
    plane = await startControlPlane();
    server = await Administrator.of(plane);
    await addCalico(plane);
  }, KUBECTL_LIMIT_MS);
  afterAll(async () => await plane?.stop());

  beforeEach(async () => {
    const { status, err } = await wgts('install', '--apply', '--with', 'always,allocate,host-encryption');
    expect(status, err).toBe(0);
    server.ask(['label', 'node', 'worker-1', `${LABEL}=present`]);
    server.ask(['label', 'node', 'worker-2', `${LABEL}=absent`]);
  });
  afterEach(async () => await endOfController());

  test('prints the plan, and changes nothing', async () => {
    const before = ownObjects(server);
    const { status, out, err } = await wgts('uninstall');
    expect(status, err).toBe(0);
    expect(out).toMatch(/^1\. On each node with an agent: withdraw the key, then remove the tunnel$/m);
    expect(out).toMatch(/^ {3}DaemonSet kube-system\/wireguard-ts$/m);
    expect(out).toMatch(/^4\. Remove the label wireguard-ts\.io\/kernel-module from: worker-1, worker-2$/m);
    expect(out).toMatch(/^Nothing was changed\. To do this: wgts calico uninstall --apply$/m);
    expect(ownObjects(server)).toEqual(before);
  });

  test('deletes nothing while the nodes are not done, and continues later', async () => {
    const before = ownObjects(server);
    const early = await wgts('uninstall', '--apply', '--timeout', '1');
    expect(early.status).toBe(1);
    expect(early.err).toMatch(
      /^Error: not all nodes are done after 1 s: DaemonSet kube-system\/wireguard-ts: kube-controller-manager has not seen the change/m,
    );
    expect(early.err).toMatch(/Nothing was deleted\. .* add --force$/m);
    expect(ownObjects(server)).toEqual(before);

    await plane.apply(stuckPod());
    await plane.api('PATCH', `${SET}/status`, { status: await statusOf(0) });
    const stuck = await wgts('uninstall', '--apply', '--timeout', '1');
    expect(stuck.err).toMatch(/0 of 2 nodes are done; not ready on worker-2 \(ImagePullBackOff\)$/m);
    expect(ownObjects(server)).toEqual(before);

    const seen = playController();
    const { status, out, err } = await wgts('uninstall', '--apply');
    expect(status, err).toBe(0);
    expect(out).toMatch(/^label wireguard-ts\.io\/kernel-module removed from 2 Nodes$/m);
    expect(ownObjects(server)).toEqual([]);
    expect(server.ask(['get', 'nodes', '-o', 'jsonpath={.items[*].metadata.labels}'])).not.toContain('wireguard-ts');

    // First, agents that take the tunnels over and switch them off; then, what removes the rest.
    const [off, last] = [...seen.values()].slice(-2);
    expect(off!.spec.updateStrategy).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge: '100%', maxUnavailable: 0 },
    });
    const [agent] = off!.spec.template.spec.containers;
    expect(agent).toMatchObject({ name: 'agent', args: ['calico', '--http', '127.0.0.1:9096', '--allocate'] });
    for (const name of ['FELIX_WIREGUARDENABLED', 'FELIX_WIREGUARDENABLEDV6'])
      expect(agent!.env).toContainEqual({ name, value: 'false' });
    expect(last!.spec.updateStrategy).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge: 0, maxUnavailable: '100%' },
    });
    const { initContainers, containers } = last!.spec.template.spec;
    expect(initContainers).toMatchObject([
      { name: 'withdraw', args: ['calico', '--http', '127.0.0.1:9096', '--allocate', '--withdraw'] },
    ]);
    expect(containers).toMatchObject([{ name: 'wait', image: agent!.image }]);
    server.ask(['delete', 'pod', 'stuck', '-n', 'kube-system', '--force']);
  });

  test('install takes back an uninstallation that did not end', async () => {
    const args = ['--with', 'always,allocate,host-encryption'];
    const { spec } = await agentSet(plane);
    // Stop in the second step.
    playController(({ spec: { template } }) => template.spec.containers[0]!.name === 'agent');
    expect((await wgts('uninstall', '--apply', '--timeout', '3')).status).toBe(1);
    expect((await agentSet(plane)).spec.template.spec.initContainers).toMatchObject([{ name: 'withdraw' }]);
    expect((await wgts('install', '--diff', ...args)).status).toBe(1);
    expect((await wgts('install', '--apply', ...args)).status).toBe(0);
    expect((await agentSet(plane)).spec).toEqual(spec);
    expect(await wgts('install', '--diff', ...args)).toMatchObject({ status: 0, out: '' });
  });

  test('--force removes everything, and the keys of nodes that are not done', async () => {
    await plane.apply(stuckPod());
    for (const node of ['worker-1', 'worker-2']) server.ask(['annotate', 'node', node, `${KEY}=a key`]);
    const { status, err } = await wgts('uninstall', '--apply', '--force', '--timeout', '1');
    expect(status, err).toBe(0);
    expect(err).toMatch(/^Warning: removed the keys of worker-2 without their agents$/m);
    expect(ownObjects(server)).toEqual([]);
    const keys = ['worker-1', 'worker-2'].map(name =>
      server.ask([
        'get',
        'node',
        name,
        '-o',
        `jsonpath={.metadata.annotations.projectcalico\\.org/WireguardPublicKey}`,
      ]),
    );
    expect(keys).toEqual(['a key', '']);
    server.ask(['delete', 'pod', 'stuck', '-n', 'kube-system', '--force']);
    expect(await wgts('uninstall')).toMatchObject({
      status: 0,
      out: 'The agent is not installed in this cluster: there is nothing to remove\n',
    });
  });

  test('without the permission to delete, nothing begins', async () => {
    server.ask(['create', 'clusterrole', 'viewer', '--verb=get,list', '--resource=*.*']);
    server.ask(['create', 'serviceaccount', 'viewer', '-n', 'default']);
    server.ask(['create', 'clusterrolebinding', 'viewer', '--clusterrole=viewer', '--serviceaccount=default:viewer']);
    const viewer = plane.kubeconfigFor(server.ask(['create', 'token', 'viewer', '-n', 'default']).trim(), 'viewer');
    const { generation } = (await agentSet(plane)).metadata;
    const ask = async () => (await wgtsCalico(viewer, 'uninstall', '--apply')).err;
    await expect.poll(ask).toMatch(/^Error: this user may not: .*delete DaemonSet kube-system\/wireguard-ts/m);
    expect((await agentSet(plane)).metadata.generation).toBe(generation);
  });
});

/** A pod of the agent that never becomes ready. */
function stuckPod() {
  const labels = { 'app.kubernetes.io/name': 'wireguard-ts', 'app.kubernetes.io/component': 'agent' };
  const waiting = { state: { waiting: { reason: 'ImagePullBackOff' } } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'stuck', namespace: 'kube-system', labels },
    spec: { nodeName: 'worker-2', containers: [{ name: 'agent', image: 'i' }] },
    status: {
      phase: 'Pending',
      containerStatuses: [{ name: 'agent', image: 'i', imageID: '', ready: false, restartCount: 0, ...waiting }],
    },
  };
}

async function statusOf(done: number): Promise<object> {
  const { generation } = (await agentSet(plane)).metadata;
  const counts = { desiredNumberScheduled: 2, currentNumberScheduled: 2, numberMisscheduled: 0, numberReady: done };
  return { ...counts, observedGeneration: generation, updatedNumberScheduled: done, numberAvailable: done };
}

/**
 * Reports all pods of each version of the DaemonSet as done.
 * @param isDone chooses the versions @returns the versions by generation
 */
function playController(isDone: (live: AgentSet) => boolean = () => true): Map<number, AgentSet> {
  const seen = new Map<number, AgentSet>();
  let isRunning = true;
  const run = (async () => {
    while (isRunning) {
      try {
        const live = await agentSet(plane);
        seen.set(live.metadata.generation, live);
        if (isDone(live)) await plane.api('PATCH', `${SET}/status`, { status: await statusOf(2) });
      } catch {
        // It is deleted.
      }
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  })();
  endOfController = async () => {
    isRunning = false;
    await run;
  };
  return seen;
}

/**
 * `wgts calico install` and `wgts calico uninstall` on real nodes, under traffic: the agents start,
 * an upgrade loses nothing, and the removal leaves nothing on any node.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { calicoCrds } from '../cluster/calico-crds.ts';
import type { Manifest } from '../cluster/control-plane.ts';
import { sleep, until } from '../netns/command.ts';
import { RealCluster } from './cluster/cluster.ts';
import { AgentDaemonSet } from './cluster/daemon-set.ts';
import { Node } from './cluster/node.ts';
import { PAUSE_IMAGE } from './cluster/node-configuration.ts';
import { findPrograms } from './cluster/programs.ts';
import { Talkers } from './cluster/talkers.ts';
import { inRealCluster } from './real-cluster.ts';

const GROUP = 'crd.projectcalico.org/v1';
const NODES = [1, 2];
const LABEL = 'wireguard-ts.io/kernel-module';

inRealCluster(import.meta.url, () => {
  let cluster: RealCluster;
  let agents: AgentDaemonSet;
  let talkers: Talkers;
  const node = (index: number): Node => new Node(cluster.machine(index));
  const connected = async (): Promise<void> => {
    for (const index of NODES) await until('its peers', async () => (await node(index).peers()) === NODES.length - 1);
  };
  const labels = async (): Promise<readonly (string | undefined)[]> => {
    const { items } = await cluster.get<{ items: { metadata: { labels: Record<string, string> } }[] }>('nodes');
    return items.map(({ metadata }) => metadata.labels[LABEL]);
  };

  beforeAll(async () => {
    const programs = await findPrograms(() => {});
    cluster = await RealCluster.start({ programs, definitions: calicoCrds(GROUP) });
    await Promise.all(NODES.map(index => cluster.addNode(index)));
    await cluster.apply(calicoNode());
    talkers = await Talkers.deploy(cluster, 2);
  });
  afterAll(async () => {
    await cluster?.close();
  });

  test('installs what fits this cluster', async () => {
    const shown = await cluster.wgts('calico', 'install', '--diff');
    expect([shown.code, shown.stderr]).toEqual([1, expect.stringContaining('Calico: by manifest, in kube-system')]);
    const applied = await cluster.wgts('calico', 'install', '--apply');
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
    agents = new AgentDaemonSet(cluster, 'kube-system');
    await agents.untilRolledOut();
    await agents.untilRolledOut('wireguard-ts-labeller');
    await cluster.felix({ wireguardEnabled: true });
    await agents.untilKeys(NODES.length);
    await connected();
    await talkers.untilAllTalk();
    expect((await cluster.verify()).code).toBe(0);
    expect((await cluster.wgts('calico', 'install', '--diff')).code).toBe(0);
  });

  test('an upgrade loses no packet', async () => {
    const since = Date.now();
    const losses = await talkers.during(async () => {
      const { code, stdout, stderr } = await cluster.wgts('calico', 'install', '--apply', '--with', 'fail-closed');
      expect(code, stdout + stderr).toBe(0);
      await agents.untilRolledOut();
    });
    expect(losses).toMatchObject({ lost: losses.overflows, doubled: 0 });
    expect((await cluster.clear.between(since)).slice(0, 3)).toEqual([]);
  });

  test('the removal withdraws every node first, and leaves nothing', async () => {
    const begin = Date.now();
    const { lost, sent } = await talkers.during(async () => {
      const { code, stdout, stderr } = await cluster.wgts('calico', 'uninstall', '--apply');
      expect(code, stdout + stderr).toBe(0);
    });
    console.log(`real: uninstalled in ${Date.now() - begin} ms: ${sent} sent, ${lost} lost`);
    for (const index of NODES) expect(await node(index).leftovers()).toEqual([]);
    expect(await agents.keys()).toEqual(new Map());
    expect(await labels()).toEqual(NODES.map(() => undefined));
    const kinds = 'clusterroles,clusterrolebindings,roles,rolebindings,daemonsets,serviceaccounts';
    const policies = 'validatingadmissionpolicies,validatingadmissionpolicybindings';
    expect(await cluster.kubectl(['get', `${kinds},${policies}`, '-A'])).not.toContain('wireguard');
    const settled = await talkers.during(() => sleep(1_000));
    expect(settled.lost).toBe(0);
  });
});

/** Stands for Calico's own DaemonSet: what the command looks for is its name and its place. */
function calicoNode(): Manifest {
  const matchLabels = { 'k8s-app': 'calico-node' };
  const container = { name: 'calico-node', image: PAUSE_IMAGE, imagePullPolicy: 'IfNotPresent' };
  const template = { metadata: { labels: matchLabels }, spec: { hostNetwork: true, containers: [container] } };
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'calico-node', namespace: 'kube-system', labels: matchLabels },
    spec: { selector: { matchLabels }, template },
  };
}

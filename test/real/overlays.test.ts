/**
 * Each overlay of deploy/ on real nodes: the DaemonSet's pods start with exactly the rights of
 * their manifest, as the container runtime grants them, and the nodes take part in the mesh.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { calicoCrds } from '../cluster/calico-crds.ts';
import { OTHER_CRDS } from '../cluster/other-crds.ts';
import { withOverlay } from '../cluster/overlay.ts';
import { until } from '../netns/command.ts';
import { RealCluster } from './cluster/cluster.ts';
import { AgentDaemonSet } from './cluster/daemon-set.ts';
import { Node } from './cluster/node.ts';
import { findPrograms } from './cluster/programs.ts';
import { inRealCluster } from './real-cluster.ts';

/** The group of Calico's newer versions. The other tests of this folder use the older one. */
const GROUP = 'projectcalico.org/v3';
const NODES = [1, 2];
/** CAP_NET_ADMIN, as a bit of /proc/PID/status. */
const NET_ADMIN = 1n << 12n;
const OVERLAYS = [
  ['manifest-install', 'kube-system', []],
  ['operator-install', 'calico-system', ['fail-closed', 'metrics', 'allocate']],
  ['eks-aws-cni', 'calico-system', []],
  ['aks-azure-cni', 'calico-system', []],
  ['openshift', 'calico-system', []],
] as const;

inRealCluster(import.meta.url, () => {
  let cluster: RealCluster;
  const say = (text: string): void => console.log(`real: ${text}`);

  beforeAll(async () => {
    const programs = await findPrograms(() => {});
    cluster = await RealCluster.start({ programs, definitions: [...calicoCrds(GROUP), ...OTHER_CRDS], group: GROUP });
    await Promise.all(NODES.map(index => cluster.addNode(index)));
    await cluster.felix({ wireguardEnabled: true });
  });
  afterAll(async () => {
    await cluster?.close();
  });

  test.each(OVERLAYS)('%s', async (overlay, namespace, components) => {
    const begin = Date.now();
    const rendered = withOverlay(overlay, components, folder =>
      cluster.kubectlNow(['kustomize', '--load-restrictor=LoadRestrictionsNone', folder]),
    );
    const agents = await AgentDaemonSet.install(cluster, ['-f', '-'], namespace, rendered);
    await agents.untilRolledOut('wireguard-ts-labeller');
    await agents.untilKeys(NODES.length);
    for (const index of NODES) {
      const node = new Node(cluster.machine(index));
      await until('a peer', async () => (await node.peers()) === NODES.length - 1);
      const pod = await agents.podOn(index);
      const status = node.statusOf(pod);
      const value = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1];
      // The runtime grants NET_ADMIN and nothing else, allows no new rights, and filters calls.
      for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect(BigInt(`0x${value(set)}`), set).toBe(NET_ADMIN);
      expect([value('NoNewPrivs'), value('Seccomp')]).toEqual(['1', '2']);
      const write = [
        'exec',
        '-n',
        namespace,
        pod.metadata.name,
        '--',
        '/usr/bin/node',
        '-e',
        "fs.writeFileSync('/x', '')",
      ];
      await expect(cluster.kubectl(write)).rejects.toThrow('EROFS');
    }
    say(`${overlay} ${components.join(' ')}: every node encrypted after ${((Date.now() - begin) / 1000).toFixed(1)} s`);
    await cluster.kubectl(['delete', '-f', '-', '--timeout=120s'], rendered);
    const gone = ['--for=delete', 'pods', '-l', 'app.kubernetes.io/name=wireguard-ts', '--timeout=60s'];
    await cluster.kubectl(['wait', '-n', namespace, ...gone]);
    for (const index of NODES) {
      const { code, stdout, stderr } = await new Node(cluster.machine(index)).withdraw(cluster);
      expect(code, stdout + stderr).toBe(0);
    }
  });
});

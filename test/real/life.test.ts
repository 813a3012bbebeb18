/**
 * The life of a real cluster with the agent's DaemonSet, as an operator lives it: three nodes with
 * kubelet and containerd, pods that send numbered datagrams to each other, and a capture of the
 * network between the nodes. The steps build on each other, and each prints what was lost and what
 * was in the clear. WGTS_REAL=long makes the API server's absence ten minutes instead of seconds,
 * and lets tokens expire in it (npm run test:real:long).
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { calicoCrds } from '../cluster/calico-crds.ts';
import type { Losses } from '../cluster/losses.ts';
import { sleep, until } from '../netns/command.ts';
import { RealCluster } from './cluster/cluster.ts';
import { AgentDaemonSet } from './cluster/daemon-set.ts';
import { nodeName } from './cluster/network.ts';
import { Node } from './cluster/node.ts';
import { findPrograms } from './cluster/programs.ts';
import { Talkers } from './cluster/talkers.ts';
import { inRealCluster, isLong } from './real-cluster.ts';

const OVERLAY = 'deploy/manifest-install';
const GROUP = 'crd.projectcalico.org/v1';
const NODES = [1, 2, 3];
const OUTAGE_MS = isLong ? 600_000 : 20_000;
/**
 * The agents begin their last handshake three seconds after a new key. Two handshakes that cross
 * each other end the session before them, as in the kernel, and packets on their way in it are
 * lost.
 */
const SETTLED_MS = 4_000;
/** Of one step. */
const LIMIT_MS = OUTAGE_MS + 600_000;

interface KubernetesEvent {
  readonly reason: string;
  readonly involvedObject: { readonly name: string };
  readonly source: { readonly component?: string };
}

inRealCluster(import.meta.url, () => {
  let cluster: RealCluster;
  let agents: AgentDaemonSet;
  let talkers: Talkers;

  const say = (text: string): void => console.log(`real: ${text}`);
  /** Runs a step under traffic, and prints and returns what it cost. */
  const measure = async (name: string, step: () => Promise<void>): Promise<Losses & { readonly clear: number }> => {
    const since = Date.now();
    const losses = await talkers.during(step);
    const clear = (await cluster.clear.between(since)).length;
    const { sent, lost, doubled, longestPause } = losses;
    say(
      `${name.padEnd(34)} ${String(sent).padStart(6)} sent ${String(lost).padStart(5)} lost ${String(doubled).padStart(2)} doubled ` +
        `${String(longestPause).padStart(6)} ms longest pause ${String(clear).padStart(5)} in the clear`,
    );
    if (lost > 0) for (const pair of losses.pairs.slice(0, 3)) say(`  ${pair}`);
    return { ...losses, clear };
  };
  const node = (index: number): Node => new Node(cluster.machine(index));
  /** Waits until every agent is ready and has every other node as a peer. */
  const allConnected = async (): Promise<void> => {
    const peers = cluster.machines.size - 1;
    for (const index of cluster.machines.keys()) {
      await node(index).untilReady();
      await until(`${peers} peers of node ${index}`, async () => (await node(index).peers()) === peers);
    }
  };

  /** Waits until all pairs talk, and for the handshakes that agents begin for a new key. */
  const settle = async (): Promise<void> => {
    await talkers.untilAllTalk();
    await sleep(SETTLED_MS);
  };

  beforeAll(async () => {
    const programs = await findPrograms(() => {});
    cluster = await RealCluster.start({ programs, definitions: calicoCrds(GROUP) });
    await Promise.all(NODES.map(index => cluster.addNode(index)));
    agents = await AgentDaemonSet.install(cluster, ['-k', OVERLAY], 'kube-system');
    talkers = await Talkers.deploy(cluster, 2);
    await talkers.untilAllTalk();
  });
  afterAll(async () => {
    await cluster?.close();
  });

  test('enabled: every pair of nodes is encrypted, and nothing is lost', async () => {
    const { lost, pairs } = await measure('enable', async () => {
      await cluster.felix({ wireguardEnabled: true });
      await agents.untilKeys(NODES.length);
      await allConnected();
    });
    const since = Date.now();
    await settle();
    const settled = await measure('three nodes, encrypted', () => sleep(2_000));
    expect((await cluster.clear.between(since)).slice(0, 3)).toEqual([]);
    expect(settled).toMatchObject({ lost: 0, doubled: 0 });
    // Some nodes know a new key before others, so a few datagrams may be lost; docs/en/calico.md.
    expect(lost, pairs.join('\n')).toBeLessThan(NODES.length * 100);
  });

  test('probes, Events and logs are what the guide says', async () => {
    for (const pod of await agents.pods()) {
      expect(pod.status.containerStatuses?.[0]).toMatchObject({ ready: true, restartCount: 0 });
      const log = await agents.logs(pod);
      expect(log).toContain('link tunl-wg.cali: created (userspace)');
      expect(log).not.toMatch(/warning|error/i);
    }
    expect((await node(1).get('/readyz')).body).toContain('"ready":true');
    expect((await node(1).get('/healthz')).status).toBe(200);
    expect((await node(1).get('/metrics')).body).toContain('wireguard_');
    const exec = ['exec', '-n', agents.namespace, 'daemonset/wireguard-ts', '--', 'wgts', 'show'];
    expect(await cluster.kubectl(exec)).toMatch(/interface: tunl-wg\.cali[\s\S]*latest handshake/);
    expect(await cluster.kubectl(['logs', '-n', agents.namespace, 'daemonset/wireguard-ts'])).toContain('tunl-wg.cali');
    const { items } = await cluster.get<{ items: readonly KubernetesEvent[] }>('events');
    const own = items.filter(({ source }) => source.component === 'wireguard-ts');
    const events = own.map(({ involvedObject, reason }) => `${involvedObject.name} ${reason}`);
    expect([...new Set(events)].sort()).toEqual(NODES.map(index => `${nodeName(index)} EncryptionReady`));
    const labels = await cluster.get<{ items: { metadata: { labels: Record<string, string> } }[] }>('nodes');
    for (const { metadata } of labels.items) expect(metadata.labels['wireguard-ts.io/kernel-module']).toBe('absent');
    const said = await cluster.verify();
    expect(said.code, said.stdout + said.stderr).toBe(0);
  });

  test('a node joins: its pods take part, without a packet in the clear', async () => {
    await cluster.addNode(4);
    talkers.prepare(cluster.machine(4));
    await agents.untilKeys(4);
    await agents.untilRolledOut();
    await allConnected();
    await talkers.scale(8);
    await talkers.untilAllRun();
    await settle();
    expect(await measure('a node joined', () => sleep(2_000))).toMatchObject({ lost: 0, clear: 0 });
  });

  test('a node is drained and removed', async () => {
    await cluster.kubectl(['drain', nodeName(4), '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=60s']);
    await talkers.scale(6);
    await talkers.untilAllRun();
    const { lost, clear } = await measure('a node removed', async () => {
      await cluster.removeNode(4);
      await until('its peers to forget it', async () => !(await node(1).show()).includes('172.20.0.4'));
    });
    expect({ lost, clear }).toEqual({ lost: 0, clear: 0 });
  });

  test('a rolling update and a rollback lose no packet', async () => {
    for (const [name, command] of [
      ['rolling update', ['set', 'env', 'daemonset/wireguard-ts', 'UPDATED=1']],
      ['rollback', ['rollout', 'undo', 'daemonset/wireguard-ts']],
    ] as const) {
      const losses = await measure(name, async () => {
        await cluster.kubectl(['-n', agents.namespace, ...command]);
        await agents.untilRolledOut();
      });
      expect(losses).toMatchObject({ lost: losses.overflows, doubled: 0, clear: 0 });
      for (const pod of await agents.pods()) expect(await agents.logs(pod)).toMatch(/device .* taken over/);
    }
  });

  test('an evicted agent leaves nothing in the clear', async () => {
    const old = await agents.podOn(1);
    const { clear } = await measure('agent evicted', async () => {
      const { name } = old.metadata;
      const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: agents.namespace } };
      const path = `/api/v1/namespaces/${agents.namespace}/pods/${name}/eviction`;
      await cluster.kubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(eviction));
      await agents.untilReplaced(1, old);
      await node(1).untilReady();
    });
    expect(clear).toBe(0);
    await talkers.untilAllTalk();
  });

  test('an agent that runs out of memory is started again, and nothing is in the clear', async () => {
    const { clear } = await measure('agent out of memory', async () => {
      await node(2).exhaustMemory(await agents.podOn(2));
      await until('its restart', async () => {
        const [container] = (await agents.podOn(2)).status.containerStatuses ?? [];
        return container?.restartCount === 1 && container.ready;
      });
      await node(2).untilReady();
    });
    const [container] = (await agents.podOn(2)).status.containerStatuses!;
    expect(container!.lastState.terminated).toMatchObject({ reason: 'OOMKilled' });
    expect(clear).toBe(0);
    await talkers.untilAllTalk();
  });

  test('without the API server and etcd, and with a new certificate, nothing is lost', {
    timeout: LIMIT_MS,
  }, async () => {
    if (isLong) await agents.shortenTokens();
    const losses = await measure(`control plane away for ${OUTAGE_MS / 1000} s`, async () => {
      await cluster.plane.lose();
      await sleep(OUTAGE_MS);
      cluster.plane.issueServerCertificate();
      await cluster.plane.recover();
      for (const index of NODES) await cluster.untilNodeReady(index);
      // A change after it arrives: the agents have read the cluster again.
      await cluster.felix({ wireguardEnabled: true, wireguardKeepAlive: '9s' });
      for (const index of NODES)
        await until('the new keepalive', async () => /keepalive: every 9 seconds/.test(await node(index).show()));
    });
    expect(losses).toMatchObject({ lost: losses.overflows, clear: 0 });
  });

  test('a token that no longer counts is read again', async () => {
    const losses = await measure('tokens of the agents revoked', async () => {
      await cluster.plane.renewAccountKey();
      // A kubelet gives pods new tokens when it starts, or when the old ones are about to expire.
      for (const index of NODES) await cluster.machine(index).restartKubelet();
      await cluster.felix({ wireguardEnabled: true, wireguardKeepAlive: '11s' });
      for (const index of NODES)
        await until('the new keepalive', async () => /keepalive: every 11 seconds/.test(await node(index).show()));
    });
    expect(losses).toMatchObject({ lost: losses.overflows, clear: 0 });
  });

  test('a node that is rebooted takes part again with the same key', async () => {
    const before = (await agents.keys()).get(nodeName(3));
    const since = Date.now();
    await cluster.reboot(3);
    await agents.untilRolledOut();
    await node(3).untilReady();
    await talkers.untilAllRun();
    await talkers.untilAllTalk();
    const clear = await cluster.clear.between(since);
    say(
      `a node rebooted: all pods talk after ${((Date.now() - since) / 1000).toFixed(1)} s, ${clear.length} in the clear`,
    );
    expect(clear.filter(({ source }) => !source.startsWith('10.244.3.')).slice(0, 3)).toEqual([]);
    expect((await agents.keys()).get(nodeName(3))).toBe(before);
    await settle();
    expect(await measure('after the reboot', () => sleep(2_000))).toMatchObject({ lost: 0, clear: 0 });
  });

  test('Felix starts again and clears the key: it is back at once, and only this node was in the clear', async () => {
    const since = Date.now();
    const { lost } = await measure('calico-node started again', async () => {
      await cluster.startCalicoNode(1);
      await agents.untilKeys(NODES.length);
      await allConnected();
    });
    expect(lost).toBeLessThan(500);
    for (const { source, destination } of await cluster.clear.between(since))
      expect([source, destination].some(address => address.startsWith('10.244.1.'))).toBe(true);
    await settle();
    expect(await measure('after it', () => sleep(2_000))).toMatchObject({ lost: 0, clear: 0 });
  });

  test('disabled: the keys are withdrawn, the tunnels are removed', async () => {
    await measure('disable', async () => {
      await cluster.felix({ wireguardEnabled: false });
      await agents.untilKeys(0);
      for (const index of NODES) await until('no tunnel', async () => !(await node(index).links()).includes('tunl-wg'));
    });
    const { lost, clear } = await measure('disabled', () => sleep(1_000));
    expect([lost, clear > 0]).toEqual([0, true]);
  });

  test('uninstalled: nothing is left on any node', async () => {
    await cluster.felix({ wireguardEnabled: true });
    await agents.untilKeys(NODES.length);
    await cluster.kubectl(['delete', '-k', OVERLAY, '--wait=true', '--timeout=120s']);
    const gone = ['--for=delete', 'pods', '-l', 'app.kubernetes.io/name=wireguard-ts', '--timeout=60s'];
    await cluster.kubectl(['wait', '-n', agents.namespace, ...gone]);
    for (const index of NODES) {
      const { code, stdout, stderr } = await node(index).withdraw(cluster);
      expect(code, stdout + stderr).toBe(0);
      expect(await node(index).leftovers()).toEqual([]);
      // The private key stays for the next time, as the guide says.
      expect(readdirSync(join(cluster.machine(index).disk, 'lib/wireguard-ts'))).toEqual(['private-key']);
    }
    expect(await agents.keys()).toEqual(new Map());
    expect(
      await cluster.kubectl(['get', 'clusterroles,clusterrolebindings,roles,rolebindings,ds,sa', '-A']),
    ).not.toContain('wireguard');
    expect(await measure('uninstalled', () => sleep(1_000))).toMatchObject({ lost: 0 });
  });
});

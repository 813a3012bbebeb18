/**
 * The two rollouts of `wgts calico uninstall` with real agents: the test plays kubelet and
 * DaemonSet controller, and takes options and variables from the changed DaemonSets. The tunnels
 * work until the keys are withdrawn, and nothing is left on the nodes. The steps build on each
 * other.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { switchedOff, withdrawing } from '../../src/calico/install/change/withdrawal.ts';
import type { EnvironmentEntry } from '../../src/calico/install/cluster/found.ts';
import { renderChoice } from '../../src/calico/install/render/manifests.ts';
import { listField, type Resource, textField } from '../../src/calico/model/resource.ts';
import { run, sleep, until } from '../netns/command.ts';
import { deployTree } from '../support/deploy-tree.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { AgentPod } from './agent-pod.ts';
import { describeCluster } from './control-plane.ts';
import { ClusterLab } from './lab.ts';
import { NumberedTraffic } from './numbered-traffic.ts';

const NODES = [1, 2, 3];
const NEEDS = ['root', 'tun', 'ip', 'sysctl', 'tcpdump', 'nft', 'wg', 'unshare'] as const;
/** The kubelet's periods, in milliseconds. */
const PROBE_MS = 200;

const installed = renderChoice(await deployTree(), { installation: 'manifest', components: ['always'], env: [] });
const [agent, labeller] = ['wireguard-ts', 'wireguard-ts-labeller'].map(name =>
  installed.find(({ kind, metadata }) => kind === 'DaemonSet' && metadata.name === name),
) as [Resource, Resource];
const off = switchedOff(agent);
const last = withdrawing(off, containersOf(labeller)[0]);

describeCluster('the withdrawal of all agents', () =>
  inOwnNamespace(import.meta.url, NEEDS, body, { limit: 600_000, show: 'withdrawal:' }),
);

function body(): void {
  let lab: ClusterLab;
  const pods = new Map<number, AgentPod>();
  const all: AgentPod[] = [];

  const startPod = async (index: number, name: string, container: unknown): Promise<AgentPod> => {
    const pod = await AgentPod.start(lab, lab.node(index), `${name}-${index}`, settingsOf(container));
    all.push(pod);
    return pod;
  };
  const untilReady = async (index: number, pod: AgentPod): Promise<void> => {
    const failed = (error: Error) => Promise.reject(new Error(`${error.message}\n${pod.log()}`));
    await until(`the start of ${pod.name}`, () => pod.hasStarted(), undefined, PROBE_MS).catch(failed);
    const ready = async () => (await lab.ready(lab.node(index)))?.ready;
    await until(`the readiness of ${pod.name}`, ready, undefined, PROBE_MS).catch(failed);
  };
  const leftOn = async (index: number): Promise<string> => {
    const shown = async (...argv: string[]) => (await run(lab.inside(lab.node(index), argv))).stdout;
    const [links, rules, routes, tables] = [
      await shown('ip', '-o', 'link'),
      await shown('ip', 'rule'),
      await shown('ip', 'route', 'show', 'table', 'all'),
      await shown('nft', 'list', 'tables'),
    ];
    const text = `${links}\n${rules}\n${routes}\n${tables}`;
    return text
      .split('\n')
      .filter(line => /tunl-wg|51820|wireguard/.test(line))
      .join('\n');
  };

  beforeAll(async () => {
    lab = await ClusterLab.start([4]);
    await lab.felix({ wireguardEnabled: true });
    await Promise.all(NODES.map(index => lab.addNode(index)));
    for (const index of NODES) await lab.addBlocks(index);
    for (const index of NODES) await lab.addPod(index);
    for (const index of NODES) pods.set(index, await startPod(index, 'first', containersOf(agent)[0]));
    for (const [index, pod] of pods) await untilReady(index, pod);
    for (const pod of lab.pods) await lab.startTraffic(pod);
    await lab.talk.untilAllTalk();
  });
  afterAll(async () => {
    for (const pod of all) if (!pod.hasEnded()) await pod.kill();
    await lab?.close();
  });

  test('first, new agents take over, withdraw their keys and remove their tunnels', async () => {
    for (const index of NODES) expect(await leftOn(index)).toContain('tunl-wg');
    const traffic = await NumberedTraffic.begin(lab.pods, lab.file('numbered'));
    // All nodes at the same time, as with maxSurge 100%.
    await Promise.all(
      NODES.map(async index => {
        const old = pods.get(index)!;
        const next = await startPod(index, 'off', containersOf(off)[0]);
        await untilReady(index, next);
        expect(old.log()).toContain('stepped down');
        await old.terminate();
        pods.set(index, next);
      }),
    );
    await until('all keys to be withdrawn', async () =>
      (await Promise.all(NODES.map(index => lab.keyOf(index)))).every(key => key === undefined),
    );
    await sleep(500);
    const { sent, lost, longestPause } = await traffic.end();
    console.log(`withdrawal: ${sent} packets sent, ${lost} lost, longest pause of a pair ${longestPause} ms`);
    await lab.talk.untilAllTalk();
  });

  test('then each node removes what is left, and nothing remains', async () => {
    const [withdraw] = listField(last, 'spec', 'template', 'spec', 'initContainers');
    expect(textField(withdraw, 'name')).toBe('withdraw');
    for (const index of NODES) {
      await pods.get(index)!.terminate();
      const pod = await startPod(index, 'withdraw', withdraw);
      expect(await pod.untilEnded(), pod.log()).toBe(0);
      expect(await leftOn(index)).toBe('');
      expect(await lab.keyOf(index)).toBeUndefined();
    }
    await lab.talk.untilAllTalk();
  });
}

function containersOf(daemonSet: Resource): readonly unknown[] {
  return listField(daemonSet, 'spec', 'template', 'spec', 'containers');
}

/** Returns the options and variables of a container that do not depend on the node. */
function settingsOf(container: unknown) {
  const [command, ...args] = listField(container, 'args').map(String);
  expect(command).toBe('calico');
  const entries = (listField(container, 'env') as EnvironmentEntry[]).flatMap(({ name, value }) =>
    value === undefined ? [] : [[name, value] as const],
  );
  return { args, env: Object.fromEntries(entries) };
}

/**
 * The agent's DaemonSet on three nodes, with numbered traffic between all pods: a rolling update
 * with maxSurge 1 and maxUnavailable 0 loses no packet. Agents that crash, or that are started by
 * mistake, leave nothing in the clear. The steps build on each other.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sleep, until } from '../netns/command.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { AgentPod } from './agent-pod.ts';
import { describeCluster } from './control-plane.ts';
import { ClusterLab } from './lab.ts';
import type { Losses } from './losses.ts';
import { NumberedTraffic } from './numbered-traffic.ts';

const NODES = [1, 2, 3];
const NEEDS = ['root', 'tun', 'ip', 'sysctl', 'tcpdump', 'nft', 'wg', 'unshare'] as const;
/** The kubelet's periods, in milliseconds. */
const PROBE_MS = 200;

describeCluster('a rolling update', () =>
  inOwnNamespace(import.meta.url, NEEDS, body, { limit: 600_000, show: 'rolling update:' }),
);

function body(): void {
  let lab: ClusterLab;
  let encryptedSince = 0;
  const current = new Map<number, AgentPod>();
  const all: AgentPod[] = [];

  const startPod = async (index: number, name: string): Promise<AgentPod> => {
    const pod = await AgentPod.start(lab, lab.node(index), name);
    all.push(pod);
    return pod;
  };
  /** Waits like the kubelet: for the startup probe, then for the readiness of the node's agent. */
  const untilReady = async (index: number, pod: AgentPod): Promise<void> => {
    const failed = (error: Error) => Promise.reject(new Error(`${error.message}\n${pod.log()}`));
    await until(`the start of ${pod.name}`, () => pod.hasStarted(), undefined, PROBE_MS).catch(failed);
    const ready = async () => (await lab.ready(lab.node(index)))?.ready;
    await until(`the readiness of ${pod.name}`, ready, undefined, PROBE_MS).catch(failed);
  };
  const say = (text: string): void => console.log(`rolling update: ${text}`);
  const describeLosses = ({ sent, lost, doubled, longestPause }: Losses): string =>
    `${sent} sent, ${lost} lost, ${doubled} doubled, longest pause of a pair ${longestPause} ms`;
  const nothingInTheClear = async (): Promise<void> => {
    const leaked = await lab.plaintext.between(encryptedSince);
    expect(leaked.slice(0, 5), `${leaked.length} packets of pods in the clear`).toEqual([]);
  };
  const during = async (action: () => Promise<void>): Promise<Losses> => {
    const traffic = await NumberedTraffic.begin(lab.pods, lab.file(`numbered-${all.length}`));
    await sleep(500);
    try {
      await action();
    } finally {
      await sleep(500);
    }
    return traffic.end();
  };

  beforeAll(async () => {
    lab = await ClusterLab.start([4]);
    await lab.felix({ wireguardEnabled: true });
    await Promise.all(NODES.map(index => lab.addNode(index)));
    for (const index of NODES) await lab.addBlocks(index);
    for (const index of NODES) await lab.addPod(index);
    for (const index of NODES) current.set(index, await startPod(index, `first-${index}`));
    for (const [index, pod] of current) await untilReady(index, pod);
    for (const pod of lab.pods) await lab.startTraffic(pod);
    await lab.talk.untilAllTalk();
    // Every node must have learned every key.
    await sleep(2_000);
    encryptedSince = Date.now();
  });
  afterAll(async () => {
    for (const pod of all) if (!pod.hasEnded()) await pod.kill();
    await lab?.close();
  });

  test('loses no packet on any node, and none is in the clear', async () => {
    const begin = Date.now();
    const losses = await during(async () => {
      for (const index of NODES) {
        const old = current.get(index)!;
        const next = await startPod(index, `second-${index}`);
        await untilReady(index, next);
        expect(old.hasEnded()).toBe(false);
        expect(old.log()).toContain('stepped down');
        await old.terminate();
        current.set(index, next);
      }
    });
    say(`${NODES.length} nodes in ${Date.now() - begin} ms: ${describeLosses(losses)}`);
    await nothingInTheClear();
    expect(losses).toMatchObject({ lost: losses.overflows, doubled: 0, pairs: losses.overflows ? losses.pairs : [] });
    for (const pod of current.values()) expect(pod.log()).toMatch(/device .* taken over/);
  });

  test('an agent whose successor dies before it has the device leads again', async () => {
    const old = current.get(1)!;
    const losses = await during(async () => {
      const next = await startPod(1, 'dying');
      await until('the old agent to step down', () => old.log().includes('stepped down'), undefined, 1);
      await next.kill();
      await until('the old agent to lead again', () => old.log().includes('leads the node again'));
      await untilReady(1, old);
    });
    say(`a successor killed before it had the device: ${describeLosses(losses)}`);
    await nothingInTheClear();
  });

  test('a second agent in the same container ends, and names the first', async () => {
    const old = current.get(2)!;
    const options = ['--node', 'node-2', '--kubeconfig', lab.plane.kubeconfig, '--key-dir', lab.keys(lab.node(2))];
    for (const more of [[], ['--once'], ['--withdraw']]) {
      const { code, stderr } = await old.exec('calico', ...options, ...more);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/an agent (already )?runs on this node.*process 1/)]);
    }
    expect(await old.hasStarted()).toBe(true);
  });

  test('a pod that is killed leaves nothing in the clear, and the next one adopts its link', async () => {
    let recovered = 0;
    const losses = await during(async () => {
      await current.get(3)!.kill();
      const begin = Date.now();
      const next = await startPod(3, 'adopting');
      current.set(3, next);
      await lab.talk.untilAllTalk();
      recovered = Date.now() - begin;
      await untilReady(3, next);
    });
    say(`a pod killed: traffic of all pairs ${recovered} ms later; ${describeLosses(losses)}`);
    await nothingInTheClear();
    expect(current.get(3)!.log()).not.toContain('left untouched');
  });
}

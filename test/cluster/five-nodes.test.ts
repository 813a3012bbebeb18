/**
 * The life of five nodes under constant traffic between all pods: while encryption is on, no pod
 * packet crosses the network in the clear. The steps build on each other.
 */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run, sleep, until } from '../netns/command.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { HANG_MS } from '../support/patience.ts';
import { describeCluster } from './control-plane.ts';
import { ClusterLab, type LabPod } from './lab.ts';
import { nodeName, path, podAddress } from './objects.ts';

const NODES = [1, 2, 3, 4, 5];
const LATE = 6;
/** Milliseconds. */
const LIMIT = HANG_MS;
const HEARD_AGAIN_MS = 15_000;
const OUTAGE = Number(process.env['WGTS_OUTAGE_SECONDS'] ?? 20) * 1000;
const NEEDS = ['root', 'tun', 'ip', 'sysctl', 'tcpdump', 'nft', 'wg', 'unshare'] as const;
const borrowed = podAddress(1, 4, 9);

describeCluster('five nodes', () =>
  inOwnNamespace(import.meta.url, NEEDS, body, { limit: 600_000 + OUTAGE, show: 'five nodes:' }),
);

function body(): void {
  let lab: ClusterLab;
  /** Since when nothing may be in the clear. */
  let encryptedSince = 0;

  beforeAll(async () => {
    lab = await ClusterLab.start([4]);
    await Promise.all(NODES.map(index => lab.addNode(index)));
    for (const index of NODES) await lab.addBlocks(index);
    for (const index of NODES) await lab.startTraffic(await lab.addPod(index));
  });
  afterAll(() => lab?.close());

  const podOf = (index: number): LabPod => {
    const found = lab.pods.find(({ addresses }) => addresses.includes(podAddress(index, 4)));
    if (!found) throw new Error(`node ${index} has no pod`);
    return found;
  };
  const say = (text: string): void => console.log(`five nodes: ${text}`);
  const nothingInTheClear = async (): Promise<void> => {
    const leaked = await lab.plaintext.between(encryptedSince);
    expect(leaked.slice(0, 5), `${leaked.length} packets of pods in the clear`).toEqual([]);
  };
  /** Shorter interruptions are ignored. */
  const silent = (longest: number): string => seconds(Math.max(longest, 150));
  const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`;
  const took = (since: number): string => seconds(Date.now() - since);
  /** Number of agents that are in sync with the current cluster. */
  const heard = async (): Promise<number> => {
    const answers = await Promise.all(NODES.map(index => lab.ready(lab.node(index))));
    return answers.filter(answer => answer?.phase === 'running' && answer.stale === undefined).length;
  };
  const step = async (
    what: string,
    action: () => Promise<void>,
    isMeant?: (from: string, to: string) => boolean,
  ): Promise<void> => {
    const begin = Date.now();
    await action();
    await lab.talk.untilAllTalk();
    const { longest, silences } = lab.talk.measure(begin, isMeant);
    await nothingInTheClear();
    const lost =
      silences.length === 0 ? 'no traffic was lost' : `${silences.length} pairs silent, at most ${seconds(longest)}`;
    say(`${what}: ${took(begin)}, ${lost}, 0 packets in the clear`);
  };

  test('without WireGuard, all traffic is in the clear', async () => {
    for (const index of NODES) lab.startAgent(lab.node(index));
    await lab.talk.untilAllTalk();
    expect(lab.talk.pairs()).toHaveLength(20);
    expect((await lab.plaintext.packets()).length).toBeGreaterThan(0);
    expect(await lab.encrypted.packets()).toEqual([]);
  });

  test('all 20 pairs are encrypted within ten seconds of the switch', async () => {
    // As in a cluster whose agents have run for a while.
    await until('the agents to read the cluster', async () => (await heard()) === NODES.length);
    const begin = Date.now();
    await lab.felix({ wireguardEnabled: true });
    for (const index of NODES) await until('a key', () => lab.keyOf(index), LIMIT);
    await sleep(1000);
    await lab.talk.untilAllTalk();
    encryptedSince = Date.now();
    await sleep(500);
    await nothingInTheClear();
    const last = (await lab.plaintext.packets()).findLast(({ time }) => time >= begin)!.time;
    const lost = lab.talk.measure(begin);
    say(
      `switched on: the last packet in the clear after ${seconds(last - begin)}; no pair silent for more than ${silent(lost.longest)}`,
    );
    expect((await lab.encrypted.between(encryptedSince)).length).toBeGreaterThan(0);
    encryptedSince = last + 1;
  });

  test('keys are published where Felix publishes them, and wgts verify agrees', async () => {
    for (const index of NODES) expect(await lab.keyOf(index)).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    const { code, stdout, stderr } = await lab.verify();
    expect(stderr).toBe('');
    expect(code, stdout).toBe(0);
  });

  test('a node joins', () =>
    step('a node joins', async () => {
      lab.startAgent(await lab.addNode(LATE));
      await until('its key', () => lab.keyOf(LATE), LIMIT);
      await lab.addBlocks(LATE);
      await lab.startTraffic(await lab.addPod(LATE));
    }));

  test('a node leaves', () => step('a node leaves', () => lab.removeNode(LATE)));

  test('a block moves to another node, and its pod', () =>
    step('a block moves', async () => {
      await lab.removePod(podOf(5));
      await lab.moveBlocks(5, 4);
      await lab.startTraffic(await lab.addPod(4, 5));
    }));

  test("a pod borrows an address from another node's block", () =>
    step('a borrowed address', async () => {
      await lab.allocate(1, { 2: 1, 9: 2 });
      await lab.startTraffic(await lab.addPod(2, 1, 9));
      const { stdout } = await lab.node(1).namespace.run(['ip', 'route', 'show', 'table', '51820', borrowed]);
      expect(stdout).toContain('dev tunl-wg.cali');
    }));

  test('a node gets another key', () =>
    step('another key', async () => {
      const before = await lab.keyOf(3);
      const node = lab.node(3);
      await node.agent!.stop();
      rmSync(lab.keys(node), { recursive: true });
      // The device still has the old key, and the agent would restore it.
      await run(lab.inside(node, ['sh', '-c', 'wg genkey | wg set tunl-wg.cali private-key /dev/stdin']));
      lab.startAgent(node);
      await until('another key', async () => (await lab.keyOf(3)) !== before, LIMIT);
      expect(await lab.keyOf(3)).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    }));

  test('an agent is killed, and comes back', () =>
    step('an agent killed and started again', async () => {
      const before = await lab.keyOf(2);
      await lab.node(2).agent!.stop('SIGKILL');
      await sleep(1000);
      lab.startAgent(lab.node(2));
      await sleep(2000);
      expect(await lab.keyOf(2)).toBe(before);
      expect(lab.node(2).agent!.result()).toBeUndefined();
    }));

  test(
    'an outage of the API server',
    () =>
      step(`the API server away for ${OUTAGE / 1000} s, an agent killed and restarted in between`, async () => {
        await lab.plane.stopApiServer();
        await sleep(OUTAGE / 2);
        await lab.node(4).agent!.stop('SIGKILL');
        lab.startAgent(lab.node(4));
        await sleep(OUTAGE / 2);
        await lab.plane.startApiServer();
        await until(
          'all agents to hear of changes again',
          async () => (await heard()) === NODES.length,
          HEARD_AGAIN_MS,
        );
      }),
    OUTAGE + 600_000,
  );

  test('a node is switched off, and on again: only its own traffic is in the clear', async () => {
    const off = podOf(3).addresses[0]!;
    const begin = Date.now();
    await lab.felixOf(nodeName(3), { wireguardEnabled: false });
    await until('no key', async () => (await lab.keyOf(3)) === undefined, LIMIT);
    const offAfter = took(begin);
    await sleep(500);
    await lab.talk.untilAllTalk();
    const settled = Date.now();
    await sleep(500);
    const clear = await lab.plaintext.between(settled);
    const pairsInTheClear = new Set(clear.map(({ source, destination }) => `${source} ${destination}`));
    const with3 = lab.talk.pairs().filter(pair => pair.includes(off));
    expect([...pairsInTheClear].sort()).toEqual(with3.map(pair => pair.join(' ')).sort());
    const { code, stdout } = await lab.verify();
    expect(code).toBe(1);
    expect(stdout).toContain('node-3: disabled');
    const on = Date.now();
    await lab.felixOf(nodeName(3), { wireguardEnabled: true });
    await until('a key', () => lab.keyOf(3), LIMIT);
    const onAfter = took(on);
    await sleep(1000);
    await lab.talk.untilAllTalk();
    const between = (await lab.plaintext.between(begin)).filter(
      ({ source, destination }) => source !== off && destination !== off,
    );
    expect(between).toEqual([]);
    const last = (await lab.plaintext.between(begin)).at(-1)!.time;
    encryptedSince = last + 1;
    await sleep(500);
    await nothingInTheClear();
    expect((await lab.verify()).code).toBe(0);
    const { longest } = lab.talk.measure(begin);
    await lab.plane.api('DELETE', path('FelixConfiguration', `node.${nodeName(3)}`));
    say(
      `a node off (its key gone after ${offAfter}) and on (there again after ${onAfter}): no pair silent for more than ${silent(longest)}`,
    );
  });

  test('switched off for all: traffic continues in the clear', async () => {
    const begin = Date.now();
    await lab.felix({ wireguardEnabled: false });
    for (const index of NODES) await until('no key', async () => (await lab.keyOf(index)) === undefined, LIMIT);
    await sleep(500);
    await lab.talk.untilAllTalk();
    const settled = Date.now();
    await sleep(500);
    expect(await lab.encrypted.between(settled)).toEqual([]);
    expect((await lab.plaintext.between(settled)).length).toBeGreaterThan(0);
    for (const index of NODES) {
      const { namespace } = lab.node(index);
      expect((await namespace.run(['ip', '-o', 'link'])).stdout).not.toContain('tunl-wg');
      expect((await namespace.run(['ip', 'rule'])).stdout).not.toContain('51820');
      expect((await namespace.run(['nft', 'list', 'ruleset'])).stdout).toBe('');
    }
    say(`switched off: no pair silent for more than ${silent(lab.talk.measure(begin).longest)}`);
  });

  test('the capture missed nothing', async () => {
    expect(await lab.plaintext.dropped()).toBe(0);
  });
}

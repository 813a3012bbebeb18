/**
 * Calico moves from crd.projectcalico.org/v1 to projectcalico.org/v3 under traffic, like its
 * DatastoreMigration (Calico 3.32): lock, copy, unlock the new group, delete the old CRDs with
 * their objects. Then CRDs are deleted without a move. Pods send one way only, because replies
 * would hide a session that the other side has lost. The steps build on each other.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CalicoGroup } from '../../src/calico/datastore/resource-kinds.ts';
import { type Running, sleep, until } from '../netns/command.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { HANG_MS } from '../support/patience.ts';
import { calicoCrds } from './calico-crds.ts';
import { describeCluster, type Manifest } from './control-plane.ts';
import { ClusterLab, type LabPod } from './lab.ts';
import { blockOf, ipamBlock, podAddress } from './objects.ts';

const [V1, V3] = ['crd.projectcalico.org/v1', 'projectcalico.org/v3'] as const;
const NODES = [1, 2, 3];
const FAIL_CLOSED = 3;
/** The block that is claimed after the move. */
const NEW_BLOCK = 9;
const LIMIT = HANG_MS;
const NEEDS = ['root', 'tun', 'ip', 'sysctl', 'tcpdump', 'nft', 'wg', 'unshare'] as const;
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const COPIED = ['felixconfigurations', 'ippools', 'ipamblocks'];

describeCluster('Calico’s move', () => inOwnNamespace(import.meta.url, NEEDS, body, { show: 'the move:' }));

function body(): void {
  let lab: ClusterLab;
  let encryptedSince = 0;
  const streams: Stream[] = [];

  beforeAll(async () => {
    lab = await ClusterLab.start([4]);
    await lab.plane.apply(information(V1, true));
    await Promise.all(NODES.map(index => lab.addNode(index)));
    for (const index of NODES) await lab.addBlocks(index);
    for (const index of NODES) lab.startAgent(lab.node(index), ...(index === FAIL_CLOSED ? ['--fail-closed'] : []));
    await lab.felix({ wireguardEnabled: true });
    for (const index of NODES) await until('a key', () => lab.keyOf(index));
    const pods = new Map<number, LabPod>();
    for (const index of NODES) pods.set(index, await lab.addPod(index));
    await sleep(1000);
    // In a ring: each pod sends to one and receives from another.
    const talking = new Map<number, Running>();
    for (const index of NODES)
      talking.set(index, await talk(lab, pods.get(index)!, pods.get((index % NODES.length) + 1)!));
    for (const index of NODES) streams.push(new Stream(podAddress(index, 4), talking.get((index % NODES.length) + 1)!));
    for (const stream of streams) await until('the stream', () => stream.isHeard(Date.now() - 200), LIMIT);
    await sleep(1000);
    encryptedSince = Date.now();
  });
  afterAll(() => lab?.close());

  /**
   * Checks that no pod packet crossed the underlay in the clear since the switch, and no pod was
   * silent for a second.
   */
  const step = async (what: string, action: () => Promise<void>): Promise<void> => {
    const begin = Date.now();
    await action();
    await sleep(1500);
    const longest = Math.max(...streams.map(stream => stream.longestSilence(begin)));
    const clear = await lab.plaintext.between(encryptedSince);
    console.log(
      `the move: ${what}: ${clear.length} packets in the clear, no stream silent for more than ${longest} ms`,
    );
    expect(clear.slice(0, 5), `${clear.length} packets of pods in the clear`).toEqual([]);
    // A tunnel that was taken down would be silent until WireGuard itself notices: 15 s.
    expect(longest).toBeLessThan(15_000);
    expect((await lab.encrypted.between(begin)).length).toBeGreaterThan(0);
  };
  const follows = async (group: CalicoGroup): Promise<void> => {
    const { code, stdout } = await lab.verify();
    expect(stdout).toContain(`Calico's objects are read from ${group}\n`);
    expect(code).toBe(0);
  };
  const set = (group: CalicoGroup, datastoreReady: boolean): Promise<unknown> =>
    lab.plane.api('PATCH', `/apis/${group}/clusterinformations/default`, { spec: { datastoreReady } });
  const isAgent = async (index: number, what: (answer: { phase: string; stale?: string }) => boolean) => {
    const answer = await lab.ready(lab.node(index));
    return answer !== undefined && what(answer);
  };
  const restart = async (index: number): Promise<void> => {
    const node = lab.node(index);
    await node.agent!.stop('SIGKILL');
    lab.startAgent(node, ...(index === FAIL_CLOSED ? ['--fail-closed'] : []));
    await until('the agent', () => isAgent(index, ({ phase }) => phase === 'running'), LIMIT, 100);
  };
  const deleteCrds = async (group: CalicoGroup): Promise<readonly Manifest[]> => {
    const { items } = (await lab.plane.api('GET', CRDS)) as { items: Manifest[] };
    const own = items.filter(({ spec }) => (spec as { group: string }).group === group.split('/')[0]);
    for (const { metadata } of own) await lab.plane.api('DELETE', `${CRDS}/${metadata.name}`);
    await until(
      `${group} to be gone`,
      async () => {
        const { groups } = (await lab.plane.api('GET', '/apis')) as { groups: { name: string }[] };
        return !groups.some(({ name }) => name === group.split('/')[0]);
      },
      60_000,
      100,
    );
    return own;
  };

  test('installs v3 beside v1, empty', () =>
    step('v3 beside v1', async () => {
      await lab.plane.apply(...calicoCrds(V3));
      await sleep(1000);
      await follows(V1);
    }));

  test('locked and copied, while an agent restarts', () =>
    step('locked and copied', async () => {
      await set(V1, false);
      await lab.plane.apply(information(V3, false));
      for (const index of NODES)
        await until(
          'the lock',
          () => isAgent(index, ({ stale }) => stale?.includes('has locked') === true),
          LIMIT,
          100,
        );
      for (const plural of COPIED) {
        const { items } = (await lab.plane.api('GET', `/apis/${V1}/${plural}`)) as { items: Manifest[] };
        for (const { kind, metadata, spec } of items) {
          await lab.plane.apply({ apiVersion: V3, kind, metadata: { name: metadata.name }, spec });
          if (plural === 'ipamblocks') await restart(1 + (items.findIndex(each => each.metadata === metadata) % 2));
        }
      }
      await follows(V1);
    }));

  test('unlocked: agents follow v3 and encrypt a block that is claimed there; an agent restarts', () =>
    step('v3 unlocked', async () => {
      await set(V3, true);
      for (const index of NODES)
        await until('v3', () => isAgent(index, ({ stale }) => stale === undefined), LIMIT, 100);
      await restart(2);
      const block = { ...ipamBlock(blockOf(NEW_BLOCK, 4), 1, { 2: 1 }), apiVersion: V3 };
      await lab.plane.apply(block);
      await until(
        'the route of the new block',
        async () => {
          const argv = ['ip', 'route', 'show', 'table', '51820'];
          return (await lab.node(2).namespace.run(argv)).stdout.includes(`${blockOf(NEW_BLOCK, 4)} dev tunl-wg.cali`);
        },
        LIMIT,
        100,
      );
      await follows(V3);
    }));

  test('the CRDs of v1 are deleted with their objects', () =>
    step('v1 deleted', async () => {
      await deleteCrds(V1);
      await sleep(12_000);
      await restart(3);
      await follows(V3);
    }));

  test('the CRDs of v3 are deleted too, and no group remains', () =>
    step('v3 deleted', async () => {
      await deleteCrds(V3);
      await sleep(12_000);
    }));

  test('the CRDs are re-created, empty', () =>
    step('v3 re-created', async () => {
      await lab.plane.apply(...calicoCrds(V3), information(V3, true));
      await sleep(12_000);
    }));

  test('filled again, and one CRD replaced at once, like `kubectl replace --force`', () =>
    step('v3 filled', async () => {
      const felix = { apiVersion: V3, kind: 'FelixConfiguration', metadata: { name: 'default' } };
      await lab.plane.apply({ ...felix, spec: { wireguardEnabled: true } });
      for (const index of NODES)
        await lab.plane.apply({ ...ipamBlock(blockOf(index, 4), index, { 2: index }), apiVersion: V3 });
      await sleep(1000);
      const crd = calicoCrds(V3).find(({ metadata }) => metadata.name.startsWith('felixconfigurations'))!;
      await lab.plane.api('DELETE', `${CRDS}/${crd.metadata.name}`);
      await until(
        'the definition to be gone',
        async () =>
          await lab.plane.api('GET', `${CRDS}/${crd.metadata.name}`).then(
            () => false,
            () => true,
          ),
        LIMIT,
        5,
      );
      await lab.plane.api('POST', CRDS, crd);
      await sleep(12_000);
    }));

  test('deleting a FelixConfiguration on purpose takes effect', async () => {
    const felix = { apiVersion: V3, kind: 'FelixConfiguration', metadata: { name: 'default' } };
    await lab.plane.apply({ ...felix, spec: { wireguardEnabled: true } });
    await sleep(1000);
    await lab.plane.api('DELETE', `/apis/${V3}/felixconfigurations/default`);
    for (const index of NODES.filter(each => each !== FAIL_CLOSED))
      await until('no key', async () => (await lab.keyOf(index)) === undefined, LIMIT);
    await sleep(1000);
    expect((await lab.plaintext.between(Date.now() - 500)).length).toBeGreaterThan(0);
  });

  test('the capture missed nothing', async () => {
    expect(await lab.plaintext.dropped()).toBe(0);
  });
}

function information(apiVersion: CalicoGroup, datastoreReady: boolean): Manifest {
  return { apiVersion, kind: 'ClusterInformation', metadata: { name: 'default' }, spec: { datastoreReady } };
}

async function talk(lab: ClusterLab, pod: LabPod, to: LabPod): Promise<Running> {
  const [own] = pod.addresses;
  const file = lab.file(`of-${own}`);
  writeFileSync(file, `${to.addresses[0]}\n`);
  const script = join(import.meta.dirname, 'pod-traffic.mjs');
  const running = pod.namespace.start([process.execPath, script, own!, '20', file]);
  await until('a pod', () => running.stdout().includes('"ready"'));
  return running;
}

/** Traffic from one pod to another, which never replies. */
class Stream {
  readonly #from: string;
  readonly #hearing: Running;

  constructor(from: string, hearing: Running) {
    this.#from = from;
    this.#hearing = hearing;
  }

  isHeard(since: number): boolean {
    const last = this.#lines().findLast(line => line.last)?.last?.[this.#from];
    return last !== undefined && last >= since;
  }

  /** Milliseconds; interruptions under 150 ms are not reported. */
  longestSilence(since: number): number {
    const lines = this.#lines();
    const ended = lines.flatMap(({ from, start = 0, end = 0 }) =>
      from === this.#from && end > since ? [end - start] : [],
    );
    const last = lines.findLast(line => line.last)?.last?.[this.#from] ?? since;
    return Math.max(150, ...ended, Date.now() - last - 100);
  }

  #lines(): readonly { last?: Record<string, number>; from?: string; start?: number; end?: number }[] {
    const text = this.#hearing.stdout();
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as object);
  }
}

/**
 * One of three nodes lies about itself, and IPAM blocks are forged in its name, on a real API
 * server: on the third node no peer, route or packet of the others changes, its way to the API
 * server stays, and an Event names the liar. The steps build on each other.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run, sleep, until } from '../netns/command.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { HANG_MS } from '../support/patience.ts';
import type { Manifest } from './control-plane.ts';
import { describeCluster } from './control-plane.ts';
import { ClusterLab } from './lab.ts';
import { blockOf, ipamBlock, KEY, nodeName, path, podAddress } from './objects.ts';

const [THIRD, VICTIM, LIAR] = [1, 2, 3];
const NODES = [THIRD, VICTIM, LIAR];
const API_SERVER = '172.20.0.254';
const POD = podAddress(VICTIM, 4);
const NEEDS = ['root', 'tun', 'ip', 'sysctl', 'tcpdump', 'nft', 'wg', 'unshare'] as const;
const LIMIT_MS = 600_000;

describeCluster('attacks', () => inOwnNamespace(import.meta.url, NEEDS, body, { limit: LIMIT_MS, show: 'attacks:' }));

function body(): void {
  let lab: ClusterLab;
  let begin = 0;
  let honest: readonly string[] = [];

  const shown = async (...argv: string[]): Promise<string> =>
    (await run(lab.inside(lab.node(THIRD), argv), { mayFail: true })).stdout;
  /** What the third node's kernel and device do with packets of the others. */
  const state = async (): Promise<readonly string[]> => {
    const routes = await shown('ip', 'route', 'show', 'table', '51820');
    const allowed = await shown('wg', 'show', 'tunl-wg.cali', 'allowed-ips');
    const endpoints = await shown('wg', 'show', 'tunl-wg.cali', 'endpoints');
    const server = await shown('ip', 'route', 'get', API_SERVER);
    const pod = await shown('ip', 'route', 'get', POD);
    return [routes, allowed, endpoints, server, pod].flatMap(text => text.trim().split('\n')).sort();
  };
  /** Waits until the third node's agent has reported the liar. */
  const reported = async (reason: string, about: string): Promise<void> => {
    await until(
      `the Event ${reason} about ${about}`,
      async () => {
        const { items } = (await lab.plane.api('GET', '/api/v1/namespaces/default/events')) as {
          readonly items: readonly {
            readonly reason: string;
            readonly message: string;
            readonly involvedObject: { readonly name: string };
          }[];
        };
        return items.some(
          each =>
            each.reason === reason &&
            each.involvedObject.name === nodeName(THIRD) &&
            each.message.startsWith(`Node/${nodeName(LIAR)}: `) &&
            each.message.includes(about),
        );
      },
      HANG_MS,
      300,
    );
  };
  const nothingChanged = async (): Promise<void> => {
    expect(await state()).toEqual(honest);
    expect((await lab.ready(lab.node(THIRD)))?.stale).toBeUndefined();
    await lab.talk.untilAllTalk();
    expect((await lab.plaintext.between(begin)).slice(0, 5)).toEqual([]);
  };
  const lie = (annotations: Readonly<Record<string, string | null>>): Promise<void> => lab.annotate(LIAR, annotations);
  const sayAddresses = (...texts: readonly string[]): Promise<unknown> =>
    lab.plane.api('PATCH', `${path('Node', nodeName(LIAR))}/status`, {
      status: {
        addresses: [
          { type: 'InternalIP', address: `172.20.0.${LIAR}` },
          ...texts.map(address => ({ type: 'ExternalIP', address })),
        ],
      },
    });

  beforeAll(async () => {
    lab = await ClusterLab.start([4]);
    await lab.felix({ wireguardEnabled: true });
    // The liar's Node is the oldest, so that its age would give it the keys of the others.
    await lab.addNode(LIAR);
    await sleep(1100);
    for (const index of [THIRD, VICTIM]) await lab.addNode(index);
    for (const index of NODES) await lab.addBlocks(index);
    for (const index of NODES) lab.startAgent(lab.node(index));
    for (const index of NODES) await until('a key', () => lab.keyOf(index), HANG_MS, 100);
    for (const index of [THIRD, VICTIM]) await lab.startTraffic(await lab.addPod(index));
    await until(
      'three peers',
      async () => (await state()).filter(each => each.includes('/26')).length >= 5,
      HANG_MS,
      300,
    );
    await lab.talk.untilAllTalk();
    await sleep(1000);
    await lab.talk.untilAllTalk();
    honest = await state();
    begin = Date.now();
    // From here on its Node says what the attacker wants.
    await lab.node(LIAR).agent!.stop('SIGKILL');
  });
  afterAll(() => lab?.close());

  test('annotations that claim a pod of another node, and the API server', async () => {
    await lie({
      'projectcalico.org/IPv4WireguardInterfaceAddr': POD,
      'projectcalico.org/IPv4VXLANTunnelAddr': API_SERVER,
      'projectcalico.org/IPv4IPIPTunnelAddr': '127.0.0.1',
    });
    await reported('UnassignedTunnelAddress', POD);
    await reported('UnassignedTunnelAddress', API_SERVER);
    await reported('UnusablePrefix', '127.0.0.1');
    await nothingChanged();
  });

  test('a status that says that both are addresses of the node', async () => {
    await sayAddresses(POD, API_SERVER);
    await reported('AddressOfOtherNode', POD);
    await nothingChanged();
  });

  test('with host encryption, the address of the API server is not taken for that of a node', async () => {
    await lab.felix({ wireguardHostEncryptionEnabled: true });
    await reported('ApiServerAddress', API_SERVER);
    expect(await shown('ip', 'route', 'get', API_SERVER)).toContain('dev eth0');
    expect(await shown('ip', 'route', 'get', `172.20.0.${VICTIM}`)).toContain('dev tunl-wg.cali');
    expect((await lab.ready(lab.node(THIRD)))?.stale).toBeUndefined();
    await lab.felix({ wireguardHostEncryptionEnabled: false });
    await until('the state before', async () => JSON.stringify(await state()) === JSON.stringify(honest), HANG_MS, 300);
    await nothingChanged();
  });

  test('forged blocks: half of the Internet, the underlay, and a second object for the block of another node', async () => {
    const twin: Manifest = { ...ipamBlock(blockOf(VICTIM, 4), LIAR, {}), metadata: { name: 'aaa' } };
    const forged = ['0.0.0.0/1', '128.0.0.0/1', '172.20.0.0/24', '10.244.0.0/16', `${POD}/32`];
    await lab.plane.apply(...forged.map(cidr => ipamBlock(cidr, LIAR, { 1: LIAR })), twin);
    await reported('BlockOutsidePools', '0.0.0.0/1');
    await reported('MisnamedBlock', blockOf(VICTIM, 4));
    await reported('BlockInOtherBlock', `${POD}/32`);
    await nothingChanged();
  });

  test('the key of another node, also after a restart of the agent and while the other has none', async () => {
    const key = (await lab.keyOf(VICTIM))!;
    await lie({ [KEY[4]]: key });
    await reported('DuplicatePublicKey', key);
    // The liar gave up its own key. Nothing else may differ.
    const ofLiar = (line: string): boolean => line.includes(`10.244.${LIAR}.`) || line.includes(`172.20.0.${LIAR}:`);
    const others = honest.filter(line => !ofLiar(line));
    const unchanged = async (): Promise<void> => {
      expect((await state()).filter(line => !ofLiar(line))).toEqual(others);
      await lab.talk.untilAllTalk();
    };
    await unchanged();
    await sleep(6000);
    await lab.node(THIRD).agent!.stop('SIGKILL');
    lab.startAgent(lab.node(THIRD));
    await until('the agent', async () => (await lab.ready(lab.node(THIRD)))?.ready === true, HANG_MS, 100);
    await unchanged();
    // As Felix does at each of its starts; the victim's agent publishes it again.
    await lab.annotate(VICTIM, { [KEY[4]]: null });
    await until('the key', async () => (await lab.keyOf(VICTIM)) === key, HANG_MS, 50);
    await sleep(1000);
    await unchanged();
    console.log('attacks: nothing changed on the third node, and each lie has an Event that names the liar');
  });
}

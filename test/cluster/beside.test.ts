/**
 * An agent beside others: Felix on the same node, a node without an agent, unreadable objects,
 * changing settings; and fail-closed. Nodes 1 to 3 have an agent, node 4 gets one at the end. The
 * steps build on each other.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run, sleep, until } from '../netns/command.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { HANG_MS } from '../support/patience.ts';
import { describeCluster } from './control-plane.ts';
import { ClusterLab } from './lab.ts';
import { GROUP, KEY, nodeAddress, nodeName, path, podAddress } from './objects.ts';
import { KEY_BACK_MS, meddle } from './scripted-felix.ts';
import { Underlay } from './underlay.ts';
import { createUnreadable } from './unreadable.ts';

const NODES = [1, 2, 3, 4];
const WITH_AGENT = [1, 2, 3];
const KEYLESS = 4;
/** Milliseconds. */
const LIMIT = HANG_MS;
const NEEDS = ['root', 'tun', 'ip', 'sysctl', 'tcpdump', 'ping', 'nft', 'wg', 'unshare'] as const;
const pod = (index: number): string => podAddress(index, 4);

describeCluster('beside others', () => inOwnNamespace(import.meta.url, NEEDS, body, { show: 'beside others:' }));

function body(): void {
  let lab: ClusterLab;
  const say = (text: string): void => console.log(`beside others: ${text}`);
  const shown = async (index: number, ...argv: string[]): Promise<string> =>
    (await run(lab.inside(lab.node(index), argv))).stdout;
  const ping = async (from: number, to: string): Promise<boolean> =>
    (await lab.node(from).namespace.run(['ping', '-c', '2', '-i', '0.2', '-W', '1', to], { mayFail: true })).code === 0;
  /** Pod packets in the clear, except those of these nodes. */
  const inTheClear = async (since: number, but: readonly number[] = []): Promise<readonly unknown[]> => {
    const excused = new Set(but.map(pod));
    const seen = await lab.plaintext.between(since);
    return seen.filter(({ source, destination }) => !excused.has(source) && !excused.has(destination));
  };

  beforeAll(async () => {
    lab = await ClusterLab.start([4]);
    await lab.felix({ wireguardEnabled: true });
    for (const index of NODES) await lab.addNode(index);
    for (const index of NODES) await lab.addBlocks(index);
    for (const index of WITH_AGENT) lab.startAgent(lab.node(index));
    for (const index of WITH_AGENT) await until('a key', () => lab.keyOf(index));
    for (const index of NODES) await lab.startTraffic(await lab.addPod(index));
    await lab.talk.untilAllTalk();
  });
  afterAll(() => lab?.close());

  test('only the node without an agent is reached in the clear; wgts verify reports it', async () => {
    const since = Date.now();
    await sleep(500);
    expect(await inTheClear(since, [KEYLESS])).toEqual([]);
    expect(await inTheClear(since)).not.toEqual([]);
    const { code, stdout } = await lab.verify();
    expect(code).toBe(1);
    expect(stdout).toContain('node-4: no-key');
    const json = JSON.parse((await lab.verify('--json')).stdout) as {
      pairs: { a: string; b: string; encrypted: boolean }[];
    };
    expect(json.pairs.filter(({ encrypted }) => encrypted).map(({ a, b }) => `${a} ${b}`)).toEqual([
      'node-1 node-2',
      'node-1 node-3',
      'node-2 node-3',
    ]);
  });

  test("device, rule and routes equal Felix's, under other names", async () => {
    expect(await shown(1, 'ip', 'rule', 'show', 'priority', '99')).toBe(
      '99:\tnot from all fwmark 0x1000/0x1000 lookup 51820\n',
    );
    const routes = await shown(1, 'ip', 'route', 'show', 'table', '51820');
    expect(routes).toMatch(/^10\.244\.2\.0\/26 dev tunl-wg\.cali scope link/m);
    expect(routes).toMatch(/^throw 10\.244\.1\.0\/26/m);
    expect(routes).toMatch(/^throw 10\.244\.4\.0\/26/m);
    const transfer = (await shown(1, 'wg', 'show', 'tunl-wg.cali', 'transfer')).trim().split('\n');
    expect(transfer).toHaveLength(2);
    for (const line of transfer) expect(line).toMatch(/\t[1-9]\d+\t[1-9]\d+$/);
  });

  test('beside Felix: the tunnel stays up, and the key is back within a second', async () => {
    const link = await shown(1, 'ip', '-o', 'link', 'show', 'tunl-wg.cali');
    const before = await lab.keyOf(1);
    const since = Date.now();
    const { cleared } = await meddle(lab, lab.node(1), 8);
    expect(await shown(1, 'ip', '-o', 'link', 'show', 'tunl-wg.cali')).toBe(link);
    expect(await lab.keyOf(1)).toBe(before);
    const slowest = Math.max(...cleared.map(({ back }) => back));
    // Repaired by the event, not by the next full turn after 90 s.
    expect(slowest).toBeLessThan(KEY_BACK_MS);
    await lab.talk.untilAllTalk();
    // The cost: until the others see the key again, they send in the clear.
    const clear = (await lab.plaintext.between(since)).filter(
      ({ source, destination }) => source !== pod(KEYLESS) && destination !== pod(KEYLESS),
    );
    for (const { time, source, destination } of clear) {
      expect([source, destination]).toContain(pod(1));
      expect(cleared.some(({ at }) => time >= at && time < at + 1500)).toBe(true);
    }
    const { longest } = lab.talk.measure(since);
    say(
      `key cleared 8 times: back after at most ${slowest} ms; ${clear.length} packets in the clear in between; no pair silent for more than ${Math.max(longest, 150)} ms`,
    );
    const quiet = Date.now();
    await sleep(500);
    expect(await inTheClear(quiet, [KEYLESS])).toEqual([]);
  });

  test('an overwritten key is restored within five seconds', async () => {
    const before = await lab.keyOf(2);
    const other = Buffer.alloc(32, 7).toString('base64');
    await lab.annotate(2, { [KEY[4]]: other });
    const began = Date.now();
    await until('our key', async () => (await lab.keyOf(2)) === before);
    say(`an overwritten key healed after ${Date.now() - began} ms`);
    await lab.talk.untilAllTalk();
  });

  test('an Event names each unreadable object, and the rest works', async () => {
    const since = Date.now();
    await createUnreadable(lab.plane, (await lab.keyOf(3))!);
    // Another node claims the key of node 3 now, which changes nothing for node 3.
    const named = [
      'node-11',
      'node-12',
      'node-13',
      'node-14',
      'node-16',
      'bad-cidr',
      'bad-length',
      'odd',
      'banana',
      'bad-pool',
    ];
    const events = async (): Promise<readonly { message: string; reason: string }[]> => {
      const { items } = (await lab.plane.api('GET', '/api/v1/namespaces/default/events')) as {
        items: { message: string; reason: string; involvedObject: { name: string } }[];
      };
      return items.filter(({ involvedObject }) => involvedObject.name === nodeName(1));
    };
    await until(`Events that name ${named.join(', ')}`, async () => {
      const messages = (await events()).map(({ message }) => message);
      return named.every(name => messages.some(message => message.includes(name)));
    }).catch(async (error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(await events(), undefined, 1)}`);
    });
    for (const { message } of await events()) expect(message.length).toBeLessThanOrEqual(1024);
    const { code, stdout } = await lab.verify();
    expect(code).toBe(1);
    expect(stdout).toMatch(/node-14: duplicate-key/);
    expect(stdout).toMatch(/node-11: invalid-key/);
    await lab.talk.untilAllTalk();
    expect(await inTheClear(since, [KEYLESS])).toEqual([]);
    for (const index of WITH_AGENT) expect(lab.node(index).agent!.result()).toBeUndefined();
    for (const index of [11, 12, 13, 14, 15, 16]) await lab.plane.api('DELETE', path('Node', nodeName(index)));
    for (const name of ['bad-cidr', 'bad-length', 'bad-allocations', 'unknown-fields'])
      await lab.plane.api('DELETE', path('IPAMBlock', name));
    for (const name of ['odd', `node.${nodeName(1)}`]) await lab.plane.api('DELETE', path('FelixConfiguration', name));
    await lab.plane.api('DELETE', `/apis/${GROUP}/ippools/bad-pool`);
    await lab.talk.untilAllTalk();
    await sleep(500);
    const healed = Date.now();
    await sleep(500);
    expect(await inTheClear(healed, [KEYLESS])).toEqual([]);
  });

  test('another port, MTU and priority take effect', async () => {
    await lab.felix({ wireguardListeningPort: 51821, wireguardMTU: 1380, wireguardRoutingRulePriority: 90 });
    await until('the new settings', async () => {
      const all = await Promise.all(
        WITH_AGENT.map(async index => [
          await shown(index, 'wg', 'show', 'tunl-wg.cali', 'listen-port'),
          await shown(index, 'ip', 'rule', 'show', 'priority', '90'),
          await shown(index, 'ip', 'rule', 'show', 'priority', '99'),
          /mtu (\d+)/.exec(await shown(index, 'ip', 'link', 'show', 'tunl-wg.cali'))?.[1],
        ]),
      );
      return all.every(
        ([port, rule, old, mtu]) =>
          port === '51821\n' && rule!.includes('lookup 51820') && old === '' && mtu === '1380',
      );
    });
    const since = Date.now();
    await lab.talk.untilAllTalk();
    await sleep(300);
    expect(await inTheClear(since, [KEYLESS])).toEqual([]);
  });

  test('host encryption: traffic between nodes is encrypted too', async () => {
    const icmp = await Underlay.watch(lab.bridge, lab.file('icmp.pcap'), 'icmp');
    try {
      expect(await ping(1, nodeAddress(2, 4))).toBe(true);
      expect(await icmp.packets()).not.toEqual([]);
      await lab.felix({ wireguardHostEncryptionEnabled: true });
      const allowed = async () => await shown(1, 'wg', 'show', 'tunl-wg.cali', 'allowed-ips');
      await until('node addresses as allowed IPs', async () => (await allowed()).includes(`${nodeAddress(2, 4)}/32`));
      await until('the same on the other', async () =>
        (await shown(2, 'wg', 'show', 'tunl-wg.cali', 'allowed-ips')).includes(`${nodeAddress(1, 4)}/32`),
      );
      expect(await shown(1, 'ip', 'route', 'show', 'table', '51820', nodeAddress(2, 4))).toContain('dev tunl-wg.cali');
      expect(await shown(1, 'sysctl', '-n', 'net.ipv4.conf.all.src_valid_mark')).toBe('1\n');
      expect(await shown(1, 'nft', 'list', 'ruleset')).toContain('chain mark');
      await sleep(300);
      const since = Date.now();
      expect(await ping(1, nodeAddress(2, 4))).toBe(true);
      expect(await ping(2, pod(1))).toBe(true);
      expect(await icmp.between(since)).toEqual([]);
      expect(await ping(1, nodeAddress(KEYLESS, 4))).toBe(true);
      await lab.talk.untilAllTalk();
    } finally {
      await icmp.stop();
      await lab.felix({ wireguardHostEncryptionEnabled: null });
    }
    await until(
      'it to end',
      async () => !(await shown(1, 'wg', 'show', 'tunl-wg.cali', 'allowed-ips')).includes('172.20'),
    );
  });

  test('fail-closed: pods cannot reach a node without a key, and nothing is in the clear; hosts can', async () => {
    const closed = [1, 2];
    for (const index of closed) {
      await lab.node(index).agent!.stop();
      lab.startAgent(lab.node(index), '--fail-closed');
    }
    const sealed = async (index: number) => (await shown(index, 'nft', 'list', 'ruleset')).includes('seal-out');
    await until('the seals', async () => (await Promise.all(closed.map(sealed))).every(Boolean));
    await lab.talk.untilAllTalk((from, to) => ![from, to].includes(pod(KEYLESS)));
    await sleep(300);
    const since = Date.now();
    await sleep(2000);
    // Only node 4 itself could block what node 4 sends.
    const left = (await lab.plaintext.between(since)).filter(({ source }) => closed.map(pod).includes(source));
    expect(left).toEqual([]);
    const silent = lab.talk.silentSince(since).map(pair => pair.join(' to '));
    const expected = closed.flatMap(index => [`${pod(index)} to ${pod(KEYLESS)}`, `${pod(KEYLESS)} to ${pod(index)}`]);
    expect([...silent].sort()).toEqual([...expected].sort());
    expect(await ping(1, pod(KEYLESS))).toBe(false);
    expect(await ping(1, nodeAddress(KEYLESS, 4))).toBe(true);
    expect(await ping(KEYLESS, nodeAddress(1, 4))).toBe(true);
    expect(await lab.ready(lab.node(1))).toMatchObject({ ready: true, phase: 'running' });
    expect((await lab.ready(lab.node(1)))!.stale).toBeUndefined();
  });

  test('with an agent it joins the others, and everything is encrypted', async () => {
    lab.startAgent(lab.node(KEYLESS), '--fail-closed');
    await until('its key', () => lab.keyOf(KEYLESS), LIMIT);
    await lab.talk.untilAllTalk();
    await sleep(500);
    const since = Date.now();
    await sleep(500);
    expect(await inTheClear(since)).toEqual([]);
    expect((await lab.verify()).code).toBe(0);
  });

  test('fail-closed, and the agent ends together with its tunnel, as in a container: drops rather than sends in the clear', async () => {
    const since = Date.now();
    const at = lab.node(1);
    await at.agent!.stop('SIGKILL');
    await at.namespace.ip('link del tunl-wg.cali');
    await sleep(1000);
    lab.startAgent(at, '--fail-closed');
    await until('the agent', async () => (await lab.ready(at))?.ready === true, LIMIT, 100);
    await lab.talk.untilAllTalk();
    const { longest } = lab.talk.measure(since);
    say(
      `an agent gone with its tunnel for a second, fail-closed: no pair silent for more than ${Math.max(longest, 150)} ms`,
    );
    await sleep(300);
    expect(await inTheClear(since)).toEqual([]);
  });
}

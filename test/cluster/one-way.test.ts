/**
 * Traffic that only one node's pods begin. Felix clears our key at each of its starts, and peers
 * then drop their session with us. Where pods of both sides send, the other side's next packet
 * begins a new session unnoticed; here only node 1's pod begins traffic. Pods' interfaces are azv*,
 * as in Azure, and the agents fail closed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Family } from '../../src/base/family.ts';
import { run, sleep, until } from '../netns/command.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { HANG_MS } from '../support/patience.ts';
import { describeCluster } from './control-plane.ts';
import { ClusterLab, type LabPod } from './lab.ts';
import { KEY, node, nodeName, path, podAddress } from './objects.ts';

const NODES = [1, 2];
const FAMILIES = [4, 6] as const;
const NEEDS = ['root', 'tun', 'ip', 'sysctl', 'tcpdump', 'ping', 'nft', 'wg', 'unshare'] as const;
/** Milliseconds. */
const INTERVAL_MS = 50;
/**
 * The time that WireGuard itself takes to notice a dead session (KEEPALIVE_TIMEOUT and
 * REKEY_TIMEOUT): the minimum silence without fresh handshakes. With them it is about 0.3 s.
 */
const MOST_LOST_MS = 15_000;

describeCluster('one-way', () => inOwnNamespace(import.meta.url, NEEDS, body, { show: 'one-way:' }));

function body(): void {
  let lab: ClusterLab;
  let pod: LabPod;
  const say = (text: string): void => console.log(`one-way: ${text}`);
  const target = (family: Family): string => podAddress(2, family);

  beforeAll(async () => {
    lab = await ClusterLab.start(FAMILIES);
    lab.podPrefix = 'azv';
    await lab.felix({ wireguardEnabled: true, wireguardEnabledV6: true, interfacePrefix: 'azv' });
    for (const index of NODES) await lab.addNode(index);
    for (const index of NODES) await lab.addBlocks(index);
    pod = await lab.addPod(1);
    await lab.addPod(2);
    for (const index of NODES) lab.startAgent(lab.node(index), '--fail-closed');
    for (const index of NODES) for (const family of FAMILIES) await until('a key', () => lab.keyOf(index, family));
    for (const family of FAMILIES)
      await until(
        `IPv${family}`,
        async () => (await pod.namespace.run(['ping', '-c1', '-W1', target(family)], { mayFail: true })).code === 0,
        20_000,
      );
  });
  afterAll(() => lab?.close());

  async function longestSilence(family: Family, action: () => Promise<void>): Promise<number> {
    return (await silences(family, action)).longest;
  }

  /**
   * @returns in milliseconds: the longest time without an answer, starting one second before the
   * action; and
   *   the time from its end to the first answer of a continuing series
   */
  async function silences(
    family: Family,
    action: () => Promise<void>,
    limit = HANG_MS,
  ): Promise<{ readonly longest: number; readonly healed: number }> {
    const argv = ['ping', '-D', '-n', '-i', String(INTERVAL_MS / 1000), '-W1', target(family)];
    const ping = pod.namespace.start(argv);
    const times = (): number[] =>
      [...ping.output().matchAll(/^\[(\d+\.\d+)\].* time=/gm)].map(each => Number(each[1]) * 1000);
    try {
      await until('answers', () => times().length > 1000 / INTERVAL_MS);
      const since = Date.now() - 1000;
      await action();
      const acted = Date.now();
      // Includes the second handshake attempt.
      await sleep(4_000);
      await until('answers again', () => (times().at(-1) ?? 0) > Date.now() - 500, limit);
      const all = [...times().filter(each => each > since), Date.now()];
      const gaps = all.slice(1).map((each, i) => ({ end: each, length: each - all[i]! }));
      const longest = Math.max(...gaps.map(({ length }) => length));
      const healed = Math.max(0, ...gaps.filter(({ length }) => length > 500).map(({ end }) => end - acted));
      say(
        `IPv${family}: ${Math.round(longest)} ms without an answer, the last one ${Math.round(healed)} ms after the action`,
      );
      return { longest, healed };
    } finally {
      await ping.stop('SIGINT');
    }
  }
  const wipe = (...families: readonly Family[]): Promise<void> =>
    lab.annotate(1, Object.fromEntries(families.map(family => [KEY[family], null])));

  describe.each([false, true])('host encryption: %s', hosts => {
    beforeAll(async () => {
      await lab.felix({ wireguardHostEncryptionEnabled: hosts ? true : null });
      await sleep(1_500);
    });

    test.each(FAMILIES)(
      'IPv%s: sealed pods reach each other although their interfaces do not begin with cali',
      async family => {
        const since = Date.now();
        const table = (await run(lab.inside(lab.node(1), ['nft', 'list', 'ruleset']))).stdout;
        expect(table).toContain('seal-out');
        expect(table).toMatch(/oifname "azv\*" accept/);
        expect(table).not.toContain('"cali*"');
        // Only after all agents have applied the switch.
        await until('ten answers of ten', async () => {
          const argv = ['ping', '-c10', '-i0.05', '-W1', target(family)];
          return (await pod.namespace.run(argv, { mayFail: true })).stdout.includes('10 received');
        });
        await sleep(300);
        expect(await lab.plaintext.between(since)).toEqual([]);
      },
    );
  });

  test.each(FAMILIES)('IPv%s: Felix starts', async family => {
    expect(await longestSilence(family, () => wipe(family))).toBeLessThan(MOST_LOST_MS);
  });

  test('an overwritten key', async () => {
    const other = Buffer.alloc(32, 7).toString('base64');
    expect(await longestSilence(4, () => lab.annotate(1, { [KEY[4]]: other }))).toBeLessThan(MOST_LOST_MS);
  });

  test('several starts in a row: no longer silence after the last', async () => {
    const longest = await longestSilence(4, async () => {
      for (let i = 0; i < 4; i++) {
        await wipe(4, 6);
        await sleep(300);
      }
    });
    // Each start may cost as much as a single one.
    expect(longest).toBeLessThan(MOST_LOST_MS + 4 * 300);
  });

  test("the peer's Felix starts", async () => {
    const action = () => lab.annotate(2, { [KEY[4]]: null, [KEY[6]]: null });
    expect(await longestSilence(4, action)).toBeLessThan(MOST_LOST_MS);
  });

  test('both at once', async () => {
    const action = async (): Promise<void> => {
      await Promise.all(NODES.map(index => lab.annotate(index, { [KEY[4]]: null, [KEY[6]]: null })));
    };
    expect(await longestSilence(6, action)).toBeLessThan(MOST_LOST_MS);
  });

  const back = (): Promise<unknown> => until('its key', () => lab.keyOf(1, 4));

  test('our Node is deleted and re-created: recovers soon after the key is back', async () => {
    const { healed } = await silences(4, async () => {
      await lab.plane.api('DELETE', path('Node', nodeName(1)));
      await sleep(1_000);
      await lab.plane.apply(node(1, FAMILIES));
      await back();
    });
    expect(healed).toBeLessThan(MOST_LOST_MS);
  });

  test('the agent starts while the key is cleared: recovers soon after the key is back', async () => {
    const { healed } = await silences(4, async () => {
      await lab.node(1).agent!.stop('SIGKILL');
      await wipe(4, 6);
      await sleep(500);
      lab.startAgent(lab.node(1), '--fail-closed');
      await back();
    });
    expect(healed).toBeLessThan(MOST_LOST_MS);
  });
}

/**
 * Policies as Felix programs them around the tunnel, the traffic on the underlay, and settings that
 * change while WireGuard is off (docs/reference/calico-felix.md#cluster-tests). Two nodes, both
 * families at once; the steps build on each other.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Family } from '../../src/base/family.ts';
import { run, sleep, until } from '../netns/command.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { HANG_MS } from '../support/patience.ts';
import { describeCluster } from './control-plane.ts';
import { ClusterLab } from './lab.ts';
import { blockOf, nodeAddress, nodeName, path, podAddress } from './objects.ts';
import { Underlay } from './underlay.ts';

const FAMILIES = [4, 6] as const;
const NODES = [1, 2];
/** Milliseconds. */
const LIMIT = HANG_MS;
const NEEDS = ['root', 'tun', 'ip', 'sysctl', 'tcpdump', 'ping', 'nft', 'wg', 'unshare'] as const;
const LINK: Readonly<Record<Family, string>> = { 4: 'tunl-wg.cali', 6: 'tunl-wg6.cali' };
const OTHER_LINK: Readonly<Record<Family, string>> = { 4: 'other.cali', 6: 'other6.cali' };
/**
 * Packets between the nodes other than WireGuard from port to port; ignores the control plane, ARP
 * and neighbour discovery.
 */
const ELSE = [
  '(ip or ip6)',
  'not ip6 multicast',
  'not (icmp6 and (ip6[40] == 135 or ip6[40] == 136))',
  'not host 172.20.0.254 and not host fd20::fe',
  'not (udp src port 51820 and dst port 51820)',
  'not (udp src port 51821 and dst port 51821)',
].join(' and ');
/**
 * What Felix allows before any HostEndpoint policy while WireGuard is on
 * (docs/reference/calico-felix.md#firewall); and what it always allows.
 */
const FELIX = `udp dport { 51820, 51821 } fib WHERE type local accept
    meta l4proto ipv6-icmp accept
    ip WHERE 172.20.0.0/24 tcp dport 1-65535 accept
    ip6 WHERE fd20::/64 tcp dport 1-65535 accept`;

describeCluster('policies', () => inOwnNamespace(import.meta.url, NEEDS, body, { show: 'policies:' }));

function body(): void {
  let lab: ClusterLab;
  let others: Underlay;
  const shown = async (index: number, ...argv: string[]): Promise<string> =>
    (await run(lab.inside(lab.node(index), argv))).stdout;
  const enabled = (value: boolean): object => ({ wireguardEnabled: value, wireguardEnabledV6: value });
  const keys = async (): Promise<readonly (string | undefined)[]> =>
    Promise.all(NODES.flatMap(index => FAMILIES.map(family => lab.keyOf(index, family))));
  /** Checks that pod traffic crossed the underlay, and only inside WireGuard's messages. */
  const encrypted = async (since: number): Promise<void> => {
    await sleep(500);
    expect(await others.between(since)).toEqual([]);
    for (const family of FAMILIES)
      for (const [from, to] of [
        [1, 2],
        [2, 1],
      ] as const)
        expect(await lab.encrypted.between(since)).toContainEqual(
          expect.objectContaining({ source: nodeAddress(from, family), destination: nodeAddress(to, family) }),
        );
  };
  /** Restarts the sessions: many policies pass established connections. */
  const forgetSessions = async (): Promise<void> => {
    for (const family of FAMILIES)
      await lab.node(1).namespace.ip(`link set ${LINK[family]} down`, `link set ${LINK[family]} up`);
    await until('the agent to be done', async () => (await lab.ready(lab.node(1)))?.ready === true, LIMIT, 100);
  };
  const policy = (rules: string): Promise<void> =>
    lab.node(1).namespace.nft(`table inet cali\ndelete table inet cali\ntable inet cali {\n${rules}\n}`);

  beforeAll(async () => {
    lab = await ClusterLab.start(FAMILIES);
    others = await Underlay.watch(lab.bridge, lab.file('others.pcap'), ELSE);
    await lab.felix(enabled(true));
    for (const index of NODES) await lab.addNode(index);
    for (const index of NODES) await lab.addBlocks(index);
    for (const index of NODES) lab.startAgent(lab.node(index));
    for (const index of NODES) for (const family of FAMILIES) await until('a key', () => lab.keyOf(index, family));
    for (const index of NODES) await lab.startTraffic(await lab.addPod(index));
    await lab.talk.untilAllTalk();
    await sleep(1000);
  });
  afterAll(async () => {
    await others?.stop();
    await lab?.close();
  });

  test('between the nodes there is UDP from 51820 to 51820, from 51821 to 51821, and nothing else', async () => {
    const since = Date.now();
    await lab.talk.untilAllTalk();
    await encrypted(since);
    for (const family of FAMILIES)
      expect(await shown(1, 'wg', 'show', LINK[family], 'transfer')).toMatch(/\t[1-9]\d+\t[1-9]\d+$/m);
  });

  describe.each(['accept', 'drop'] as const)(
    'a policy of a HostEndpoint denies the port, INPUT and OUTPUT %s',
    verdict => {
      const chains = (allowed: boolean): string =>
        (['input', 'output'] as const)
          .map(hook => {
            const [name, own, peer] = hook === 'input' ? ['iifname', 'daddr', 'saddr'] : ['oifname', 'saddr', 'daddr'];
            const felix = FELIX.replace('fib WHERE', `fib ${own}`).replaceAll('WHERE', peer);
            return `chain ${hook} { type filter hook ${hook} priority 0; policy ${verdict};
            ${name} lo accept
            ${allowed ? felix : felix.split('\n').slice(1).join('\n')}
            ${name} eth0 drop
          }`;
          })
          .join('\n');

      test('without the traffic that Felix allows before it, nothing passes', async () => {
        await policy(chains(false));
        await sleep(500);
        const since = Date.now();
        await sleep(500);
        expect(lab.talk.silentSince(since)).toHaveLength(lab.talk.pairs().length);
      });

      test('with it the tunnel works, including new sessions', async () => {
        const begin = Date.now();
        await policy(chains(true));
        await forgetSessions();
        await lab.talk.untilAllTalk(undefined);
        // While the link was down its port was closed, which the host reports by ICMP.
        await encrypted(Date.now());
        expect(await lab.plaintext.between(begin)).toEqual([]);
        await policy('');
      });
    },
  );

  test('a denying egress policy of a pod stops its traffic into the tunnel, and an allowing one lets it pass', async () => {
    const deny = FAMILIES.map(family => {
      const to = family === 4 ? 'ip daddr 10.244.2.0/26' : 'ip6 daddr fd10:244:2::/122';
      return `iifname "cali*" ${to} drop`;
    });
    await policy(`chain forward {\ntype filter hook forward priority 0\n${deny.join('\n')}\n}`);
    await sleep(300);
    const sent = async (family: Family): Promise<number> =>
      Number((await shown(1, 'wg', 'show', LINK[family], 'transfer')).trim().split('\t')[2]);
    const before = await Promise.all(FAMILIES.map(sent));
    const since = Date.now();
    await sleep(1000);
    const silent = lab.talk.silentSince(since).map(([from]) => from);
    expect([...silent].sort()).toEqual(FAMILIES.map(family => podAddress(1, family)).sort());
    // Only keepalives, where about 50 datagrams went before.
    for (const [i, family] of FAMILIES.entries()) expect((await sent(family)) - before[i]!).toBeLessThan(500);
    await policy('');
    await lab.talk.untilAllTalk();
    await encrypted(since);
  });

  test('switched off: keys are cleared, routes are gone, and traffic continues in the clear', async () => {
    await lab.felix(enabled(false));
    await until('the keys to go', async () => (await keys()).every(key => key === undefined), LIMIT);
    const gone = async (): Promise<string> => {
      const rules = await Promise.all(FAMILIES.map(family => shown(1, 'ip', `-${family}`, 'rule')));
      const routes = await shown(1, 'ip', 'route', 'show', 'table', 'all');
      return `${rules.join('')}${routes}${await shown(1, 'ip', '-o', 'link')}`;
    };
    await until('rules, routes and links to go', async () => !/51820|tunl-wg/.test(await gone()), LIMIT);
    await lab.talk.untilAllTalk();
    const since = Date.now();
    await sleep(300);
    expect(await lab.encrypted.between(since)).toEqual([]);
    // This also proves that the captures see clear traffic.
    expect((await lab.plaintext.between(since)).length).toBeGreaterThan(0);
    expect((await others.between(since)).length).toBeGreaterThan(0);
  });

  test('switched on again with other names, MTU, port and priority: these take effect, and nothing is in the clear', async () => {
    for (const index of NODES) {
      await lab.node(index).agent!.stop();
      const names = ['--interface', OTHER_LINK[4], '--interface-v6', OTHER_LINK[6]];
      lab.startAgent(lab.node(index), ...names);
    }
    const mtu = { wireguardMTU: 1380, wireguardMTUV6: 1360 };
    const ports = { wireguardListeningPort: 51821, wireguardListeningPortV6: 51820 };
    await lab.felix({ ...enabled(true), ...mtu, ...ports, wireguardRoutingRulePriority: 90 });
    await until('the keys', async () => (await keys()).every(key => key !== undefined));
    await sleep(1000);
    for (const family of FAMILIES) {
      const link = await shown(1, 'ip', 'link', 'show', OTHER_LINK[family]);
      expect(link).toContain(`mtu ${family === 4 ? 1380 : 1360}`);
      expect(await shown(1, 'wg', 'show', OTHER_LINK[family], 'listen-port')).toBe(`${family === 4 ? 51821 : 51820}\n`);
      expect(await shown(1, 'ip', `-${family}`, 'rule')).toMatch(/^90:.*lookup 51820/m);
    }
    expect(await shown(1, 'ip', '-o', 'link')).not.toContain('tunl-wg');
    await lab.talk.untilAllTalk();
    const since = Date.now();
    await lab.talk.untilAllTalk();
    await encrypted(since);
  });

  test('WorkloadIPs and host encryption: peers have the addresses of nodes and of each pod, and hosts and pods reach each other encrypted', async () => {
    // Like a cloud's network, where Calico has no IPAM.
    for (const index of NODES)
      for (const family of FAMILIES) await lab.plane.api('DELETE', path('IPAMBlock', blockOf(index, family)));
    for (const index of NODES)
      await lab.plane.apply({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `pod-${index}`, namespace: 'default' },
        spec: { nodeName: nodeName(index), containers: [{ name: 'c', image: 'i' }] },
        status: {
          phase: 'Running',
          podIP: podAddress(index, 4),
          podIPs: FAMILIES.map(family => ({ ip: podAddress(index, family) })),
        },
      });
    await lab.felix({ routeSource: 'WorkloadIPs', wireguardHostEncryptionEnabled: true });
    for (const family of FAMILIES) {
      const length = family === 4 ? 32 : 128;
      for (const [index, other] of [
        [1, 2],
        [2, 1],
      ] as const) {
        const expected = [nodeAddress(other, family), podAddress(other, family)]
          .map(each => `${each}/${length}`)
          .sort();
        const allowed = async (): Promise<readonly string[]> =>
          (await shown(index, 'wg', 'show', OTHER_LINK[family], 'allowed-ips')).trim().split(/\s+/).slice(1).sort();
        await until(
          `IPv${family} of node ${other}`,
          async () => JSON.stringify(await allowed()) === JSON.stringify(expected),
          LIMIT,
          100,
        );
        const routes = await shown(index, 'ip', `-${family}`, 'route', 'show', 'table', '51820');
        for (const each of [nodeAddress(other, family), podAddress(other, family)])
          expect(routes).toMatch(new RegExp(`^${each} dev ${OTHER_LINK[family]}`, 'm'));
      }
    }
    expect(await shown(1, 'sysctl', '-n', 'net.ipv4.conf.all.src_valid_mark')).toBe('1\n');
    expect(await shown(1, 'nft', 'list', 'ruleset')).toContain('chain mark');
    await sleep(500);
    const since = Date.now();
    const ping = async (index: number, to: string): Promise<string> => {
      const argv = ['ping', '-c', '2', '-i', '0.2', '-W', '1', to];
      return (await lab.node(index).namespace.run(argv, { mayFail: true })).code === 0 ? to : `${to} is not reached`;
    };
    for (const family of FAMILIES)
      for (const to of [nodeAddress(2, family), podAddress(2, family), podAddress(1, family)])
        expect(await ping(1, to)).toBe(to);
    await lab.talk.untilAllTalk();
    await encrypted(since);
  });
}

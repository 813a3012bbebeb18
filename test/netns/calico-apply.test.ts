/**
 * Two nodes with a plan applied, in namespaces with pods behind them, with our userspace device:
 * the kernel's state, and which traffic flows.
 *
 * @module-tag slow
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { capture } from './capture.ts';
import { until } from './command.ts';
import { SOCKET_DIRECTORY } from './device.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';

interface ApplyResult {
  readonly tunnels: Record<string, { ready: boolean; publicKey?: string; error?: unknown }>;
  readonly changes: number;
  readonly log: readonly string[];
}
interface Plan {
  readonly [field: string]: unknown;
  readonly routes: Record<string, string>;
  readonly firewall: {
    allowPort: boolean;
    masquerade: boolean;
    sealed: readonly string[];
    workloadPrefixes: readonly string[];
  };
}

describeWith([...NETWORK, 'nft', 'tcpdump'], 'a node with its plan applied', () => {
  const lab = new Lab();
  const names = [lab.interfaceName(), lab.interfaceName()];
  const nodes: Namespace[] = [];
  const pods: Namespace[] = [];
  const keys: string[] = [];

  beforeAll(async () => {
    for (const i of [0, 1]) {
      nodes.push(await lab.namespace(`node${i}`));
      pods.push(await lab.namespace(`pod${i}`));
      lab.owns(join(SOCKET_DIRECTORY, `${names[i]}.sock`));
    }
    await lab.cable(nodes[0]!, 'eth0', ['192.0.2.1/24'], nodes[1]!, 'eth0', ['192.0.2.2/24']);
    for (const i of [0, 1]) {
      await lab.cable(nodes[i]!, 'cali0', ['169.254.1.1/32'], pods[i]!, 'eth0', [`10.42.${i + 1}.2/32`]);
      await nodes[i]!.ip(
        `route add 10.42.${i + 1}.2/32 dev cali0`,
        `route add 10.42.${2 - i}.0/26 via 192.0.2.${2 - i}`,
      );
      await pods[i]!.ip('route add 169.254.1.1/32 dev eth0', 'route add default via 169.254.1.1');
      await nodes[i]!.sysctl('net.ipv4.ip_forward=1');
      // The first run only creates the key.
      const [result] = await agent(i, plan(i, { peers: [], routes: {} }), 'apply');
      keys.push(result!.tunnels['4']!.publicKey!);
    }
  });

  afterAll(() => lab.close());

  const plan = (i: number, change: Partial<Plan> = {}): Plan => ({
    family: 4,
    interfaceName: names[i],
    mtu: 1440,
    listenPort: 51820,
    mark: 0x100000,
    address: `10.42.${i + 1}.1`,
    peers: [{ key: keys[1 - i], endpoint: `192.0.2.${2 - i}`, allowedIps: [`10.42.${2 - i}.0/26`] }],
    table: 51820,
    routes: { [`10.42.${i + 1}.0/26`]: 'throw', [`10.42.${2 - i}.0/26`]: 'tunnel' },
    routeProtocol: 80,
    threaded: false,
    rulePriority: 98,
    firewall: { allowPort: true, masquerade: true, sealed: [], workloadPrefixes: ['cali'] },
    ...change,
  });
  const command = (i: number, what: Plan, ...actions: string[]): string[] => {
    const file = lab.file(JSON.stringify({ tunnels: { 4: what } }));
    return [
      process.execPath,
      join(import.meta.dirname, 'calico-apply.mjs'),
      join(lab.directory, `state${i}`),
      file,
      ...actions,
    ];
  };
  const agent = async (i: number, what: Plan, ...actions: string[]): Promise<ApplyResult[]> => {
    const { stdout } = await nodes[i]!.run(command(i, what, ...actions));
    const lines = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as ApplyResult);
    for (const { tunnels } of lines) expect(tunnels['4']?.error).toBeUndefined();
    return lines;
  };
  const shown = async (i: number, ...argv: string[]): Promise<string> =>
    (await nodes[i]!.run(argv)).stdout.replaceAll(names[i]!, 'WG').replace(/ +$/gm, '');
  const ping = async (from: Namespace, to: string, ...more: string[]): Promise<boolean> =>
    (await from.run(['ping', '-c', '2', '-i', '0.2', '-W', '1', ...more, to], { mayFail: true })).code === 0;
  const both = async (change: (i: number) => Partial<Plan> = () => ({})): Promise<void> => {
    for (const i of [0, 1]) await agent(i, plan(i, change(i)), 'apply');
  };

  test('has the same link, address, rule and routes as with Felix', async () => {
    await both();
    expect(await shown(0, 'ip', 'rule', 'show', 'table', '51820')).toBe(
      '98:\tnot from all fwmark 0x100000/0x100000 lookup 51820\n',
    );
    const routes = await shown(0, 'ip', 'route', 'show', 'table', '51820');
    expect(routes.split('\n').sort()).toEqual(
      ['', '10.42.2.0/26 dev WG proto 80 scope link', 'throw 10.42.1.0/26 proto 80'].sort(),
    );
    expect(await shown(0, 'ip', '-o', '-4', 'addr', 'show', 'dev', names[0]!)).toMatch(/inet 10\.42\.1\.1\/32 /);
    expect(await shown(0, 'ip', 'link', 'show', names[0]!)).toMatch(/UP,LOWER_UP> mtu 1440 /);
    expect(await shown(0, 'wg', 'show', names[0]!, 'fwmark')).toBe('0x100000\n');
    expect(await shown(0, 'wg', 'show', names[0]!, 'allowed-ips')).toContain('10.42.2.0/26');
  });

  test('applying again writes nothing, by cached state and by a full read', async () => {
    await both();
    const [, second, third] = await agent(0, plan(0), 'apply', 'apply', 'full');
    expect([second!.log, third!.log]).toEqual([[], []]);
    expect([second!.changes, third!.changes]).toEqual([0, 0]);
  });

  test('pods reach each other, and only WireGuard is on the cable', async () => {
    await both();
    const cable = await capture(lab, nodes[0]!, 'eth0', 'ip and not udp port 51820');
    expect(await ping(pods[0]!, '10.42.2.2')).toBe(true);
    expect(await ping(pods[1]!, '10.42.1.2')).toBe(true);
    expect((await nodes[0]!.run(['tcpdump', '-r', cable.file, '-n'], { mayFail: true })).stdout).toBe('');
    await cable.stop();
    expect((await nodes[0]!.run(['tcpdump', '-r', cable.file, '-n'])).stdout).toBe('');
    expect(await shown(0, 'wg', 'show', names[0]!, 'latest-handshakes')).toMatch(/\t[1-9]/);
  });

  test('traffic of the host from an address other than the tunnel’s arrives only masqueraded', async () => {
    await both(() => ({ firewall: { allowPort: true, masquerade: false, sealed: [], workloadPrefixes: ['cali'] } }));
    expect(await ping(nodes[0]!, '10.42.2.2')).toBe(true);
    expect(await ping(nodes[0]!, '10.42.2.2', '-I', '192.0.2.1')).toBe(false);
    await both();
    expect(await ping(nodes[0]!, '10.42.2.2', '-I', '192.0.2.1')).toBe(true);
    expect(await ping(pods[0]!, '10.42.2.2')).toBe(true);
  });

  test('fail-closed: no plaintext in or out, even where a route leads there; otherwise it passes', async () => {
    const open = {
      peers: [],
      routes: {},
      firewall: { allowPort: true, masquerade: true, sealed: [], workloadPrefixes: ['cali'] },
    };
    const sealed = { ...open, firewall: { ...open.firewall, sealed: ['10.42.2.0/26'] } };
    await agent(1, plan(1, open), 'apply');
    await agent(0, plan(0, open), 'apply');
    expect(await ping(pods[0]!, '10.42.2.2')).toBe(true);
    await agent(0, plan(0, sealed), 'apply');
    const [ours, theirs] = [
      await capture(lab, nodes[1]!, 'eth0', 'icmp'),
      await capture(lab, pods[0]!, 'eth0', 'icmp and src 10.42.2.2'),
    ];
    expect(await ping(pods[0]!, '10.42.2.2')).toBe(false);
    expect(await ping(nodes[0]!, '10.42.2.2')).toBe(false);
    await ours.stop();
    expect((await nodes[1]!.run(['tcpdump', '-r', ours.file, '-n'])).stdout).toBe('');
    expect(await ping(pods[1]!, '10.42.1.2')).toBe(false);
    await theirs.stop();
    expect((await nodes[0]!.run(['tcpdump', '-r', theirs.file, '-n'])).stdout).toBe('');
    // Its own pods remain reachable.
    expect(await ping(nodes[0]!, '10.42.1.2')).toBe(true);
    await both();
    expect(await ping(pods[0]!, '10.42.2.2')).toBe(true);
  });

  test('recreates a deleted link at once with the same key, and pods reach each other', async () => {
    await both();
    const running = nodes[0]!.start(command(0, plan(0), 'apply', 'watch'));
    await until('watching', () => running.output().includes('watching'));
    await nodes[0]!.ip(`link del ${names[0]}`);
    const { stdout } = await running.exited;
    const last = JSON.parse(stdout.trim().split('\n').at(-1)!) as ApplyResult;
    expect(last.log[0]).toMatch(/^seen: interface \S+ (is gone|was set down)/);
    expect(last.tunnels['4']).toMatchObject({ ready: true, publicKey: keys[0] });
    expect(await ping(pods[0]!, '10.42.2.2')).toBe(true);
  });

  test('the next agent repairs rule, route, address, peer and firewall after another program broke them', async () => {
    await both();
    const picture = async (): Promise<string[]> => {
      const texts = [
        ['ip', 'rule', 'show'],
        ['ip', 'route', 'show', 'table', '51820'],
        ['ip', '-o', '-4', 'addr', 'show', 'dev', names[0]!],
        ['wg', 'showconf', names[0]!],
        ['nft', 'list', 'ruleset'],
      ];
      return Promise.all(texts.map(async argv => (await shown(0, ...argv)).split('\n').sort().join('\n')));
    };
    const before = await picture();
    await nodes[0]!.ip(
      'rule del table 51820',
      'rule add pref 97 table 51820',
      'route flush table 51820',
      'route add 10.42.2.0/26 dev eth0 table 51820',
      'route add blackhole 10.9.0.0/16 table 51820',
      `addr add 10.7.7.7/24 dev ${names[0]}`,
    );
    await nodes[0]!.run(['wg', 'set', names[0]!, 'listen-port', '9', 'fwmark', '0', 'peer', keys[1]!, 'remove']);
    await nodes[0]!.run(['nft', 'flush', 'ruleset']);
    await agent(0, plan(0), 'apply');
    expect(await picture()).toEqual(before);
    expect(await ping(pods[0]!, '10.42.2.2')).toBe(true);
  });

  test('withdraw leaves nothing of ours, and pods reach each other in plaintext', async () => {
    await both();
    for (const i of [0, 1]) {
      const [, result, again] = await agent(i, plan(i), 'apply', 'withdraw', 'withdraw');
      expect(result!.tunnels).toEqual({});
      expect(again!.changes).toBe(0);
      expect(await shown(i, 'ip', 'rule', 'show', 'table', '51820')).toBe('');
      expect((await nodes[i]!.run(['ip', 'route', 'show', 'table', '51820'], { mayFail: true })).stdout).toBe('');
      expect((await nodes[i]!.run(['ip', 'link', 'show', names[i]!], { mayFail: true })).code).not.toBe(0);
      expect(await shown(i, 'nft', 'list', 'ruleset')).toBe('');
    }
    expect(await ping(pods[0]!, '10.42.2.2')).toBe(true);
  });
});

/**
 * Planning: which routes and rules a file asks for, and what is kept, changed or removed of an
 * existing interface.
 */
import { describe, expect, test } from 'vitest';
import { formatPrefix } from '../../src/base/prefix.ts';
import { numericZones } from '../../src/config/zones.ts';
import { PROTOCOL, TABLE } from '../../src/netlink/route.ts';
import { RULE_ACTION, type Rule } from '../../src/netlink/rules.ts';
import { parseQuickFile } from '../../src/quick/file.ts';
import { planRemoval, stateOfOthers } from '../../src/quick/plan-down.ts';
import { planUp, type UpInput } from '../../src/quick/plan-up.ts';
import { plannedRoutes, plannedRules, policyFamilies } from '../../src/quick/routing.ts';
import type { Snapshot } from '../../src/quick/snapshot.ts';
import { dueEndpoints, movedTo } from '../../src/quick/stale-endpoints.ts';
import type { QuickState } from '../../src/quick/state.ts';
import { describeStep } from '../../src/quick/step.ts';
import { firstRules } from '../support/fake-kernel/rules.ts';

const KEY = 'oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=';
const PEERS = ['GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=', 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg='];
const NOW: Snapshot = { addresses: [], routes: [], rules: firstRules(), markValid: '0' };

const file = (settings: string, ...allowed: readonly string[]) =>
  parseQuickFile(
    `[Interface]\nPrivateKey = ${KEY}\n${settings}\n${allowed
      .map((list, i) => `[Peer]\nPublicKey = ${PEERS[i]}\nAllowedIPs = ${list}\n`)
      .join('')}`,
    'wg0.conf',
    { zones: numericZones },
  );
const routes = (settings: string, ...allowed: readonly string[]) => {
  const parsed = file(settings, ...allowed);
  return plannedRoutes(parsed, parsed.wireguard.peers as never, 51820).map(
    ({ destination, table }) => `${formatPrefix(destination)}${table === TABLE.main ? '' : ` ${table}`}`,
  );
};

describe('planned routes', () => {
  test('adds no route for a prefix that another route or an address covers', () => {
    expect(routes('Address = 10.9.0.2/24', '10.9.0.7/32, 10.9.0.0/16, 10.9.4.0/24', '10.8.0.1/32')).toEqual([
      '10.8.0.1/32',
      '10.9.4.0/24',
      '10.9.0.0/16',
    ]);
  });

  test('a single address covers only itself, and only in IPv6', () => {
    expect(routes('Address = 10.9.0.2/32, fd00::2/128', '10.9.0.2/32, fd00::2/128')).toEqual(['10.9.0.2/32']);
  });

  test('a table gets all routes including the default, and `off` gets none', () => {
    expect(routes('Address = 10.9.0.2/24\nTable = 7', '10.9.0.0/24, 0.0.0.0/0')).toEqual([
      '10.9.0.0/24 7',
      '0.0.0.0/0 7',
    ]);
    expect(routes('Table = off', '10.9.0.0/24, 0.0.0.0/0')).toEqual([]);
  });

  test('routes defaults by policy, separately for each family', () => {
    expect(routes('', '::/0, 10.0.0.0/8')).toEqual(['10.0.0.0/8', '::/0 51820']);
    const peers = (text: string, settings = '') => {
      const parsed = file(settings, text);
      return policyFamilies(parsed, parsed.wireguard.peers as never);
    };
    expect(peers('::/0')).toEqual([6]);
    expect(peers('0.0.0.0/0, ::/0')).toEqual([6, 4]);
    expect(peers('0.0.0.0/1, 128.0.0.0/1')).toEqual([]);
    expect(peers('0.0.0.0/0', 'Table = 5')).toEqual([]);
  });
});

describe('planned rules', () => {
  test('get the priorities that the kernel would choose', () => {
    expect(plannedRules([4], firstRules())).toEqual([
      { family: 4, priority: 32764, kind: 'suppress' },
      { family: 4, priority: 32765, kind: 'mark' },
    ]);
  });

  test('put a second tunnel before the first', () => {
    const first: Rule[] = [
      { family: 4, priority: 32764, action: RULE_ACTION.table, table: TABLE.main, suppressPrefixLength: 0 },
      { family: 4, priority: 32765, action: RULE_ACTION.table, table: 51820, mark: 51820, invert: true },
    ];
    const rules = [...firstRules(), ...first].sort((a, b) => a.priority! - b.priority!);
    expect(plannedRules([4], rules).map(({ priority }) => priority)).toEqual([32762, 32763]);
  });
});

describe('planned steps', () => {
  const plan = (input: Partial<UpInput> & Pick<UpInput, 'file'>) =>
    planUp({
      wanted: input.file.wireguard as never,
      backend: 'kernel',
      table: 51820,
      mtu: 1420,
      before: undefined,
      now: NOW,
      ...input,
    });
  const describeAll = (steps: ReturnType<typeof planUp>) => steps.flatMap(step => describeStep(step, 'wg0') ?? []);

  test('bring up a full tunnel in an order that never leaves it unprotected', () => {
    const full = file('Address = 10.9.0.2/24\nDNS = 10.9.0.1', '0.0.0.0/0');
    expect(describeAll(plan({ file: full }))).toEqual([
      "link wg0: the kernel's WireGuard",
      'configure wg0: 1 peer',
      'address 10.9.0.2/24',
      'link wg0 up, MTU 1420',
      'DNS 10.9.0.1',
      'firewall for IPv4',
      'net.ipv4.conf.all.src_valid_mark = 1',
      'route 0.0.0.0/0 table 51820',
      'rule IPv4 table 254 suppress_prefixlength 0 priority 32764',
      'rule IPv4 not fwmark 51820 table 51820 priority 32765',
    ]);
  });

  test('contain no secrets', () => {
    const text = JSON.stringify(describeAll(plan({ file: file('PostUp = secret', '0.0.0.0/0') })));
    expect(text).not.toContain(KEY);
  });

  test('recreate a half-made interface, also one of the other kind', () => {
    const link = { index: 5, name: 'wg0', kind: 'tun', mtu: 1420, up: true, running: true, carrier: true, flags: 1 };
    const now: Snapshot = { ...NOW, link, status: { listenPort: 1, fwmark: 0, peers: [] } };
    const split = file('Address = 10.9.0.2/24', '10.7.0.0/16');
    const before: QuickState = { version: 1, name: 'wg0', file: '/wg0.conf', phase: 'starting', hooksDone: [] };
    for (const each of [before, { ...before, made: true, backend: 'userspace' } as const])
      expect(describeAll(plan({ file: split, now, before: each })).slice(0, 2)).toEqual([
        'remove link wg0',
        "link wg0: the kernel's WireGuard",
      ]);
  });

  test('are empty for an interface that is as wanted', () => {
    const split = file('Address = 10.9.0.2/24', '10.7.0.0/16');
    const link = {
      index: 5,
      name: 'wg0',
      kind: 'wireguard',
      mtu: 1420,
      up: true,
      running: true,
      carrier: true,
      flags: 1,
    };
    const { wireguard } = split;
    const peers = wireguard.peers.map(({ publicKey, allowedIps }) => ({
      publicKey,
      allowedIps: allowedIps.map(({ prefix }) => prefix),
      lastHandshakeSeconds: 0,
      lastHandshakeNanoseconds: 0,
      rxBytes: 0,
      txBytes: 0,
      persistentKeepalive: 0,
    }));
    const destination = wireguard.peers[0]!.allowedIps[0]!.prefix;
    const now: Snapshot = {
      ...NOW,
      link,
      status: { privateKey: wireguard.privateKey!, listenPort: 4000, fwmark: 0, peers },
      addresses: [{ index: 5, ...split.addresses[0]!, scope: 0, flags: 0 }],
      routes: [
        { family: 4, destination, table: TABLE.main, type: 1, scope: 253, protocol: PROTOCOL.boot, link: 5, flags: 0 },
      ],
    };
    const before = { version: 1, name: 'wg0', file: 'f', phase: 'starting', made: true, backend: 'kernel' } as const;
    expect(describeAll(plan({ file: split, now, before: { ...before, hooksDone: [] } }))).toEqual([]);
  });

  test('remove the rules of an interface that wg-quick made, and keep those of another tunnel', () => {
    const rule = (priority: number, rest: Partial<Rule>): Rule => ({
      family: 4,
      priority,
      action: RULE_ACTION.table,
      table: TABLE.main,
      ...rest,
    });
    const rules = [
      rule(0, { table: TABLE.local }),
      rule(32762, { suppressPrefixLength: 0 }),
      rule(32763, { table: 51821, mark: 51821, invert: true }),
      rule(32764, { suppressPrefixLength: 0 }),
      rule(32765, { table: 51820, mark: 51820, invert: true }),
      rule(32766, {}),
    ];
    const full = file('', '0.0.0.0/0');
    const peers = [{ allowedIps: [{ address: new Uint8Array(4), length: 0 }] }] as never;
    const now = { ...NOW, rules };
    const state = stateOfOthers(full, { listenPort: 1, fwmark: 51820, peers }, now, '/wg0.conf');
    const steps = planRemoval(
      { ...state, policy: { ...state.policy!, markWasValid: '0' } },
      { ...now, markValid: '1' },
    );
    expect(steps.flatMap(step => describeStep(step, 'wg0') ?? [])).toEqual([
      'remove rule IPv4 not fwmark 51820 table 51820 priority 32765',
      'remove rule IPv4 table 254 suppress_prefixlength 0 priority 32764',
      'remove firewall',
    ]);
  });
});

test('resolves the name of a silent peer again, and sets the endpoint only if it moved', () => {
  const text = `[Interface]\nPrivateKey = ${KEY}\n${PEERS.map((key, i) => `[Peer]\nPublicKey = ${key}\nEndpoint = host${i}.example:7\n`).join('')}`;
  const named = parseQuickFile(text, 'wg0.conf', { zones: numericZones });
  const status = (lastHandshakeSeconds: number) => ({
    listenPort: 1,
    fwmark: 0,
    peers: named.wireguard.peers.map(({ publicKey }) => ({ publicKey, lastHandshakeSeconds })) as never,
  });
  expect(dueEndpoints(named, status(1000), 1135)).toEqual([]);
  const [due, ...rest] = dueEndpoints(named, status(1000), 1136);
  expect(due!.endpoint).toEqual({ host: 'host0.example', port: 7 });
  expect(rest).toHaveLength(1);
  const found = new Uint8Array(48).fill(4);
  expect(movedTo({ ...due!, current: found }, found)).toBeUndefined();
  expect(movedTo(due!, found)).toEqual({ peers: [{ publicKey: due!.publicKey, updateOnly: true, endpoint: found }] });
});

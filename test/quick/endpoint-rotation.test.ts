/**
 * Which address of a name is tried next, and when none is: the peer is alive, idle, or has no other
 * address.
 */
import { describe, expect, test } from 'vitest';
import { formatEndpoint, parseEndpoint } from '../../src/base/endpoint.ts';
import { numericZones } from '../../src/config/zones.ts';
import { Network } from '../../src/netlink/network.ts';
import { EndpointRotation } from '../../src/quick/endpoint-rotation.ts';
import { parseQuickFile } from '../../src/quick/file.ts';
import { reachable } from '../../src/quick/reachable.ts';
import { type DueEndpoint, withCurrentEndpoints } from '../../src/quick/stale-endpoints.ts';
import { FakeMachine } from './fake-machine.ts';

const at = (text: string) => parseEndpoint(`${text}:7`)!;
const due = (current: string | undefined, rest: Partial<DueEndpoint> = {}): DueEndpoint => ({
  publicKey: new Uint8Array(32).fill(1),
  endpoint: { host: 'vpn.example', port: 7 },
  wasHeard: false,
  rxBytes: 0,
  txBytes: 0,
  ...(current !== undefined && { current: at(current) }),
  ...rest,
});

/**
 * Returns the address tried in each check, starting from an address, given the DNS answer of each
 * check.
 */
function addressesTried(
  answers: readonly (readonly string[])[],
  start: string | undefined,
  rounds = new EndpointRotation(),
): string[] {
  let current = start;
  return answers.map(answer => {
    const next = rounds.next(due(current), answer.map(at));
    if (next) current = formatEndpoint(next).replace(':7', '');
    return next ? current! : '-';
  });
}

const [A, B, C, D] = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'] as const;
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

describe('the addresses of a silent peer', () => {
  test('are tried in turn, each until the next check, including the first', () => {
    expect(addressesTried(times(7, [A, B, C]), A)).toEqual(['-', B, C, A, B, C, A]);
    expect(addressesTried(times(4, [A, B]), B)).toEqual(['-', A, B, A]);
  });

  test('start at once with the first address when the peer has none', () => {
    expect(addressesTried(times(3, [A, B]), undefined)).toEqual([A, B, A]);
  });

  test('are all tried whatever order the server returns', () => {
    expect(
      addressesTried(
        [
          [A, B, C],
          [B, A, C],
          [A, C, B],
          [C, B, A],
          [B, C, A],
        ],
        A,
      ),
    ).toEqual(['-', B, C, A, B]);
  });

  test('continue with an untried address when the current one is no longer in the answer', () => {
    expect(addressesTried([[A, B], [A, B], [C, A], [C, A, D], [C, A, D], [D]], A)).toEqual(['-', B, C, D, A, D]);
  });

  test('stay unchanged with a single address or without an answer', () => {
    expect(addressesTried(times(3, [A]), A)).toEqual(['-', '-', '-']);
    expect(addressesTried([[A, B], [], [A, B], []], A)).toEqual(['-', '-', B, '-']);
  });

  test('an idle peer keeps its address until a packet to it stays unanswered', () => {
    const rounds = new EndpointRotation();
    const look = (rest: Partial<DueEndpoint>) => rounds.next(due(A, { wasHeard: true, ...rest }), [A, B].map(at));
    for (let i = 0; i < 3; i++) expect(look({ txBytes: 500, rxBytes: 900 })).toBeUndefined();
    expect(look({ txBytes: 648, rxBytes: 900 })).toEqual(at(B));
  });

  test('a peer that sends something is not silent', () => {
    const rounds = new EndpointRotation();
    expect(rounds.next(due(A, { rxBytes: 1 }), [A, B].map(at))).toBeUndefined();
    expect(rounds.next(due(A, { rxBytes: 2, txBytes: 9 }), [A, B].map(at))).toBeUndefined();
    expect(rounds.next(due(A, { rxBytes: 2, txBytes: 9 }), [A, B].map(at))).toEqual(at(B));
  });

  test('several peers rotate independently', () => {
    const rounds = new EndpointRotation();
    const peer = (n: number, current: string) => ({ ...due(current), publicKey: new Uint8Array(32).fill(n) });
    expect(rounds.next(peer(1, A), [A, B].map(at))).toBeUndefined();
    expect(rounds.next(peer(2, A), [A, B].map(at))).toBeUndefined();
    expect(rounds.next(peer(1, A), [A, B].map(at))).toEqual(at(B));
    expect(rounds.next(peer(2, A), [A, B].map(at))).toEqual(at(B));
  });
});

test('unreachable addresses are skipped, and a path through the tunnel itself does not count', async () => {
  const machine = await FakeMachine.start();
  const network = new Network(machine.kernel);
  const eth0 = (await network.links.find('eth0'))!.index;
  const all = ['[2001:db8::1]:7', '192.0.2.9:7', '198.51.100.1:7'].map(text => parseEndpoint(text)!);
  expect((await reachable(network, all, 51820, undefined)).map(formatEndpoint)).toEqual([
    '192.0.2.9:7',
    '198.51.100.1:7',
  ]);
  expect(await reachable(network, all, 0, eth0)).toEqual([]);
  network.close();
});

test('a reload keeps a peer’s current address unless the file gives another name', () => {
  const KEYS = ['GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=', 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg='];
  const file = (...endpoints: readonly string[]) =>
    parseQuickFile(
      endpoints.map((endpoint, i) => `[Peer]\nPublicKey = ${KEYS[i]}\nEndpoint = ${endpoint}\n`).join(''),
      'wg0.conf',
      { zones: numericZones },
    );
  const places = (before: ReturnType<typeof file>, now: ReturnType<typeof file>) => {
    const [first, second] = now.wireguard.peers.map(({ publicKey }) => ({ publicKey }));
    const status = { peers: [{ ...first!, endpoint: at(C) }, { ...second! }] } as never;
    const wanted = {
      peers: [
        { ...first!, endpoint: at(A) },
        { ...second!, endpoint: at(B) },
      ],
    };
    return withCurrentEndpoints(wanted, now, before, status).peers!.map(({ endpoint }) => endpoint);
  };
  const named = file('vpn.example:7', 'other.example:7');
  expect(places(named, named)).toEqual([at(C), at(B)]);
  expect(places(named, file('vpn.example:8', 'other.example:7'))).toEqual([at(A), at(B)]);
  expect(places(named, file('192.0.2.1:7', 'other.example:7'))).toEqual([at(A), at(B)]);
});

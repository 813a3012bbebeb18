/** Adopting an interface whose process died: what is kept, and what is done again. */
import { describe, expect, test } from 'vitest';
import { parseEndpoint } from '../../src/base/endpoint.ts';
import { formatKeyBase64 } from '../../src/base/key.ts';
import type { Link } from '../../src/netlink/links.ts';
import { LINK_MARKER } from '../../src/netlink/orphan.ts';
import {
  adoptionState,
  formatResolved,
  initiating,
  isAdoptable,
  parseResolved,
  withKnownEndpoints,
} from '../../src/quick/adoption.ts';
import { parseQuickFile } from '../../src/quick/file.ts';
import { planLink } from '../../src/quick/plan-link.ts';
import type { QuickState } from '../../src/quick/state.ts';

const KEY = formatKeyBase64(new Uint8Array(32).fill(1));
const PEERS = [2, 3, 4].map(byte => formatKeyBase64(new Uint8Array(32).fill(byte)));
const zones = { nameOf: () => undefined, indexOf: () => undefined };
const read = (head: string) =>
  parseQuickFile(
    `[Interface]\n${head}\n[Peer]\nPublicKey = ${PEERS[0]}\nEndpoint = vpn.example:1\n[Peer]\nPublicKey = ${PEERS[1]}\nEndpoint = 192.0.2.9:9\n[Peer]\nPublicKey = ${PEERS[2]}\n`,
    '/wg0.conf',
    { zones },
  );
const FILE = read(
  `PrivateKey = ${KEY}\nPreUp = wg set %i fwmark 7\nPreUp = true\nPostUp = iptables -A x\nPostUp = (wgts set %i peer x)`,
);
const ORPHAN: Link = {
  index: 5,
  name: 'wg0',
  kind: 'tun',
  alias: LINK_MARKER,
  mtu: 1420,
  up: true,
  running: false,
  carrier: false,
  flags: 1,
};
const UP: QuickState = {
  version: 1,
  name: 'wg0',
  file: '/wg0.conf',
  phase: 'up',
  backend: 'userspace',
  made: true,
  fileVersion: '1',
  addresses: ['10.9.0.2/24'],
  configured: { mark: true, peers: [], found: [] },
  hooksDone: [],
};
const target = { file: FILE, version: '1' };

describe('an interface can be adopted', () => {
  test.each<[string, boolean, Partial<Link>, Partial<QuickState>]>([
    ['after its process died', true, {}, {}],
    ['during an interrupted up of the same file', true, {}, { phase: 'starting' }],
    ['not during an up of another version of the file', false, {}, { phase: 'starting', fileVersion: '0' }],
    ['while it was up, whatever the file says now', true, {}, { fileVersion: '0' }],
    ['not during down', false, {}, { phase: 'stopping' }],
    ['not while a process serves it', false, { carrier: true }, {}],
    ["not if it is an administrator's", false, { alias: 'mine' }, {}],
    ['not if the kernel ran it', false, {}, { backend: 'kernel' }],
  ])('%s: %s', (_when, expected, link, state) => {
    expect(isAdoptable({ ...ORPHAN, ...link }, { ...UP, ...state }, target)).toBe(expected);
  });

  test('without a key in the file only if a hook visibly sets it', () => {
    const adopts = (head: string) => isAdoptable(ORPHAN, UP, { file: read(head), version: '1' });
    expect(adopts('PreUp = wg set %i private-key /key')).toBe(true);
    expect(adopts('PostUp = sudo wg setconf %i /key')).toBe(true);
    expect(adopts('PreUp = /etc/key.sh')).toBe(false);
  });
});

describe('its state', () => {
  test('keeps what the kernel has, and runs only hooks that configure the device', () => {
    const state = adoptionState(UP, FILE);
    expect(state).toMatchObject({ phase: 'starting', adopting: true, addresses: UP.addresses });
    expect(state).not.toHaveProperty('configured');
    expect(state.hooksDone).toEqual(['PreUp 1', 'PostUp 0']);
  });

  test('after an interrupted up, other hooks that had not run still run', () => {
    const before: QuickState = { ...UP, phase: 'starting', hooksDone: ['PreUp 0', 'PreUp 1'] };
    expect(adoptionState(before, FILE).hooksDone).toEqual(['PreUp 1']);
  });

  test('plans a process for the link, without removing it', () => {
    const steps = planLink('userspace', adoptionState(UP, FILE), { link: ORPHAN });
    expect(steps.map(step => step.do)).toEqual(['remember', 'make-link', 'remember']);
  });
});

describe('its peers', () => {
  test('keep the endpoints that they had, also those that roamed, without a lookup', () => {
    const known = parseResolved([`${PEERS[0]} 192.0.2.1:1`, `${PEERS[2]} [2001:db8::1]:3`, 'nonsense']);
    const config = withKnownEndpoints(FILE, known);
    expect(formatResolved(config)).toEqual([
      `${PEERS[0]} 192.0.2.1:1`,
      `${PEERS[1]} 192.0.2.9:9`,
      `${PEERS[2]} [2001:db8::1]:3`,
    ]);
    expect(parseResolved(formatResolved(config)).get(PEERS[1]!)).toEqual(parseEndpoint('192.0.2.9:9'));
  });

  test('get a handshake if they have an endpoint', () => {
    const { peers } = initiating(withKnownEndpoints(FILE, new Map()));
    expect(peers!.map(({ initiate }) => initiate ?? false)).toEqual([false, true, false]);
  });
});

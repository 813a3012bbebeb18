import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ENDPOINT_HAS_LOCAL, parseEndpoint } from '../../src/base/endpoint.ts';
import { clampPrivateKey, formatKeyHex, isZeroKey } from '../../src/base/key.ts';
import { formatPrefix, parsePrefix } from '../../src/base/prefix.ts';
import { difference } from '../../src/config/diff.ts';
import type { DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from '../../src/config/model.ts';
import { check, RUNS } from '../support/fuzz.ts';

const key = (byte: number) => new Uint8Array(32).fill(byte);
const prefix = (text: string) => parsePrefix(text)!;
const allowed = (...texts: string[]) => texts.map(text => ({ prefix: prefix(text) }));
const endpoint = parseEndpoint('192.0.2.1:1')!;
const [A, B, C] = [key(0xa1), key(0xb2), key(0xc3)];

function peer(publicKey: Uint8Array, more: Partial<PeerStatus> = {}): PeerStatus {
  return {
    publicKey,
    lastHandshakeSeconds: 5,
    lastHandshakeNanoseconds: 0,
    rxBytes: 1,
    txBytes: 1,
    persistentKeepalive: 0,
    allowedIps: [],
    ...more,
  };
}
const device = (...peers: PeerStatus[]): DeviceStatus => ({ privateKey: key(1), listenPort: 51820, fwmark: 0, peers });
const file = (...peers: PeerConfig[]): DeviceConfig => ({
  privateKey: key(1),
  listenPort: 51820,
  peers: peers.map(each => ({ replaceAllowedIps: true, ...each })),
});

describe('no difference', () => {
  test('a device and its own file', () => {
    const status = device(
      peer(A, {
        presharedKey: key(9),
        endpoint,
        persistentKeepalive: 25,
        allowedIps: [prefix('10.0.0.0/8'), prefix('::/0')],
      }),
      peer(B),
    );
    const conf = file(
      { publicKey: B },
      {
        publicKey: A,
        presharedKey: key(9),
        endpoint,
        persistentKeepalive: 25,
        allowedIps: allowed('::/0', '10.0.0.0/8', '::/0'),
      },
    );
    expect(difference(conf, status)).toEqual({});
  });

  test('the local side of an endpoint, and a roamed endpoint and port that the file does not set', () => {
    const local = Uint8Array.from(endpoint).fill(7, 24);
    local[ENDPOINT_HAS_LOCAL] = 1;
    expect(difference(file({ publicKey: A, endpoint }), device(peer(A, { endpoint: local })))).toEqual({});
    expect(difference(file({ publicKey: A }), device(peer(A, { endpoint })))).toEqual({});
    expect(difference({ privateKey: key(1) }, device())).toEqual({});
    expect(difference({ ...file(), listenPort: 0 }, device())).toEqual({});
  });

  test('a prefix that two peers of the file claim belongs to the last one, and stays there', () => {
    const conf = file(
      { publicKey: A, allowedIps: allowed('10.0.0.0/8') },
      { publicKey: B, allowedIps: allowed('10.0.0.0/8') },
    );
    expect(difference(conf, device(peer(A), peer(B, { allowedIps: [prefix('10.0.0.0/8')] })))).toEqual({});
  });
});

test('an unclamped key equals the clamped key of the device', () => {
  const status = { ...device(), privateKey: clampPrivateKey(key(0xff)) };
  expect(difference({ ...file(), privateKey: key(0xff) }, status)).toEqual({});
  expect(difference({ ...file(), privateKey: key(0) }, status)).toEqual({ privateKey: key(0) });
});

describe('only the difference is set', () => {
  test('device: key, port and mark, also if the file no longer has them', () => {
    expect(difference({ privateKey: key(2), listenPort: 7, fwmark: 1 }, device())).toEqual({
      privateKey: key(2),
      listenPort: 7,
      fwmark: 1,
    });
    expect(difference({}, { ...device(), fwmark: 5 })).toEqual({ privateKey: key(0), fwmark: 0 });
  });

  test('removed peers first, then new ones with all settings', () => {
    const added = { publicKey: C, presharedKey: key(9), endpoint, persistentKeepalive: 1, allowedIps: allowed('::/0') };
    expect(difference(file({ publicKey: A }, added), device(peer(A), peer(B)))).toEqual({
      peers: [
        { publicKey: B, remove: true },
        { ...added, replaceAllowedIps: true },
      ],
    });
  });

  test.each<[string, PeerConfig, Partial<PeerConfig>]>([
    ['a removed preshared key', { publicKey: A, persistentKeepalive: 25 }, { presharedKey: key(0) }],
    [
      'another preshared key',
      { publicKey: A, presharedKey: key(8), persistentKeepalive: 25 },
      { presharedKey: key(8) },
    ],
    ['a removed keepalive', { publicKey: A, presharedKey: key(9) }, { persistentKeepalive: 0 }],
    [
      'an endpoint',
      { publicKey: A, presharedKey: key(9), persistentKeepalive: 25, endpoint: parseEndpoint('192.0.2.1:2')! },
      { endpoint: parseEndpoint('192.0.2.1:2')! },
    ],
  ])('of a remaining peer: %s', (_name, wanted, change) => {
    const there = peer(A, { presharedKey: key(9), persistentKeepalive: 25, endpoint });
    expect(difference(file(wanted), device(there))).toEqual({ peers: [{ publicKey: A, updateOnly: true, ...change }] });
  });

  test('allowed IPs are added to the list, which is emptied only if one must go', () => {
    const there = peer(A, { allowedIps: [prefix('10.0.0.0/8'), prefix('::/0')] });
    const all = file({ publicKey: A, allowedIps: allowed('10.0.0.0/8', '::/0', '192.0.2.0/24') });
    expect(difference(all, device(there)).peers).toEqual([
      { publicKey: A, updateOnly: true, allowedIps: allowed('192.0.2.0/24') },
    ]);
    const one = file({ publicKey: A, allowedIps: allowed('::/0') });
    expect(difference(one, device(there)).peers).toEqual([
      { publicKey: A, updateOnly: true, replaceAllowedIps: true, allowedIps: allowed('::/0') },
    ]);
    expect(difference(one, device(there), true).peers).toEqual([
      { publicKey: A, updateOnly: true, allowedIps: [{ prefix: prefix('10.0.0.0/8'), remove: true }] },
    ]);
  });

  test('one by one: additions before removals, moves by the new owner only, removed peers last', () => {
    const [ten, any, doc] = ['10.0.0.0/8', '::/0', '192.0.2.0/24'].map(prefix);
    const now = device(peer(C, { allowedIps: [any!] }), peer(A, { allowedIps: [ten!, doc!] }), peer(B));
    const then = file(
      { publicKey: A, allowedIps: allowed('fd00::/8') },
      { publicKey: B, allowedIps: allowed('10.0.0.0/8', '::/0') },
    );
    expect(difference(then, now, true).peers).toEqual([
      { publicKey: A, updateOnly: true, allowedIps: [...allowed('fd00::/8'), { prefix: doc, remove: true }] },
      { publicKey: B, updateOnly: true, allowedIps: allowed('10.0.0.0/8', '::/0') },
      { publicKey: C, remove: true },
    ]);
  });

  test('signed lists change the current prefixes of the peer', () => {
    const there = peer(A, { allowedIps: [prefix('10.0.0.0/8'), prefix('::/0')] });
    const conf = (remove: string, add: string) =>
      file({
        publicKey: A,
        replaceAllowedIps: false,
        allowedIps: [{ prefix: prefix(remove), remove: true }, ...allowed(add)],
      });
    expect(difference(conf('192.0.2.0/24', '::/0'), device(there))).toEqual({});
    expect(difference(conf('::/0', '192.0.2.0/24'), device(there)).peers).toEqual([
      { publicKey: A, updateOnly: true, replaceAllowedIps: true, allowedIps: allowed('10.0.0.0/8', '192.0.2.0/24') },
    ]);
  });
});

/** The simplest device that follows the rules of DeviceConfig. */
interface Model {
  readonly peers: Map<string, { psk: string; keepalive: number }>;
  readonly owner: Map<string, string>;
}

function apply(model: Model, { replacePeers, peers = [] }: DeviceConfig): void {
  const drop = (name: string) => {
    for (const [text, owner] of model.owner) if (owner === name) model.owner.delete(text);
  };
  if (replacePeers) {
    model.peers.clear();
    model.owner.clear();
  }
  for (const config of peers) {
    const name = formatKeyHex(config.publicKey);
    if (config.remove) {
      drop(name);
      model.peers.delete(name);
      continue;
    }
    if (config.updateOnly && !model.peers.has(name)) continue;
    const entry = model.peers.get(name) ?? { psk: '', keepalive: 0 };
    model.peers.set(name, entry);
    if (config.presharedKey) entry.psk = isZeroKey(config.presharedKey) ? '' : formatKeyHex(config.presharedKey);
    if (config.persistentKeepalive !== undefined) entry.keepalive = config.persistentKeepalive;
    if (config.replaceAllowedIps) drop(name);
    for (const { prefix: each, remove } of config.allowedIps ?? []) {
      const text = formatPrefix(each);
      if (!remove) model.owner.set(text, name);
      else if (model.owner.get(text) === name) model.owner.delete(text);
    }
  }
}

function statusOf(model: Model): DeviceStatus {
  return device(
    ...[...model.peers].map(([name, { psk, keepalive }]) =>
      peer(Uint8Array.from(Buffer.from(name, 'hex')), {
        ...(psk !== '' && { presharedKey: Uint8Array.from(Buffer.from(psk, 'hex')) }),
        persistentKeepalive: keepalive,
        allowedIps: [...model.owner].filter(([, owner]) => owner === name).map(([text]) => prefix(text)),
      }),
    ),
  );
}

const comparable = ({ peers, owner }: Model) => ({
  peers: [...peers].sort(([a], [b]) => (a < b ? -1 : 1)),
  owner: [...owner].sort(([a], [b]) => (a < b ? -1 : 1)),
});
const conf = fc.array(
  fc.record(
    {
      publicKey: fc.constantFrom(A, B, C, key(4)),
      presharedKey: fc.constantFrom(key(0), key(8), key(9)),
      persistentKeepalive: fc.constantFrom(0, 25),
      allowedIps: fc.array(fc.constantFrom(...allowed('10.0.0.0/8', '10.1.0.0/16', '::/0', 'fd00::/8', '0.0.0.0/0'))),
    },
    { requiredKeys: ['publicKey'] },
  ),
  { maxLength: 6 },
);

test('from any device to any file: the difference has the same result as the whole file, and is then empty', () => {
  check(
    fc.tuple(conf, conf, fc.boolean()),
    ([before, after, removals]) => {
      const model: Model = { peers: new Map(), owner: new Map() };
      apply(model, { ...file(...before), replacePeers: true });
      const whole: Model = { peers: new Map(), owner: new Map() };
      apply(whole, { ...file(...after), replacePeers: true });
      const gone = [...model.peers.keys()].filter(name => !whole.peers.has(name));
      const change = difference(file(...after), statusOf(model), removals);
      const kept = (change.peers ?? []).filter(each => each.updateOnly).map(each => formatKeyHex(each.publicKey));
      apply(model, change);
      expect(comparable(model)).toEqual(comparable(whole));
      expect(difference(file(...after), statusOf(model), removals)).toEqual({});
      // only peers missing from the file are removed
      expect((change.peers ?? []).filter(each => each.remove).map(each => formatKeyHex(each.publicKey))).toEqual(gone);
      for (const name of kept) expect(gone).not.toContain(name);
    },
    RUNS / 5,
  );
});

/**
 * The promises of the `wireguard` family over netlink, as checks that run on the fake kernel in any
 * test and on the real module in the machine that has it. A check throws if a promise is broken.
 */
import assert from 'node:assert/strict';
import { parseEndpoint } from '../../src/base/endpoint.ts';
import { clampPrivateKey } from '../../src/base/key.ts';
import { formatPrefix, parsePrefix } from '../../src/base/prefix.ts';
import type { DeviceConfig, PeerConfig, PeerStatus } from '../../src/config/model.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import type { KernelWireguard } from '../../src/netlink/wireguard.ts';

export interface CheckStage {
  readonly wireguard: KernelWireguard;
  /** A device that is up and not configured. */
  readonly name: string;
}

export interface Check {
  readonly name: string;
  run(stage: CheckStage): Promise<void>;
}

const NO_KEY = new Uint8Array(32);
/** Returns a distinct public key for each number, the same every time. */
export const key = (n: number): Uint8Array =>
  Uint8Array.from(opensslCrypto.hash(Uint8Array.of(n, n >> 8, n >> 16, 77)));
const net = (text: string) => parsePrefix(text)!;
const add = (...texts: string[]) => texts.map(text => ({ prefix: net(text) }));
const away = (...texts: string[]) => texts.map(text => ({ prefix: net(text), remove: true }));

/** @param each number of allowed IPs per peer, of both families */
export function manyPeers(count: number, each: number): PeerConfig[] {
  return Array.from({ length: count }, (_, i) => ({
    publicKey: key(i),
    replaceAllowedIps: true,
    ...(i % 3 === 0 && { presharedKey: key(i + count) }),
    ...(i % 2 === 0 && { endpoint: parseEndpoint(i % 4 ? `192.0.2.${i & 255}:51820` : `[2001:db8::${i}]:7`)! }),
    persistentKeepalive: i % 5,
    allowedIps: Array.from({ length: each }, (__, j) => ({
      prefix: net(j % 2 ? `fd00:${i.toString(16)}:${j.toString(16)}::/48` : `10.${i >> 8}.${i & 255}.${j}/32`),
    })),
  }));
}

/** Returns the expected status of newly created peers. */
export function expectedPeers(peers: readonly PeerConfig[]): PeerStatus[] {
  return peers.map(({ publicKey, presharedKey, endpoint, persistentKeepalive = 0, allowedIps = [] }) => ({
    publicKey,
    ...(presharedKey && { presharedKey }),
    ...(endpoint && { endpoint }),
    lastHandshakeSeconds: 0,
    lastHandshakeNanoseconds: 0,
    rxBytes: 0,
    txBytes: 0,
    persistentKeepalive,
    allowedIps: allowedIps.map(({ prefix }) => prefix),
  }));
}

const lists = async ({ wireguard, name }: CheckStage): Promise<string[]> =>
  (await wireguard.get(name)).peers.map(({ allowedIps }) => allowedIps.map(formatPrefix).join(' '));

async function setAndList(stage: CheckStage, ...configs: DeviceConfig[]): Promise<string[]> {
  for (const config of configs) await stage.wireguard.set(stage.name, config);
  return lists(stage);
}

export const CHECKS: readonly Check[] = [
  {
    // This is how the agent makes a device without handshakes on request greet a peer
    // (calico/apply/device/fresh-handshakes.ts).
    name: 'a peer that is removed and recreated in one request is as configured, and the others are unchanged',
    async run({ wireguard, name }) {
      const [a, b] = manyPeers(2, 3) as [PeerConfig, PeerConfig];
      await wireguard.set(name, { privateKey: key(1000), peers: [a, b] });
      const anew = { ...a, persistentKeepalive: 65_535 };
      await wireguard.set(name, { peers: [{ publicKey: a.publicKey, remove: true }, anew] });
      await wireguard.set(name, { peers: [{ publicKey: a.publicKey, updateOnly: true, persistentKeepalive: 0 }] });
      const peers = (await wireguard.get(name)).peers.map(peer => ({ ...peer, txBytes: 0 }));
      const sorted = (all: readonly PeerStatus[]) =>
        all
          .map(peer => ({ ...peer, allowedIps: peer.allowedIps.map(formatPrefix).sort() }))
          .sort((x, y) => Buffer.compare(x.publicKey, y.publicKey));
      assert.deepEqual(sorted(peers), sorted(expectedPeers([{ ...a, persistentKeepalive: 0 }, b])));
    },
  },
  {
    name: 'everything that is set is read back; zeros remove',
    async run({ wireguard, name }) {
      const privateKey = key(1000);
      const peers = manyPeers(6, 4);
      await wireguard.set(name, { privateKey, listenPort: 51821, fwmark: 0xfffffffe, peers });
      const clamped = clampPrivateKey(privateKey.slice());
      assert.deepEqual(await wireguard.get(name), {
        privateKey: clamped,
        publicKey: Uint8Array.from(opensslCrypto.publicKey(clamped)),
        listenPort: 51821,
        fwmark: 0xfffffffe,
        peers: expectedPeers(peers),
      });
      await wireguard.set(name, {
        privateKey: NO_KEY,
        listenPort: 51822,
        fwmark: 0,
        peers: [{ publicKey: key(0), presharedKey: NO_KEY, persistentKeepalive: 0 }],
      });
      const { presharedKey: _, ...first } = expectedPeers(peers)[0]!;
      const rest = expectedPeers(peers.slice(1));
      assert.deepEqual(await wireguard.get(name), { listenPort: 51822, fwmark: 0, peers: [first, ...rest] });
    },
  },
  {
    name: 'flags: replace peers, replace allowed IPs, update only, remove; a prefix moves to the peer that claims it last',
    async run(stage) {
      const first = { publicKey: key(1), allowedIps: add('10.1.0.0/16', '10.2.0.0/16') };
      const second = { publicKey: key(2), allowedIps: add('10.3.0.0/16') };
      assert.deepEqual(await setAndList(stage, { peers: [first, second] }), ['10.1.0.0/16 10.2.0.0/16', '10.3.0.0/16']);
      const steal: PeerConfig = { publicKey: key(2), allowedIps: add('10.2.0.0/16') };
      assert.deepEqual(await setAndList(stage, { peers: [steal] }), ['10.1.0.0/16', '10.3.0.0/16 10.2.0.0/16']);
      const empty: PeerConfig = { publicKey: key(2), replaceAllowedIps: true, allowedIps: add('10.4.0.0/16') };
      assert.deepEqual(await setAndList(stage, { peers: [empty] }), ['10.1.0.0/16', '10.4.0.0/16']);
      const unknown: PeerConfig = { publicKey: key(3), updateOnly: true, allowedIps: add('10.4.0.0/16') };
      const known: PeerConfig = { publicKey: key(1), updateOnly: true, allowedIps: add('10.5.0.0/16') };
      const gone: PeerConfig = { publicKey: key(9), remove: true };
      assert.deepEqual(await setAndList(stage, { peers: [unknown, known, gone] }), [
        '10.1.0.0/16 10.5.0.0/16',
        '10.4.0.0/16',
      ]);
      assert.deepEqual(await setAndList(stage, { peers: [{ publicKey: key(1), remove: true }] }), ['10.4.0.0/16']);
      assert.deepEqual(await setAndList(stage, { replacePeers: true, peers: [first] }), ['10.1.0.0/16 10.2.0.0/16']);
      assert.deepEqual(await setAndList(stage, { replacePeers: true }), []);
    },
  },
  {
    name: 'single allowed IPs are removed, in order, and only from the peer that has them',
    async run(stage) {
      const first = { publicKey: key(1), allowedIps: add('10.1.0.0/16', '10.2.0.0/16', 'fd01::/64') };
      const second = { publicKey: key(2), allowedIps: add('10.3.0.0/16') };
      await setAndList(stage, { peers: [first, second] });
      const some: PeerConfig = {
        publicKey: key(1),
        allowedIps: away('10.2.0.0/16', '10.3.0.0/16', 'fd01::/64', '10.9.0.0/16'),
      };
      assert.deepEqual(await setAndList(stage, { peers: [some] }), ['10.1.0.0/16', '10.3.0.0/16']);
      const mixed: PeerConfig = {
        publicKey: key(2),
        persistentKeepalive: 9,
        allowedIps: [
          ...add('10.4.0.0/16', '10.5.0.0/16'),
          ...away('10.3.0.0/16', '10.4.0.0/16'),
          ...add('10.3.0.0/16'),
        ],
      };
      assert.deepEqual(await setAndList(stage, { peers: [mixed] }), ['10.1.0.0/16', '10.5.0.0/16 10.3.0.0/16']);
      const absent: PeerConfig = { publicKey: key(7), updateOnly: true, allowedIps: away('10.1.0.0/16') };
      assert.deepEqual(await setAndList(stage, { peers: [absent] }), ['10.1.0.0/16', '10.5.0.0/16 10.3.0.0/16']);
      assert.equal((await stage.wireguard.get(stage.name)).peers[1]!.persistentKeepalive, 9);
    },
  },
  {
    name: 'one peer with 6,000 allowed IPs: set in parts and read in parts',
    async run({ wireguard, name }) {
      const allowedIps = Array.from({ length: 6000 }, (_, i) => ({ prefix: net(`10.${i >> 8}.${i & 255}.0/24`) }));
      const peers = [
        { publicKey: key(1) },
        { publicKey: key(2), allowedIps },
        { publicKey: key(3), persistentKeepalive: 3 },
      ];
      await wireguard.set(name, { replacePeers: true, peers });
      assert.deepEqual((await wireguard.get(name)).peers, expectedPeers(peers));
    },
  },
  {
    name: 'refusals name the operation, its object and the errno',
    async run({ wireguard, name }) {
      const refused = (promise: Promise<unknown>, message: RegExp) =>
        assert.rejects(promise, { name: 'NetlinkError', message });
      await refused(wireguard.get('wg-none'), /^reading WireGuard device wg-none: ENODEV \(No such device\)/);
      await refused(wireguard.get('lo'), /^reading WireGuard device lo: EOPNOTSUPP/);
      await refused(wireguard.set('wg-none', { fwmark: 1 }), /^configuring WireGuard device wg-none: ENODEV/);
      const wrong: PeerConfig = {
        publicKey: key(1),
        allowedIps: [{ prefix: { address: Uint8Array.of(1, 2, 3, 4), length: 33 } }],
      };
      await refused(wireguard.set(name, { peers: [wrong] }), /^configuring WireGuard device [^ ]+: EINVAL/);
    },
  },
];

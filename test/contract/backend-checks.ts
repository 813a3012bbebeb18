/**
 * The contract of every WireguardBackend, as checks that run over the fake kernel, engines in
 * memory and real control sockets in any test, and over the kernel module in the machine that has
 * it. A check throws on a violation.
 */
import assert from 'node:assert/strict';
import type { WireguardBackend } from '../../src/backend/backend.ts';
import { clampPrivateKey, formatKeyBase64 } from '../../src/base/key.ts';
import { formatPrefix, parsePrefix } from '../../src/base/prefix.ts';
import { formatConf } from '../../src/config/conf.ts';
import type { AllowedIpConfig, DeviceConfig, PeerConfig } from '../../src/config/model.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { expectedPeers, key, manyPeers } from '../kernel-vm/wireguard-checks.ts';

export interface BackendStage {
  readonly backend: WireguardBackend;
  /** Name of an unconfigured device. */
  readonly name: string;
  /** The expected answer to `initiate`: `taken`, or the code of the refusal. */
  readonly initiate: 'taken' | 'refused' | 'EOPNOTSUPP';
  /** Runs the real wg where it can see the device. @returns its output */
  readonly wg?: (...args: string[]) => Promise<string>;
}

export interface BackendCheck {
  readonly name: string;
  run(stage: BackendStage): Promise<Measured | undefined>;
}

/** Milliseconds by operation. */
export type Measured = Readonly<Record<string, number>>;

const EMPTY: DeviceConfig = { privateKey: new Uint8Array(32), fwmark: 0, replacePeers: true };
const add = (...texts: string[]): AllowedIpConfig[] => texts.map(text => ({ prefix: parsePrefix(text)! }));
const peer = (n: number, ...allowedIps: string[]): PeerConfig => ({
  publicKey: key(n),
  replaceAllowedIps: true,
  allowedIps: add(...allowedIps),
});

/** Allowed IPs of each peer, sorted, because their order depends on the backend. */
async function lists({ backend, name }: BackendStage): Promise<Record<string, string>> {
  const { peers } = await backend.get(name);
  return Object.fromEntries(
    peers.map(({ publicKey, allowedIps }) => [
      formatKeyBase64(publicKey),
      allowedIps.map(formatPrefix).sort().join(' '),
    ]),
  );
}

const named = (...entries: [number, string][]): Record<string, string> =>
  Object.fromEntries(entries.map(([n, text]) => [formatKeyBase64(key(n)), text]));

/** Sorts the sections of a conf: wireguard-go lists its peers in random order. */
function sorted(conf: string): string {
  return conf
    .split(/\n*(?=\[Peer\])/)
    .map(section => section.trimEnd())
    .sort()
    .join('\n');
}

async function timed<T>(what: () => Promise<T>): Promise<[result: T, milliseconds: number]> {
  const before = performance.now();
  const result = await what();
  return [result, performance.now() - before];
}

export const BACKEND_CHECKS: readonly BackendCheck[] = [
  {
    name: 'lists the device; a missing one is ENODEV, by name',
    async run({ backend, name }) {
      assert.ok((await backend.list()).includes(name));
      const missing = { code: 'ENODEV', message: /no (interface|device) `wgnowhere'/ };
      await assert.rejects(backend.get('wgnowhere'), missing);
      await assert.rejects(backend.set('wgnowhere', { fwmark: 1 }), missing);
      await assert.rejects(backend.sync('wgnowhere', {}), missing);
      return undefined;
    },
  },
  {
    name: 'reads back what was set; leaves absent fields unchanged; zeros clear fields',
    async run({ backend, name, wg }) {
      const privateKey = clampPrivateKey(key(1000).slice());
      const peers = manyPeers(6, 4);
      await backend.set(name, { ...EMPTY, privateKey, listenPort: 51821, fwmark: 0xfffffffe, peers });
      const whole = {
        privateKey,
        publicKey: Uint8Array.from(opensslCrypto.publicKey(privateKey)),
        listenPort: 51821,
        fwmark: 0xfffffffe,
        peers: expectedPeers(peers),
      };
      const status = await backend.get(name);
      assert.equal(sorted(formatConf(status)), sorted(formatConf(whole)));
      assert.deepEqual(status.publicKey && Uint8Array.from(status.publicKey), whole.publicKey);
      if (wg) assert.equal(sorted(await wg('showconf', name)), sorted(formatConf(whole)));
      await backend.set(name, { peers: [{ publicKey: key(1), persistentKeepalive: 77 }] });
      const changed = whole.peers.map((each, i) => (i === 1 ? { ...each, persistentKeepalive: 77 } : each));
      assert.equal(sorted(formatConf(await backend.get(name))), sorted(formatConf({ ...whole, peers: changed })));
      await backend.set(name, EMPTY);
      const cleared = await backend.get(name);
      const { publicKey, fwmark } = cleared;
      assert.deepEqual(
        { privateKey: cleared.privateKey, publicKey, fwmark, peers: cleared.peers },
        { privateKey: undefined, publicKey: undefined, fwmark: 0, peers: [] },
      );
      return undefined;
    },
  },
  {
    name: 'a requested handshake begins, or is refused so that the caller can fall back; peers stay unchanged',
    async run(stage) {
      const { backend, name, initiate } = stage;
      const whole = {
        ...EMPTY,
        privateKey: key(9),
        peers: [peer(1, '10.0.0.0/8'), peer(2, '10.1.0.0/16', 'fd00::/8')],
      };
      await backend.set(name, whole);
      const before = await lists(stage);
      const outcome = await backend
        .set(name, { peers: [1, 2].map(n => ({ publicKey: key(n), updateOnly: true, initiate: true })) })
        .then(
          () => 'taken',
          (error: NodeJS.ErrnoException) => error.code,
        );
      assert.equal(outcome, initiate);
      assert.deepEqual(await lists(stage), before);
      const anew = { ...peer(2, '10.1.0.0/16', 'fd00::/8'), persistentKeepalive: 65_535 };
      await backend.set(name, { peers: [{ publicKey: key(2), remove: true }, anew] });
      await backend.set(name, { peers: [{ publicKey: key(2), updateOnly: true, persistentKeepalive: 0 }] });
      assert.deepEqual(await lists(stage), before);
      await backend.set(name, EMPTY);
      return undefined;
    },
  },
  {
    name: 'sync sends nothing without differences, and otherwise reaches the state of the whole file',
    async run(stage) {
      const { backend, name } = stage;
      // Not clamped, as a person may write it; devices keep it clamped.
      const privateKey = key(1001).map((byte, i) => (i === 0 ? byte | 7 : byte));
      const first = { privateKey, listenPort: 51822, fwmark: 3 };
      const before = {
        ...first,
        peers: [peer(1, '10.1.0.0/16', '10.2.0.0/16'), peer(2, '10.3.0.0/16'), peer(3, 'fd03::/16')],
      };
      await backend.set(name, EMPTY);
      await backend.sync(name, before);
      assert.deepEqual(await lists(stage), named([1, '10.1.0.0/16 10.2.0.0/16'], [2, '10.3.0.0/16'], [3, 'fd03::/16']));
      assert.deepEqual(await backend.sync(name, before), {});
      // A prefix is removed, one moves to another peer, one is added; a peer is removed, a peer is
      // added.
      const after = {
        ...first,
        fwmark: 4,
        peers: [peer(1, '10.1.0.0/16', 'fd01::/64'), peer(2, '10.3.0.0/16', 'fd03::/16'), peer(4)],
      };
      const said = await backend.sync(name, after);
      assert.deepEqual(Object.keys(said).sort(), ['fwmark', 'peers']);
      assert.deepEqual(await lists(stage), named([1, '10.1.0.0/16 fd01::/64'], [2, '10.3.0.0/16 fd03::/16'], [4, '']));
      const { fwmark, listenPort } = await backend.get(name);
      assert.deepEqual({ fwmark, listenPort }, { fwmark: 4, listenPort: 51822 });
      assert.deepEqual(await backend.sync(name, after), {});
      return undefined;
    },
  },
  {
    name: '1,000 peers with 10 allowed IPs each: sets, gets, and syncs one change',
    async run({ backend, name, wg }) {
      const privateKey = clampPrivateKey(key(5000).slice());
      const peers = manyPeers(1000, 10);
      const file = { privateKey, listenPort: 51823, peers };
      const [, set] = await timed(() => backend.set(name, { ...EMPTY, ...file, replacePeers: true }));
      const [status, get] = await timed(() => backend.get(name));
      const conf = sorted(formatConf({ privateKey, listenPort: 51823, fwmark: 0, peers: expectedPeers(peers) }));
      assert.ok(sorted(formatConf(status)) === conf, 'what was set is not what was got');
      if (wg) assert.ok(sorted(await wg('showconf', name)) === conf, 'what was set is not what wg shows');
      const allowedIps = peers[500]!.allowedIps!.slice(1);
      const changed = peers.map((each, i) => (i === 500 ? { ...each, allowedIps } : each));
      const [said, sync] = await timed(() => backend.sync(name, { ...file, peers: changed }));
      assert.equal(said.peers?.length, 1, 'more than one peer was configured');
      assert.deepEqual(await backend.sync(name, { ...file, peers: changed }), {});
      await backend.set(name, EMPTY);
      return { set, get, sync };
    },
  },
];

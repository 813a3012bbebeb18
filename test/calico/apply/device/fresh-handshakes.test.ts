/**
 * Fresh handshakes with peers that may have lost their session: which peers, how, and how many at a
 * time.
 */
import { describe, expect, test } from 'vitest';
import { formatKeyBase64 } from '../../../../src/base/key.ts';
import type { Mutable } from '../../../../src/base/mutable.ts';
import {
  type HandshakeRefresh,
  PEERS_PER_REQUEST,
  peersToRefresh,
  refreshHandshakes,
} from '../../../../src/calico/apply/device/fresh-handshakes.ts';
import type { ApplyContext } from '../../../../src/calico/apply/ports.ts';
import type { DesiredPeer } from '../../../../src/calico/model/desired.ts';
import { ConfigError } from '../../../../src/config/errors.ts';
import type { DeviceConfig, PeerStatus } from '../../../../src/config/model.ts';
import { desired, FakeNode, peer, tunnel } from '../node.ts';

const NOW = 1_800_000_000_000;
const peers = [2, 3, 4].map(n => peer(4, n));
const planned = tunnel(4, peers);

/** @param handshakeAgo milliseconds; undefined if there was no handshake */
function status(of: DesiredPeer, handshakeAgo: number | undefined, more: Partial<PeerStatus> = {}): PeerStatus {
  const at = handshakeAgo === undefined ? 0 : NOW - handshakeAgo;
  return {
    publicKey: of.publicKey,
    lastHandshakeSeconds: Math.floor(at / 1000),
    lastHandshakeNanoseconds: (at % 1000) * 1e6,
    rxBytes: 100,
    txBytes: 100,
    persistentKeepalive: 0,
    allowedIps: [],
    ...more,
  };
}

describe('which peers', () => {
  const names = (
    all: readonly PeerStatus[],
    request: HandshakeRefresh,
    backend: 'userspace' | 'kernel' = 'userspace',
  ) => peersToRefresh(planned, all, request, backend, NOW).map(({ node }) => node);
  const first: HandshakeRefresh = { restoredAgoMs: 400, isSecondAttempt: false };
  const second: HandshakeRefresh = { restoredAgoMs: 2_000, isSecondAttempt: true };

  test('those without a handshake since our key is back', () => {
    expect(names([status(peers[0]!, 399), status(peers[1]!, 401), status(peers[2]!, undefined)], first)).toEqual([
      'node-3',
      'node-4',
    ]);
  });

  test('the second time those without one in the last second, because slow peers may have dropped the first; not in the kernel', () => {
    const all = [status(peers[0]!, 999), status(peers[1]!, 1_600), status(peers[2]!, 2_001)];
    expect(names(all, second)).toEqual(['node-3', 'node-4']);
    expect(names(all, second, 'kernel')).toEqual(['node-4']);
  });

  test('none without any traffic, and none that is not planned', () => {
    const idle = { rxBytes: 0, txBytes: 0 };
    const all = [status(peers[0]!, undefined, idle), status(peers[1]!, undefined, { ...idle, txBytes: 148 })];
    expect(names([...all, status(peer(4, 9), 5_000)], first)).toEqual(['node-3']);
  });
});

describe('how', () => {
  function recorded(refuses: (config: DeviceConfig) => Error | undefined = () => undefined) {
    const requests: DeviceConfig[] = [];
    const host = {
      log: () => {},
      devices: {
        configure: async (_: string, config: DeviceConfig) => {
          requests.push(config);
          const error = refuses(config);
          if (error) throw error;
        },
      },
    };
    return { requests, work: { host, family: 4, recordChange: () => {} } as unknown as ApplyContext };
  }
  const initiates = peers.map(({ publicKey }) => ({ publicKey, updateOnly: true, initiate: true }));

  test('our own device begins a handshake and removes no peer', async () => {
    const { requests, work } = recorded();
    await refreshHandshakes(work, planned, 'userspace', peers);
    expect(requests).toEqual([{ peers: initiates }]);
    await refreshHandshakes(work, planned, 'userspace', []);
    expect(requests).toHaveLength(1);
  });

  test('for another program, which refuses that, peers are removed and re-added in one request', async () => {
    const refusal = new ConfigError('refused', 'EINVAL');
    const { requests, work } = recorded(({ peers: all }) => (all![0]!.initiate ? refusal : undefined));
    await refreshHandshakes(work, planned, 'userspace', peers);
    expect(requests).toHaveLength(3);
    expect(requests[1]!.peers!.map(each => [each.remove, each.persistentKeepalive])).toEqual(
      peers.flatMap(() => [
        [true, undefined],
        [undefined, 65_535],
      ]),
    );
    expect(requests[2]!.peers!.map(each => each.persistentKeepalive)).toEqual([0, 0, 0]);
  });

  test('other failures reject, and remove no peer', async () => {
    const { requests, work } = recorded(() => new Error('EIO'));
    await expect(refreshHandshakes(work, planned, 'userspace', peers)).rejects.toThrow('EIO');
    expect(requests).toHaveLength(1);
  });

  test('in the kernel peers end as planned, also with a keepalive of their own', async () => {
    const node = new FakeNode();
    const process = node.process();
    const mixed = [peer(4, 2), peer(4, 3, { persistentKeepalive: 25 })];
    await process.applier.apply(desired([4], family => tunnel(family, mixed)));
    const picture = node.picture();
    process.operations.length = 0;
    await refreshHandshakes(
      { host: process.host, family: 4, recordChange: () => {} },
      tunnel(4, mixed),
      'kernel',
      mixed,
    );
    expect(process.operations.filter(name => name === 'WG_CMD_SET_DEVICE')).toHaveLength(2);
    expect(node.picture()).toEqual(picture);
    await expect(
      process.host.devices.configure('tunl-wg.cali', { peers: [{ publicKey: mixed[0]!.publicKey, initiate: true }] }),
    ).rejects.toMatchObject({ code: 'EOPNOTSUPP' });
    process.close();
  });
});

describe('how many at a time', () => {
  const many = Array.from({ length: 2 * PEERS_PER_REQUEST + 10 }, (_, i) => {
    const publicKey = new Uint8Array(32).fill(7);
    new DataView(publicKey.buffer).setUint32(0, i);
    return peer(4, 2, { node: `n${i}`, publicKey, allowedIps: [] });
  });

  async function scene() {
    const node = new FakeNode();
    const process = node.process();
    const { host } = process;
    await process.applier.apply(desired([4], family => tunnel(family, many)));
    const refreshed: string[][] = [];
    const { status: read, configure } = host.devices;
    const devices = host.devices as Mutable<typeof host.devices>;
    // Peers of the fake kernel have no traffic.
    devices.status = async name => {
      const now = await read(name);
      return now && { ...now, peers: now.peers.map(each => ({ ...each, txBytes: 148 })) };
    };
    devices.configure = async (name, config) => {
      const made = (config.peers ?? []).filter((_, i, all) => all[i - 1]?.remove && !all[i]!.remove);
      if (made.length > 0) refreshed.push(made.map(({ publicKey }) => formatKeyBase64(publicKey)));
      await configure(name, config);
    };
    return { process, refreshed };
  }
  const request: HandshakeRefresh = { restoredAgoMs: 400, isSecondAttempt: false };

  test('in batches with pauses; each peer once, starting at another peer on each node', async () => {
    const { process, refreshed } = await scene();
    process.operations.length = 0;
    await process.applier.refreshHandshakes(4, request, 0, () => true);
    expect(refreshed.map(each => each.length)).toEqual([PEERS_PER_REQUEST, PEERS_PER_REQUEST, 10]);
    expect(new Set(refreshed.flat()).size).toBe(many.length);
    expect(process.operations.filter(name => name === 'sleep')).toHaveLength(2);
    const [[first]] = refreshed as [[string]];
    refreshed.length = 0;
    await process.applier.refreshHandshakes(4, request, 0.5, () => true);
    expect(refreshed[0]![0]).not.toBe(first);
    expect(new Set(refreshed.flat()).size).toBe(many.length);
    process.close();
  });

  test('a new plan comes in between: peers that left the plan are neither contacted nor re-added', async () => {
    const { process, refreshed } = await scene();
    const next = process.applier.refreshHandshakes(4, request, 0, () => true);
    const applied = process.applier.apply(desired([4], family => tunnel(family, many.slice(0, 5))));
    await Promise.all([next, applied]);
    expect(refreshed.flat().length).toBeLessThan(many.length);
    const { peers: left } = (await process.host.devices.status('tunl-wg.cali'))!;
    expect(left).toHaveLength(5);
    process.close();
  });

  test('none after close, and none without a tunnel', async () => {
    const { process, refreshed } = await scene();
    let asked = 0;
    await process.applier.refreshHandshakes(4, request, 0, () => asked++ < 1);
    expect(refreshed).toHaveLength(1);
    refreshed.length = 0;
    await process.applier.refreshHandshakes(6, request, 0, () => true);
    await process.applier.withdraw();
    await process.applier.refreshHandshakes(4, request, 0, () => true);
    expect(refreshed).toEqual([]);
    process.close();
  });
});

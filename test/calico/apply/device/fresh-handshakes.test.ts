/** Peers that may have lost their session with us: who is greeted, how, and how many at a time. */
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

/** @param handshakeAgo milliseconds; undefined: never */
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

describe('who is greeted', () => {
  const names = (
    all: readonly PeerStatus[],
    greeting: HandshakeRefresh,
    backend: 'userspace' | 'kernel' = 'userspace',
  ) => peersToRefresh(planned, all, greeting, backend, NOW).map(({ node }) => node);
  const first: HandshakeRefresh = { restoredAgoMs: 400, isSecondAttempt: false };
  const second: HandshakeRefresh = { restoredAgoMs: 2_000, isSecondAttempt: true };

  test('who had no handshake since our key is back', () => {
    expect(names([status(peers[0]!, 399), status(peers[1]!, 401), status(peers[2]!, undefined)], first)).toEqual([
      'node-3',
      'node-4',
    ]);
  });

  test('the second time who had none in the last second, for slow ones may have dropped the first; not in the kernel', () => {
    const all = [status(peers[0]!, 999), status(peers[1]!, 1_600), status(peers[2]!, 2_001)];
    expect(names(all, second)).toEqual(['node-3', 'node-4']);
    expect(names(all, second, 'kernel')).toEqual(['node-4']);
  });

  test('nobody with whom there was never any traffic, and nobody who is not planned', () => {
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

  test('our own device begins a handshake; no peer goes', async () => {
    const { requests, work } = recorded();
    await refreshHandshakes(work, planned, 'userspace', peers);
    expect(requests).toEqual([{ peers: initiates }]);
    await refreshHandshakes(work, planned, 'userspace', []);
    expect(requests).toHaveLength(1);
  });

  test('another program, which refuses that, has them removed and made anew in one request', async () => {
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

  test('what fails otherwise is the caller to know, and removes nobody', async () => {
    const { requests, work } = recorded(() => new Error('EIO'));
    await expect(refreshHandshakes(work, planned, 'userspace', peers)).rejects.toThrow('EIO');
    expect(requests).toHaveLength(1);
  });

  test('in the kernel they are as planned afterwards, with a keepalive of their own too', async () => {
    const node = new FakeNode();
    const process = node.process();
    const mixed = [peer(4, 2), peer(4, 3, { persistentKeepalive: 25 })];
    await process.applier.apply(desired([4], family => tunnel(family, mixed)));
    const picture = node.picture();
    process.deeds.length = 0;
    await refreshHandshakes(
      { host: process.host, family: 4, recordChange: () => {} },
      tunnel(4, mixed),
      'kernel',
      mixed,
    );
    expect(process.deeds.filter(name => name === 'WG_CMD_SET_DEVICE')).toHaveLength(2);
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
    const greeted: string[][] = [];
    const { status: read, configure } = host.devices;
    const devices = host.devices as Mutable<typeof host.devices>;
    // the fake kernel's peers have no traffic
    devices.status = async name => {
      const now = await read(name);
      return now && { ...now, peers: now.peers.map(each => ({ ...each, txBytes: 148 })) };
    };
    devices.configure = async (name, config) => {
      const made = (config.peers ?? []).filter((_, i, all) => all[i - 1]?.remove && !all[i]!.remove);
      if (made.length > 0) greeted.push(made.map(({ publicKey }) => formatKeyBase64(publicKey)));
      await configure(name, config);
    };
    return { process, greeted };
  }
  const greeting: HandshakeRefresh = { restoredAgoMs: 400, isSecondAttempt: false };

  test('a few, with pauses; each once, from another beginning on each node', async () => {
    const { process, greeted } = await scene();
    process.deeds.length = 0;
    await process.applier.refreshHandshakes(4, greeting, 0, () => true);
    expect(greeted.map(each => each.length)).toEqual([PEERS_PER_REQUEST, PEERS_PER_REQUEST, 10]);
    expect(new Set(greeted.flat()).size).toBe(many.length);
    expect(process.deeds.filter(name => name === 'sleep')).toHaveLength(2);
    const [[first]] = greeted as [[string]];
    greeted.length = 0;
    await process.applier.refreshHandshakes(4, greeting, 0.5, () => true);
    expect(greeted[0]![0]).not.toBe(first);
    expect(new Set(greeted.flat()).size).toBe(many.length);
    process.close();
  });

  test('a new plan comes in between, and who is not planned any more is not greeted, let alone made again', async () => {
    const { process, greeted } = await scene();
    const next = process.applier.refreshHandshakes(4, greeting, 0, () => true);
    const applied = process.applier.apply(desired([4], family => tunnel(family, many.slice(0, 5))));
    await Promise.all([next, applied]);
    expect(greeted.flat().length).toBeLessThan(many.length);
    const { peers: left } = (await process.host.devices.status('tunl-wg.cali'))!;
    expect(left).toHaveLength(5);
    process.close();
  });

  test('none after the end, and none without a tunnel', async () => {
    const { process, greeted } = await scene();
    let asked = 0;
    await process.applier.refreshHandshakes(4, greeting, 0, () => asked++ < 1);
    expect(greeted).toHaveLength(1);
    greeted.length = 0;
    await process.applier.refreshHandshakes(6, greeting, 0, () => true);
    await process.applier.withdraw();
    await process.applier.refreshHandshakes(4, greeting, 0, () => true);
    expect(greeted).toEqual([]);
    process.close();
  });
});

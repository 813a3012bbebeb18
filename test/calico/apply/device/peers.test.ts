/**
 * Peers, and a family that is off: the cases of Felix's own tests
 * (docs/reference/calico-felix.md#unit-tests), on our code.
 */
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../../src/base/address.ts';
import { makeEndpoint } from '../../../../src/base/endpoint.ts';
import { formatKeyBase64, formatKeyHex } from '../../../../src/base/key.ts';
import { parsePrefix } from '../../../../src/base/prefix.ts';
import type { DesiredTunnel } from '../../../../src/calico/model/desired.ts';
import { desired, FakeNode, peer, publicKeyOf, tunnel, writesOf } from '../node.ts';
import { NAME, Scene, VARIANTS } from '../scene.ts';

describe.each(VARIANTS)('%s', (_, families) => {
  const scene = new Scene(families);

  describe('peers', () => {
    test('adds, changes and removes one peer without touching the others', async () => {
      await scene.apply(scene.wanted());
      const change = (n: number, what: Partial<ReturnType<typeof peer>>) =>
        desired(families, family =>
          tunnel(
            family,
            [2, 3].map(each => peer(family, each, each === n ? what : {})),
          ),
        );
      await scene.apply(change(3, { persistentKeepalive: 25 }));
      expect(scene.process.operations.filter(name => name === 'WG_CMD_SET_DEVICE')).toHaveLength(families.length);
      expect(scene.process.said.filter(text => text.startsWith('device')).at(-1)).toMatch(/: 1 peer\(s\) set$/);
      for (const family of families) expect(scene.peers(family).map(each => each.persistentKeepalive)).toEqual([0, 25]);
      await scene.apply(scene.wanted({}, [2]));
      expect(scene.process.said.filter(text => text.startsWith('device')).at(-1)).toMatch(/: 1 peer\(s\) removed$/);
      for (const family of families) expect(scene.peers(family)).toHaveLength(1);
    });

    test('a prefix that moves to another peer has only the new owner', async () => {
      const [a, b] = [2, 3];
      const moved = desired(families, family =>
        tunnel(family, [
          peer(family, a, { allowedIps: [] }),
          peer(family, b, { allowedIps: [...peer(family, b).allowedIps, ...peer(family, a).allowedIps] }),
        ]),
      );
      await scene.apply(scene.wanted());
      await scene.apply(moved);
      for (const family of families) expect(scene.peers(family).map(each => each.allowedIps.size)).toEqual([0, 2]);
      await scene.apply(scene.wanted());
      for (const family of families) expect(scene.peers(family).map(each => each.allowedIps.size)).toEqual([1, 1]);
      expect((await scene.apply(scene.wanted(), true)).changes).toBe(0);
    });

    test('a resync undoes foreign changes: endpoint, surplus and missing prefix, peer added and removed', async () => {
      await scene.apply(scene.wanted());
      const picture = scene.node.picture();
      for (const family of families) {
        const [first, second] = scene.peers(family);
        const stranger = peer(family, 9);
        const { allowedIps: _, endpointAddress, endpointPort, ...rest } = stranger;
        const meddlings = [
          () => void Object.assign(first!, { endpoint: makeEndpoint(parseAddress('203.0.113.9')!, 7) }),
          () => void first!.allowedIps.set('203.0.113.0/24', parsePrefix('203.0.113.0/24')!),
          () => void second!.allowedIps.clear(),
          () => void scene.device(family).peers.delete([...scene.device(family).peers.keys()][0]!),
          () =>
            void scene.device(family).peers.set(formatKeyHex(stranger.publicKey), {
              ...rest,
              presharedKey: new Uint8Array(32),
              endpoint: makeEndpoint(endpointAddress, endpointPort),
              allowedIps: new Map(),
            }),
        ];
        for (const meddle of meddlings) {
          meddle();
          expect(scene.node.picture()).not.toEqual(picture);
          expect((await scene.apply(scene.wanted())).changes).toBe(0);
          await scene.apply(scene.wanted(), true);
          expect(scene.node.picture()).toEqual(picture);
        }
      }
    });

    test('our own key does not become a peer', async () => {
      await scene.apply(scene.wanted());
      const own = desired(families, family => {
        const publicKey = Uint8Array.from(Buffer.from(publicKeyOf(scene.node.keys.get(family)!), 'base64'));
        return tunnel(family, [peer(family, 2), peer(family, 4, { publicKey })]);
      });
      await scene.apply(own);
      for (const family of families)
        expect(scene.process.said.filter(text => text.startsWith(`device ${NAME(family)}`)).at(-1)).toBe(
          `device ${NAME(family)}: 1 peer(s) removed`,
        );
      await scene.apply(own, true);
      for (const family of families)
        expect(scene.peers(family).map(each => formatKeyBase64(each.publicKey))).toEqual([
          formatKeyBase64(peer(family, 2).publicKey),
        ]);
      expect((await scene.apply(own, true)).changes).toBe(0);
    });
  });

  describe('disabled', () => {
    test('creates no link; removes leftovers, including stale rules and routes of the table; then changes nothing', async () => {
      const empty = scene.node.picture();
      expect(await scene.process.applier.apply({ tunnels: {} })).toEqual({ tunnels: {}, changes: 0 });
      expect(writesOf(scene.process.operations)).toEqual([]);
      await scene.apply(scene.wanted());
      // An agent that knows only its names.
      scene.node.records = {};
      scene.restart();
      expect((await scene.process.applier.apply({ tunnels: {} })).tunnels).toEqual({});
      expect(scene.node.picture()).toEqual(empty);
      scene.process.operations.length = 0;
      expect(await scene.process.applier.apply({ tunnels: {} })).toEqual({ tunnels: {}, changes: 0 });
      expect(scene.process.operations).toEqual([]);
      expect(await scene.process.applier.resync()).toEqual({ tunnels: {}, changes: 0 });
      expect(writesOf(scene.process.operations)).toEqual([]);
    });

    test('removes in reverse order: the rule, routes, the link, the firewall', async () => {
      await scene.apply(scene.wanted());
      scene.process.operations.length = 0;
      await scene.process.applier.withdraw();
      const order = writesOf(scene.process.operations).filter((name, i, all) => all.indexOf(name) === i);
      expect(order).toEqual(['RTM_DELRULE', 'RTM_DELROUTE', 'RTM_DELLINK', 'nft remove', 'save records']);
    });

    test('recovers from every single failure', async () => {
      const empty = scene.node.picture();
      for (let failAt = 0; ; failAt++) {
        scene.restart();
        await scene.apply(scene.wanted());
        scene.restart({ failAt });
        const first = await scene.process.applier.withdraw();
        if (scene.process.operations.length <= failAt) break;
        for (const state of Object.values(first.tunnels))
          expect(state).toMatchObject({ ready: false, error: { message: expect.stringContaining('failed') } });
        expect((await scene.process.applier.withdraw()).tunnels).toEqual({});
        expect(scene.node.picture()).toEqual(empty);
      }
    });

    test('other names: removes the old resources first, also by a restarted agent', async () => {
      for (const anew of [false, true]) {
        await scene.apply(scene.wanted());
        if (anew) {
          scene.restart();
        }
        const other = desired(families, family =>
          tunnel(family, [peer(family, 2)], { interfaceName: `x${family}.cali`, table: 600 }),
        );
        await scene.apply(other);
        expect((scene.node.picture()['links'] as string[]).map(line => line.split(' ')[0])).toEqual([
          'lo',
          ...families.map(family => `x${family}.cali`),
        ]);
        expect(scene.rulesTo(51820)).toEqual([]);
        expect(scene.rulesTo(600)).toHaveLength(families.length);
        for (const family of families) expect(scene.routesOf(family)).toEqual([]);
      }
    });
  });
});

test('refuses invalid settings before touching anything', async () => {
  const mistakes: readonly [Partial<DesiredTunnel>, RegExp][] = [
    [{ table: 254 }, /route table 254/],
    [{ table: 0 }, /route table 0/],
    [{ mark: 0 }, /mark 0/],
    [{ rulePriority: 0 }, /rule priority 0/],
    [{ interfaceName: 'far too long a name' }, /interface name "far too long a name"/],
    [{ mtu: 0 }, /MTU 0/],
  ];
  for (const [change, words] of mistakes) {
    const node = new FakeNode();
    const before = node.picture();
    const process = node.process();
    const state = await process.applier.apply(desired([4], family => tunnel(family, [peer(family, 2)], change)));
    expect(state.tunnels[4]).toMatchObject({
      ready: false,
      error: { step: 'plan', message: expect.stringMatching(words) },
    });
    expect({ ...node.picture(), records: {} }).toEqual(before);
    process.close();
  }
});

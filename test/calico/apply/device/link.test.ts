/**
 * Link, device and address: the cases of Felix's own tests
 * (docs/reference/calico-felix.md#unit-tests), on our code.
 */
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../../src/base/address.ts';
import { makeEndpoint } from '../../../../src/base/endpoint.ts';
import { peer, publicKeyOf, tunnel, writesOf } from '../node.ts';
import { NAME, Scene, VARIANTS } from '../scene.ts';

describe.each(VARIANTS)('%s', (_, families) => {
  const scene = new Scene(families);

  describe('link and device', () => {
    test('a re-created device with a key that peers know begins handshakes; one with a new key does not', async () => {
      const told = () => scene.process.operations.filter(name => name === 'WG_CMD_SET_DEVICE').length;
      await scene.apply(scene.wanted());
      expect(told()).toBe(families.length);
      const keepalives = families.map(family => scene.peers(family).map(each => each.persistentKeepalive));
      for (const family of families)
        await scene.node.meddle(network => network.links.remove({ index: scene.index(family), name: NAME(family) }));
      await scene.apply(scene.wanted(), true);
      // The whole configuration, switching the keepalive on, and off.
      expect(told()).toBe(3 * families.length);
      expect(families.map(family => scene.peers(family).map(each => each.persistentKeepalive))).toEqual(keepalives);
    });

    test('brings up everything in the order: seal and link, address, device, routes, firewall, rule', async () => {
      const state = await scene.apply(scene.wanted());
      expect(Object.keys(state.tunnels)).toEqual(families.map(String));
      for (const family of families) {
        expect(state.tunnels[family]).toEqual({
          ready: true,
          interfaceName: NAME(family),
          backend: 'kernel',
          publicKey: publicKeyOf(scene.device(family).privateKey),
        });
        expect(scene.device(family).listenPort).toBe(family === 4 ? 51820 : 51821);
        expect(scene.device(family).fwmark).toBe(0x100000);
        expect(scene.peers(family).map(each => each.endpoint)).toEqual(
          [2, 3].map(n => makeEndpoint(peer(family, n).endpointAddress, peer(family, n).endpointPort)),
        );
        expect(scene.routesOf(family)).toHaveLength(3);
      }
      const order = writesOf(scene.process.operations).filter(
        (name, i, all) => all.indexOf(name) === i && !name.endsWith('key 6'),
      );
      const key = families.includes(4) ? ['save key 4'] : [];
      expect(order).toEqual([
        'save records',
        'RTM_NEWLINK',
        'RTM_NEWADDR',
        ...key,
        'WG_CMD_SET_DEVICE',
        'RTM_NEWROUTE',
        'nft set',
        'RTM_NEWRULE',
      ]);
    });

    test('a second apply changes nothing, incremental or full', async () => {
      await scene.apply(scene.wanted());
      const picture = scene.node.picture();
      expect((await scene.apply(scene.wanted())).changes).toBe(0);
      expect(writesOf(scene.process.operations)).toEqual([]);
      expect(scene.process.operations).toEqual(families.map(() => 'RTM_GETLINK'));
      expect((await scene.apply(scene.wanted(), true)).changes).toBe(0);
      expect(writesOf(scene.process.operations)).toEqual([]);
      expect(scene.node.picture()).toEqual(picture);
    });

    test('a restarted agent adopts everything, and only sets its firewall again', async () => {
      await scene.apply(scene.wanted());
      scene.restart();
      await scene.apply(scene.wanted());
      expect(writesOf(scene.process.operations)).toEqual(families.map(() => 'nft set'));
    });

    test('a link that does not come up: stops there, and continues once it is up', async () => {
      let deaf = true;
      const { links } = scene.process.host.network;
      const find = links.find.bind(links);
      links.find = async which => {
        const link = await find(which);
        return link && deaf ? { ...link, running: false } : link;
      };
      for (let i = 0; i < 2; i++) {
        scene.process.operations.length = 0;
        const state = await scene.process.applier.apply(scene.wanted());
        for (const family of families) {
          expect(state.tunnels[family]).toMatchObject({ ready: false, error: { step: 'link' } });
          expect(state.tunnels[family]!.error!.message).toContain(`${NAME(family)} did not come up`);
        }
        expect(
          scene.process.operations.filter(name => /NEWADDR|SET_DEVICE|NEWROUTE|NEWRULE|nft set/.test(name)),
        ).toEqual([]);
      }
      deaf = false;
      await scene.apply(scene.wanted());
    });

    test('adopts an existing link, which keeps its key', async () => {
      for (const family of families)
        await scene.node.meddle(network => network.links.create({ name: NAME(family), kind: 'wireguard' }));
      for (const family of families) scene.device(family).privateKey = new Uint8Array(32).fill(0x48);
      await scene.apply(scene.wanted({ listenPort: 1234, mark: 0x40 }));
      for (const family of families) {
        expect(scene.device(family)).toMatchObject({ listenPort: 1234, fwmark: 0x40 });
        expect(scene.device(family).privateKey).toEqual(new Uint8Array(32).fill(0x48));
        expect(scene.node.keys.get(family)).toEqual(new Uint8Array(32).fill(0x48));
      }
      expect(scene.process.said.join()).not.toContain(': made');
    });

    test('gives a device with another key the stored key', async () => {
      await scene.apply(scene.wanted());
      for (const family of families) scene.device(family).privateKey = new Uint8Array(32).fill(0x48);
      await scene.apply(scene.wanted(), true);
      for (const family of families) expect(scene.device(family).privateKey).toEqual(scene.node.keys.get(family));
    });

    test('reports a name in use by another kind of link, and leaves that link untouched', async () => {
      for (const family of families)
        await scene.node.meddle(network => network.links.create({ name: NAME(family), kind: 'dummy' }));
      const before = scene.node.picture();
      const state = await scene.process.applier.apply(scene.wanted());
      for (const family of families) {
        expect(state.tunnels[family]).toMatchObject({ ready: false, error: { step: 'link' } });
        expect(state.tunnels[family]!.error!.message).toMatch(
          /tunl-wg6?\.cali is already used by a link of kind dummy/,
        );
      }
      expect({ ...scene.node.picture(), records: {} }).toEqual(before);
      await scene.process.applier.withdraw();
      expect(scene.node.picture()['links']).toEqual(before['links']);
    });

    test('a resync restores port, mark and MTU after foreign changes', async () => {
      await scene.apply(scene.wanted());
      const picture = scene.node.picture();
      for (const family of families) {
        scene.device(family).listenPort = 9;
        scene.device(family).fwmark = 9;
        await scene.node.meddle(network =>
          network.links.change({ index: scene.index(family), name: '' }, { mtu: 1300, up: false }),
        );
      }
      await scene.apply(scene.wanted(), true);
      expect(scene.node.picture()).toEqual(picture);
    });

    test('re-creates a deleted link with the same key, at the next apply of any kind', async () => {
      for (const full of [true, false]) {
        await scene.apply(scene.wanted());
        const picture = scene.node.picture();
        for (const family of families)
          await scene.node.meddle(network => network.links.remove({ index: scene.index(family), name: '' }));
        await scene.apply(scene.wanted(), full);
        expect(scene.node.picture()).toEqual(picture);
      }
    });
  });

  describe('address', () => {
    test('is added, changed, removed; surplus ones are removed; link-local ones stay', async () => {
      const addresses = () => scene.node.picture()['addresses'];
      await scene.apply(scene.only(families[0]!));
      const surplus = families[0] === 4 ? '10.0.0.8' : 'fd00::8';
      await scene.node.meddle(network =>
        network.addresses.add(
          { index: scene.index(families[0]!), name: '' },
          { address: parseAddress(surplus)!, prefixLength: 24 },
        ),
      );
      await scene.node.meddle(network =>
        network.addresses.add(
          { index: scene.index(families[0]!), name: '' },
          { address: parseAddress('fe80::1')!, prefixLength: 64 },
        ),
      );
      await scene.apply(scene.only(families[0]!), true);
      const bits = families[0] === 4 ? 32 : 128;
      expect(addresses()).toEqual(
        expect.arrayContaining([expect.stringMatching(new RegExp(`/${bits}$`)), expect.stringContaining('fe80::1/64')]),
      );
      const own = scene.node.kernel.world.addresses.filter(
        ({ address }) => address.length === (families[0] === 4 ? 4 : 16),
      );
      expect(own.filter(({ address }) => address[0] !== 0xfe)).toHaveLength(1);
      const { address: _, ...without } = tunnel(families[0]!, [peer(families[0]!, 2)]);
      await scene.apply({ tunnels: { [families[0]!]: without } });
      expect(
        scene.node.kernel.world.addresses.filter(
          ({ address }) => address.length === (families[0] === 4 ? 4 : 16) && address[0] !== 0xfe,
        ),
      ).toEqual([]);
    });

    test('with a wrong length is replaced', async () => {
      const family = families[0]!;
      await scene.apply(scene.wanted());
      const { address } = tunnel(family, []);
      await scene.node.meddle(network =>
        network.addresses.remove(
          { index: scene.index(family), name: '' },
          { address: address!, prefixLength: address!.length * 8 },
        ),
      );
      await scene.node.meddle(network =>
        network.addresses.add({ index: scene.index(family), name: '' }, { address: address!, prefixLength: 24 }),
      );
      await scene.apply(scene.wanted(), true);
      expect(
        scene.node.kernel.world.addresses
          .filter(each => each.index === scene.index(family))
          .map(each => each.prefixLength),
      ).toEqual([address!.length * 8]);
    });
  });
});

/**
 * The watch reports foreign changes to our state at once, and nothing else; and a thousand nodes
 * are not too many.
 */
import { describe, expect, test } from 'vitest';
import { formatKeyBase64 } from '../../../src/base/key.ts';
import { makePrefix } from '../../../src/base/prefix.ts';
import type { Desired, DesiredPeer } from '../../../src/calico/model/desired.ts';
import { FakeNode, peer, tunnel } from './node.ts';
import { NAME, Scene, VARIANTS } from './scene.ts';

const settled = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 20));

describe.each(VARIANTS)('%s', (_, families) => {
  const scene = new Scene(families);

  test('reports: our link is gone or down, a rule to our table is gone, events were lost', async () => {
    await scene.apply(scene.wanted());
    const seen: string[] = [];
    const watch = scene.process.applier.watch(what => seen.push(what));
    for (const family of families) {
      const link = { index: scene.index(family), name: NAME(family) };
      const breaking: readonly (readonly [RegExp, () => Promise<unknown>])[] = [
        [/was set down/, () => scene.node.meddle(network => network.links.change(link, { up: false }))],
        [
          /a rule to table 51820 is gone/,
          () => scene.node.meddle(network => network.rules.remove({ family, table: 51820 })),
        ],
        [/interface tunl-wg6?\.cali is gone/, () => scene.node.meddle(network => network.links.remove(link))],
        [/missed/, async () => scene.node.kernel.loseEvents()],
      ];
      for (const [words, action] of breaking) {
        await scene.apply(scene.wanted(), true);
        await settled();
        seen.length = 0;
        await action();
        await settled();
        expect(seen.join()).toMatch(words);
        const { tunnels } = await scene.process.applier.resync();
        expect(tunnels[family]).toMatchObject({ ready: true });
      }
    }
    watch.close();
    seen.length = 0;
    scene.node.kernel.loseEvents();
    await settled();
    expect(seen).toEqual([]);
  });

  test('ignores: other links, also with similar names; other tables; our own changes', async () => {
    const seen: string[] = [];
    const watch = scene.process.applier.watch(what => seen.push(what));
    for (const family of families) {
      await scene.node.meddle(async network => {
        const other = await network.links.create({ name: `${NAME(family)}2`, kind: 'dummy', up: true });
        await network.links.remove(other);
        await network.rules.add({ family, table: 99, priority: 7 });
        await network.rules.remove({ family, table: 99, priority: 7 });
      });
      await scene.apply(scene.wanted());
      await scene.node.meddle(async network => {
        const other = await network.links.create({ name: `${NAME(family)}2`, kind: 'dummy', up: true });
        await network.links.change(other, { up: false });
        await network.links.remove(other);
        await network.rules.add({ family, table: 99, priority: 7 });
        await network.rules.remove({ family, table: 99, priority: 7 });
      });
    }
    await scene.process.applier.withdraw();
    await settled();
    expect(seen).toEqual([]);
    watch.close();
  });
});

test('serializes concurrent calls, and ends with the last plan', async () => {
  const node = new FakeNode();
  const process = node.process();
  const plans = [2, 3, 4].map((n): Desired => ({ tunnels: { 4: tunnel(4, [peer(4, n)]) } }));
  await Promise.all([...plans.map(plan => process.applier.apply(plan)), process.applier.resync()]);
  expect([...node.kernel.device(NAME(4))!.peers.values()].map(each => formatKeyBase64(each.publicKey))).toEqual([
    formatKeyBase64(peer(4, 4).publicKey),
  ]);
  process.close();
});

test('one change among a thousand nodes with five blocks each costs one peer and one route', async () => {
  const node = new FakeNode({ messageSize: 32_768 });
  const process = node.process();
  const blocks = (n: number, count = 5) =>
    Array.from({ length: count }, (_, i) =>
      makePrefix(Uint8Array.of(10, n >> 6, (n << 2) | (i >> 1), (i & 1) << 7), 26),
    );
  const key = (n: number): Uint8Array =>
    new Uint8Array(32)
      .fill(7)
      .fill(n & 0xff, 0, 1)
      .fill(n >> 8, 1, 2);
  const make = (n: number, count = 5): DesiredPeer =>
    peer(4, 2, { publicKey: key(n), node: `n${n}`, allowedIps: blocks(n, count) });
  const peers = Array.from({ length: 1000 }, (_, n) => make(n));
  const first = await process.applier.apply({ tunnels: { 4: tunnel(4, peers) } });
  expect(first.tunnels[4]?.error).toBeUndefined();
  for (let i = 0; i < 10; i++) {
    const next = tunnel(
      4,
      peers.map((each, n) => (n === i ? make(n, 4) : each)),
    );
    process.operations.length = 0;
    await process.applier.apply({ tunnels: { 4: next } });
    // The previous peer gets its fifth block back.
    expect(process.operations.filter(name => /ROUTE|SET_DEVICE/.test(name)).length).toBeLessThanOrEqual(4);
  }
  process.close();
});

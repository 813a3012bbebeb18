/**
 * Random plans, foreign changes, and agents that are killed or fail anywhere: one full apply
 * converges to the state of a new node.
 */
import { expect, test } from 'vitest';
import type { Family } from '../../../src/base/family.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import type { Desired } from '../../../src/calico/model/desired.ts';
import { seeded, testSeed } from '../../support/random.ts';
import { desired, FakeNode, peer, route, tunnel } from './node.ts';

const ROUNDS = 60;
const SEED = testSeed();

test(`a walk of ${ROUNDS} rounds (TEST_SEED=${SEED})`, async () => {
  const { next: random, pick } = seeded(SEED);
  const some = <T>(items: readonly T[]): T[] => items.filter(() => random() < 0.5);
  const node = new FakeNode();
  let process = node.process();

  const plan = (): Desired =>
    desired(some([4, 6] as const), family => {
      const base = tunnel(
        family,
        some([2, 3, 4, 5]).map(n => peer(family, n, { persistentKeepalive: pick([0, 25]) })),
        {
          interfaceName: pick([`a${family}.cali`, `b${family}.cali`]),
          table: pick([600, 700]),
          mtu: pick([1300, 1440]),
          mark: pick([0x40, 0x100000]),
          rulePriority: pick([60, 98]),
          firewall: {
            allowPort: random() < 0.5,
            masquerade: random() < 0.5,
            sealed: some(SEALED[family]).map(text => parsePrefix(text)!),
            workloadPrefixes: pick([['cali'], ['azv', 'eni']]),
          },
        },
      );
      const others = some(SEALED[family]).map(
        text => [text, route(text, pick(['throw', 'unreachable'] as const))] as const,
      );
      return { ...base, routes: new Map([...base.routes, ...others]) };
    });
  const meddle = async (): Promise<void> => {
    const { world } = node.kernel;
    const links = [...world.links.values()].filter(({ name }) => name.endsWith('.cali'));
    const link = links.length > 0 ? pick(links) : undefined;
    const device = link && world.devices.get(link.index);
    const family = pick([4, 6] as const);
    const owned = node.records[family] ?? [];
    // Tables that are not ours are not repaired.
    if (owned.length === 0) return;
    const { table } = pick(owned);
    const actions: (() => unknown)[] = [
      () => link && node.meddle(network => network.links.remove(link)),
      () => link && node.meddle(network => network.links.change(link, { up: false, mtu: 1234 })),
      () =>
        world.rules.splice(0, world.rules.length, ...world.rules.filter(rule => rule.table < 600 || rule.table > 700)),
      () => node.meddle(network => network.rules.add({ family, table, priority: 3, mark: 9 })).catch(() => {}),
      () =>
        world.routes.splice(
          0,
          world.routes.length,
          ...world.routes.filter(each => each.table !== table || random() < 0.5),
        ),
      () =>
        node.meddle(network =>
          network.routes.replace({ destination: parsePrefix(pick(SEALED[family]))!, table, type: 6 }),
        ),
      () => device?.peers.delete(pick([...device.peers.keys(), ''])),
      () => device && Object.assign(device, { listenPort: 7, fwmark: 7 }),
      () => node.tables.delete(family),
      () =>
        link &&
        node
          .meddle(network =>
            network.addresses.add(link, {
              address: new Uint8Array(link.name.includes('4') ? 4 : 16).fill(7),
              prefixLength: 24,
            }),
          )
          .catch(() => {}),
    ];
    await pick(actions)();
  };

  for (let round = 0; round < ROUNDS; round++) {
    const wanted = plan();
    for (let i = 0; i < 3; i++) {
      if (random() < 0.6) await meddle();
      const fate = pick(['goes on', 'starts anew', 'is stopped', 'fails'] as const);
      if (fate !== 'goes on') {
        process.close();
        const at = Math.floor(random() * 60);
        process = node.process(fate === 'is stopped' ? { killAt: at } : fate === 'fails' ? { failAt: at } : {});
      }
      await process.applier.apply(random() < 0.5 ? wanted : plan(), { full: random() < 0.5 });
      if (fate === 'is stopped') {
        process.close();
        process = node.process();
      }
    }
    process.close();
    process = node.process();
    const { tunnels } = await process.applier.apply(wanted, { full: true });
    expect(
      Object.values(tunnels).filter(({ error }) => error),
      `round ${round}`,
    ).toEqual([]);
    const fresh = new FakeNode();
    for (const [family, key] of node.keys) fresh.keys.set(family, key);
    const other = fresh.process();
    await other.applier.apply(wanted);
    other.close();
    expect(normal(node.picture()), `round ${round}`).toEqual(normal(fresh.picture()));
  }
  process.close();
});

const SEALED: Readonly<Record<Family, readonly string[]>> = {
  4: ['10.42.7.0/26', '10.42.8.0/26', '10.42.9.0/26'],
  6: ['fd42:0:0:7::/122', 'fd42:0:0:8::/122'],
};

/** Ignores sysctls, which are never restored, and the order of rules of one priority. */
function normal({ rules, tables, devices, ...rest }: Record<string, unknown>): unknown {
  const byText = (list: unknown): unknown[] =>
    [...(list as unknown[])].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return { ...rest, rules: byText(rules), tables: byText(tables), devices: byText(devices) };
}

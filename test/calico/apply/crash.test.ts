/**
 * Kills the agent, or fails an operation, before each single operation: the next apply converges.
 */
import { describe, expect, test } from 'vitest';
import type { Family } from '../../../src/base/family.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import type { Desired } from '../../../src/calico/model/desired.ts';
import { desired, FakeNode, OWNED, type ProcessOptions, peer, route, tunnel, WRITE_REQUESTS } from './node.ts';

const VARIANTS: readonly (readonly [string, readonly Family[]])[] = [
  ['v4', [4]],
  ['v6', [6]],
  ['both', [4, 6]],
];
const SEALED = { 4: '10.42.7.0/26', 6: 'fd42:0:0:7::/122' } as const;

describe.each(VARIANTS)('%s', (_, families) => {
  const sealed = (family: Family) => ({
    firewall: { allowPort: true, masquerade: true, sealed: [parsePrefix(SEALED[family])!], workloadPrefixes: ['cali'] },
  });
  const first = desired(families, family => tunnel(family, [peer(family, 2), peer(family, 3)], sealed(family)));
  const second = desired(families, family => {
    const base = tunnel(family, [peer(family, 3, { persistentKeepalive: 9 }), peer(family, 4)], {
      mtu: 1300,
      mark: 0x80,
      rulePriority: 60,
    });
    return { ...base, routes: new Map([...base.routes, [SEALED[family], route(SEALED[family], 'unreachable')]]) };
  });
  const renamed = desired(families, family =>
    tunnel(family, [peer(family, 2)], { interfaceName: `w${family}.cali`, table: 700 }),
  );

  const run = async (
    node: FakeNode,
    what: Desired,
    options: ProcessOptions = {},
  ): Promise<{ operations: number; failed: boolean }> => {
    const process = node.process(options);
    try {
      const { tunnels } = await process.applier.apply(what);
      return { operations: process.operations.length, failed: Object.values(tunnels).some(({ error }) => error) };
    } finally {
      process.close();
    }
  };

  test.each([
    ['from an empty node', undefined, first],
    ['from another plan', first, second],
    ['to other names', first, renamed],
    ['to no tunnel', first, { tunnels: {} }],
  ])('stopped at every step %s, the next agent completes it', async (_name, before, after) => {
    const start = async (): Promise<FakeNode> => {
      const node = new FakeNode();
      if (before) await run(node, before);
      return node;
    };
    const undisturbed = await start();
    const { operations } = await run(undisturbed, after);
    const whole = undisturbed.picture();
    expect(operations).toBeGreaterThan(8);
    for (let killAt = 0; killAt < operations; killAt++) {
      const node = await start();
      expect(await run(node, after, { killAt }), `killed at ${killAt}`).toMatchObject({ failed: true });
      expect(await run(node, after)).toMatchObject({ failed: false });
      // A key that was not stored yet is generated again.
      expect(withoutKeys(node.picture()), `killed at ${killAt}`).toEqual(withoutKeys(whole));
    }
  });

  test.each([
    ['of another plan', second],
    ['under other names', renamed],
  ])(
    'a new agent whose first apply %s fails at any step reports the key of the tunnel that still runs',
    async (_name, next) => {
      const undisturbed = new FakeNode();
      await run(undisturbed, first);
      const { operations } = await run(undisturbed, next);
      for (let failAt = 0; failAt < operations; failAt++) {
        const node = new FakeNode();
        const before = node.process();
        const { tunnels: left } = await before.applier.apply(first);
        before.close();
        const process = node.process({ failAt });
        const { tunnels } = await process.applier.apply(next);
        for (const family of families) {
          const { error, ready, publicKey, backend } = tunnels[family]!;
          const old = left[family]!;
          const message = `failed at ${failAt}: ${error?.step} ${error?.message}`;
          if (ready)
            expect({ publicKey, backend }, message).toEqual({ publicKey: old.publicKey, backend: old.backend });
          else expect(node.kernel.device(old.interfaceName), message).toBeUndefined();
        }
        expect(await process.applier.apply(next)).toMatchObject({
          tunnels: Object.fromEntries(
            families.map(family => [family, { ready: true, publicKey: left[family]!.publicKey }]),
          ),
        });
        process.close();
      }
    },
  );

  test('a device with another key under our name is not reported as ours', async () => {
    const node = new FakeNode();
    await run(node, first);
    for (const family of families)
      node.kernel.device(OWNED[family]!.interfaceName)!.privateKey = new Uint8Array(32).fill(9);
    node.kernel.failNext('RTM_NEWROUTE', 'ENOMEM', { times: 1000 });
    node.kernel.failNext('RTM_NEWLINK', 'ENOMEM', { times: 1000 });
    const process = node.process();
    const { tunnels } = await process.applier.apply(second);
    process.close();
    for (const tunnel of Object.values(tunnels)) {
      expect(tunnel.error).toBeDefined();
      expect([tunnel.ready, tunnel.publicKey]).toEqual([false, undefined]);
    }
  });

  test('each single failure is reported, leaves a running tunnel running, and is corrected by the same agent', async () => {
    const undisturbed = new FakeNode();
    const calm = undisturbed.process();
    await calm.applier.apply(first);
    const begin = calm.operations.length;
    await calm.applier.apply(second);
    const end = calm.operations.length;
    calm.close();
    const whole = withoutKeys(undisturbed.picture());
    expect(end - begin).toBeGreaterThan(8);
    for (let failAt = begin; failAt < end; failAt++) {
      const node = new FakeNode();
      const process = node.process({ failAt });
      await process.applier.apply(first);
      const failed = await process.applier.apply(second);
      expect(Object.values(failed.tunnels).filter(({ error }) => error?.message.includes('failed'))).toHaveLength(1);
      expect(Object.values(failed.tunnels).map(({ ready }) => ready)).toEqual(families.map(() => true));
      const { tunnels } = await process.applier.apply(second);
      expect(Object.values(tunnels).map(({ error, ready }) => [error, ready])).toEqual(
        families.map(() => [undefined, true]),
      );
      process.close();
      expect(withoutKeys(node.picture()), `failed at ${failAt}`).toEqual(whole);
    }
  });

  test.each(WRITE_REQUESTS)(
    '%s refused once, and twice: reports the error, retries and converges; a running tunnel keeps running',
    async request => {
      for (const times of [1, 2]) {
        const node = new FakeNode();
        const process = node.process();
        await process.applier.apply(first);
        const rules = node.kernel.world.rules.length;
        const next =
          request === 'RTM_NEWADDR'
            ? desired(families, family => ({
                ...second.tunnels[family]!,
                address: new Uint8Array(family === 4 ? 4 : 16).fill(9),
              }))
            : second;
        // In one family only.
        node.kernel.failNext(request, 'ENOMEM', { times });
        // Routes are set concurrently, so both refusals may occur at once; families run one after
        // another.
        let refusals = 0;
        for (; refusals <= times; refusals++) {
          const { tunnels } = await process.applier.apply(next);
          const failed = Object.values(tunnels).filter(({ error }) => error);
          if (failed.length === 0) break;
          for (const state of failed)
            expect(state).toMatchObject({
              ready: true,
              publicKey: expect.any(String),
              error: { message: expect.stringContaining('ENOMEM') },
            });
          expect(node.kernel.world.rules.length).toBeGreaterThanOrEqual(rules);
        }
        expect(refusals).toBeGreaterThan(0);
        expect(refusals).toBeLessThanOrEqual(times);
        const { tunnels } = await process.applier.apply(next);
        expect(Object.values(tunnels).filter(({ error }) => error)).toEqual([]);
        process.close();
        const undisturbed = new FakeNode();
        await run(undisturbed, next);
        const { rules: order, ...rest } = withoutKeys(node.picture()) as { rules: string[] };
        const { rules: expected, ...others } = withoutKeys(undisturbed.picture()) as { rules: string[] };
        expect(rest).toEqual(others);
        expect([...order].sort()).toEqual([...expected].sort());
      }
    },
  );

  test('failures of reads and removals are corrected too', async () => {
    for (const request of [
      'RTM_GETLINK',
      'RTM_GETADDR',
      'RTM_GETROUTE',
      'RTM_GETRULE',
      'WG_CMD_GET_DEVICE',
      'RTM_DELROUTE',
      'RTM_DELRULE',
    ] as const) {
      const node = new FakeNode();
      const process = node.process();
      await process.applier.apply(first);
      node.kernel.failNext(request, 'ENOMEM');
      const failed = await process.applier.apply(second, { full: true });
      expect(
        Object.values(failed.tunnels).filter(({ error }) => error?.message.includes('ENOMEM')),
        request,
      ).toHaveLength(1);
      expect(Object.values((await process.applier.apply(second)).tunnels).filter(({ error }) => error)).toEqual([]);
      process.close();
    }
  });

  test('a device that is gone and cannot be re-created is not ready', async () => {
    const node = new FakeNode();
    const process = node.process();
    await process.applier.apply(first);
    for (const family of families) {
      const link = [...node.kernel.world.links.values()].find(({ name }) => name === OWNED[family]!.interfaceName)!;
      await node.meddle(network => network.links.remove(link));
    }
    node.kernel.failNext('RTM_NEWLINK', 'EPERM', { times: families.length });
    const { tunnels } = await process.applier.resync();
    for (const family of families) expect(tunnels[family]).toMatchObject({ ready: false, error: { step: 'link' } });
    expect((await process.applier.resync()).tunnels[families[0]!]).toMatchObject({ ready: true });
    process.close();
  });

  test('a kernel without WireGuard is reported, and converges as soon as it has it', async () => {
    const kinds = ['dummy'];
    const node = new FakeNode({ kinds });
    const process = node.process();
    for (let i = 0; i < 2; i++) {
      const { tunnels } = await process.applier.apply(first);
      for (const family of families)
        expect(tunnels[family]).toMatchObject({
          ready: false,
          error: { step: 'link', message: expect.stringContaining('EOPNOTSUPP') },
        });
    }
    expect(node.kernel.world.rules).toHaveLength(new FakeNode().kernel.world.rules.length);
    kinds.push('wireguard');
    const { tunnels } = await process.applier.resync();
    for (const family of families) expect(tunnels[family]).toMatchObject({ ready: true });
    process.close();
  });
});

function withoutKeys(picture: Record<string, unknown>): Record<string, unknown> {
  const devices = (picture['devices'] as string[]).map(line => line.replace(/^(\S+) \S+/, '$1'));
  return { ...picture, devices };
}

/**
 * The rollback of an `up` that failed at any step, while the rollback itself fails too: the
 * interface is removed, and the first failure is reported.
 */
import { beforeAll, expect, test } from 'vitest';
import { down, reload, up } from '../../src/quick/quick.ts';
import { downAgain, FAILURES, hasLink, KEY, run, WANTED } from './failures.ts';
import { FakeMachine, target } from './fake-machine.ts';

let empty: Record<string, unknown>;
let ups: readonly string[];
let fatal: number[];
beforeAll(async () => {
  const machine = await FakeMachine.start();
  empty = machine.picture();
  ups = (await run(machine, host => up(host, WANTED))).steps;
  fatal = [];
  for (const [failAt, name] of ups.entries()) {
    const { error } = await run(await FakeMachine.start(), host => up(host, WANTED), {
      fails: (_, at) => (at === failAt ? FAILURES['EBUSY']!(name) : undefined),
    });
    if (error) fatal.push(failAt);
    // A failed route lookup for the MTU is not fatal.
    else expect(name).toMatch(/^RTM_GET(ROUTE|LINK)$/);
  }
  expect(fatal.length).toBeGreaterThan(ups.length - 4);
});

test('rolls back after a failure at any step, with one more failure in the rollback', async () => {
  for (const failAt of fatal)
    for (let later = 1; later < 14; later++) {
      const machine = await FakeMachine.start();
      const fails = (name: string, at: number) =>
        at === failAt || at === failAt + later ? FAILURES['EBUSY']!(`${name} ${at}`) : undefined;
      const first = await run(machine, host => up(host, WANTED), { fails });
      const where = `${ups[failAt]} failed, number ${failAt}, and ${later} later`;
      expect(first.error?.message, where).toContain(`${ups[failAt]} ${failAt}`);
      expect(hasLink(machine), where).toBe(false);
      await downAgain(machine);
      expect({ ...machine.picture(), dns: {}, firewall: {} }, where).toEqual(empty);
    }
});

test.each(['unset DNS', 'remove firewall', 'mark valid', 'RTM_DELRULE', 'forget'])(
  'removes the interface when "%s" always fails in the rollback',
  async always => {
    for (const failAt of fatal) {
      const machine = await FakeMachine.start();
      const fails = (name: string, at: number) =>
        at === failAt
          ? FAILURES['EBUSY']!(name)
          : name === always && at > failAt
            ? FAILURES['EPERM']!(name)
            : undefined;
      const first = await run(machine, host => up(host, WANTED), { fails });
      const where = `${ups[failAt]} failed, number ${failAt}`;
      expect(first.error?.message, where).toContain(ups[failAt]);
      expect(hasLink(machine), where).toBe(false);
      const { dns, firewall, rules, state } = machine.picture();
      if (always !== 'unset DNS') expect(dns, where).toEqual({});
      if (always !== 'remove firewall') expect(firewall, where).toEqual({});
      if (always !== 'RTM_DELRULE') expect(rules, where).toEqual(empty['rules']);
      if (always !== 'forget') expect(state, where).toEqual({});
    }
  },
);

test('reports an interface that the rollback cannot remove, and down continues', async () => {
  const machine = await FakeMachine.start();
  const fails = (name: string) => (/RTM_DELLINK|post-up/.test(name) ? FAILURES['EPERM']!(name) : undefined);
  const first = await run(machine, host => up(host, WANTED), { fails });
  expect(first.error?.message).toContain('post-up');
  expect(first.warned.join('\n')).toContain('`wgts down` tries once more');
  expect(machine.picture()).toMatchObject({ dns: {}, firewall: {}, rules: empty['rules'] });
  expect((await run(machine, host => down(host, WANTED))).error).toBeUndefined();
  expect(machine.picture()).toEqual(empty);
});

test('reload: an address or route that another program just removed is not a failure', async () => {
  const text = (address: string, allowed: string) => `[Interface]
Address = 10.9.0.1/24, ${address}
PrivateKey = ${KEY}
[Peer]
PublicKey = GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=
AllowedIPs = ${allowed}
`;
  const machine = await FakeMachine.start();
  await run(machine, host => up(host, target(text('10.9.1.1/24', '10.7.0.0/16'))));
  const { world } = machine.kernel;
  const seen: string[] = [];
  const { error } = await run(machine, host => reload(host, target(text('10.9.2.1/24', '10.6.0.0/16'))), {
    fails: name => {
      seen.push(name);
      if (name === 'RTM_DELADDR') world.addresses.splice(0, world.addresses.length);
      if (name === 'RTM_DELROUTE') world.routes.splice(0, world.routes.length);
      return undefined;
    },
  });
  expect(error).toBeUndefined();
  expect(seen).toEqual(expect.arrayContaining(['RTM_DELADDR', 'RTM_DELROUTE']));
});

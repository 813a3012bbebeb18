/**
 * A reload that moves a default route never lets a packet bypass the tunnel, whatever fails on the
 * way.
 */
import { describe, expect, test } from 'vitest';
import { formatPrefix } from '../../src/base/prefix.ts';
import { TABLE } from '../../src/netlink/route.ts';
import { down, reload, up } from '../../src/quick/quick.ts';
import { linkNamed } from '../support/fake-kernel/world.ts';
import { FakeMachine, Killed, target } from './fake-machine.ts';

const text = (settings: string, allowed: string) => `[Interface]
Address = 10.9.0.2/24
PrivateKey = oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=
${settings}
[Peer]
PublicKey = GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=
AllowedIPs = ${allowed}
Endpoint = 198.51.100.1:51820
`;

/** Returns whether unmarked packets without a more specific route go to wg0. */
function isCovered({ kernel: { world } }: FakeMachine): boolean {
  const link = linkNamed(world, 'wg0')?.index;
  const has = (prefix: string, table: number) =>
    world.routes.some(
      route => route.link === link && route.table === table && formatPrefix(route.destination) === prefix,
    );
  const byRule = world.rules.some(({ family, invert, table = 0 }) => family === 4 && invert && has('0.0.0.0/0', table));
  return byRule || (has('0.0.0.0/1', TABLE.main) && has('128.0.0.0/1', TABLE.main));
}

describe.each<[string, string, string]>([
  ['changing the mark', text('FwMark = 0x77', '0.0.0.0/0'), text('FwMark = 0x78\nDNS = 10.9.0.1', '0.0.0.0/0')],
  [
    'replacing the default route by two halves',
    text('', '0.0.0.0/0'),
    text('DNS = 10.9.0.1', '0.0.0.0/1, 128.0.0.0/1'),
  ],
  [
    'changing the address',
    text('', '0.0.0.0/0').replace('2/24', '2/32'),
    text('DNS = 10.9.0.1', '0.0.0.0/0').replace('2/24', '3/32'),
  ],
  [
    'replacing two halves by the default route',
    text('', '0.0.0.0/1, 128.0.0.0/1'),
    text('DNS = 10.9.0.1', '0.0.0.0/0'),
  ],
])('%s', (_, before, after) => {
  const started = async () => {
    const machine = await FakeMachine.start();
    const empty = machine.picture();
    const first = machine.process();
    await up(first.host, target(before));
    first.close();
    return { machine, empty };
  };

  test('never leaves the tunnel uncovered', async () => {
    const { machine } = await started();
    const open: string[] = [];
    const second = machine.process({
      fails: name => {
        if (!isCovered(machine)) open.push(name);
        return undefined;
      },
    });
    await reload(second.host, target(after));
    second.close();
    expect([open, isCovered(machine)]).toEqual([[], true]);
  });

  test.each(['failAt', 'killAt'] as const)(
    '%s at any step: stays covered, and the next reload and `down` clean up',
    async how => {
      const other = await FakeMachine.start();
      const fresh = other.process();
      await up(fresh.host, target(after));
      fresh.close();
      const { routes, devices, dns } = other.picture();
      let steps = 1;
      for (let at = 0; at < steps; at++) {
        const { machine, empty } = await started();
        const second = machine.process({ [how]: at });
        const error = await reload(second.host, target(after)).catch((problem: Error) => problem);
        second.close();
        steps = Math.max(steps, at + 1 + Number(error !== undefined));
        expect(isCovered(machine), `${how} ${at}: ${error?.message}`).toBe(true);
        const third = machine.process();
        const phase = third.host.readState('wg0')?.phase;
        if (at % 2 === 0) {
          await (phase === 'starting' ? up(third.host, target(after)) : reload(third.host, target(after)));
          expect(machine.picture(), `${how} ${at}`).toMatchObject({ routes, devices, dns });
          const { rules } = JSON.parse(machine.states.get('wg0')!).policy ?? { rules: [] };
          expect(machine.kernel.world.rules.length - rules.length).toBe(5);
        }
        await down(third.host, target(after));
        third.close();
        expect(machine.picture(), `${how} ${at}`).toEqual(empty);
        if (error) expect(how === 'failAt' || error instanceof Killed).toBe(true);
      }
    },
  );
});

test('an interrupted reload reports that completed steps stay, and the next reload completes it', async () => {
  const machine = await FakeMachine.start();
  const first = machine.process();
  await up(first.host, target(text('', '10.0.0.0/8')));
  first.close();
  const wanted = target(text('', '10.0.0.0/8, 192.168.0.0/16, 172.16.0.0/12'));
  let asked = 0;
  const second = machine.process();
  await expect(reload(second.host, { ...wanted, interrupted: () => ++asked > 2 })).rejects.toThrow(
    'interrupted: the completed steps stay, and the next reload does the rest',
  );
  await reload(second.host, wanted);
  second.close();
  const goals = machine.kernel.world.routes.map(({ destination }) => formatPrefix(destination));
  expect(goals).toEqual(expect.arrayContaining(['10.0.0.0/8', '192.168.0.0/16', '172.16.0.0/12']));
});

/**
 * `up` and `down`, killed before each of their steps: the next run reaches the wanted state and
 * leaves nothing else.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import type { NetlinkMessage } from '../../src/netlink/message.ts';
import { setU32 } from '../../src/netlink/native-order.ts';
import { down, reload, up } from '../../src/quick/quick.ts';
import { removeLink } from '../support/fake-kernel/links.ts';
import { linkNamed } from '../support/fake-kernel/world.ts';
import { FakeMachine, Killed, type ProcessOptions, target } from './fake-machine.ts';

const KEY = 'oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=';
const PEER = 'GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=';
const FILES = {
  'a full tunnel with every key': `[Interface]
Address = 10.9.0.2/24, fd00:9::2/64
DNS = 10.9.0.1, example.org
PrivateKey = ${KEY}
PreUp = one %i
PostUp = two %i
PostUp = three
PreDown = four
PostDown = five
[Peer]
PublicKey = ${PEER}
AllowedIPs = 0.0.0.0/0, ::/0, 10.0.0.0/8
Endpoint = 198.51.100.1:51820
`,
  'a split tunnel': `[Interface]
Address = 10.9.0.2/24
PrivateKey = ${KEY}
[Peer]
PublicKey = ${PEER}
AllowedIPs = 10.7.0.0/16, 10.8.0.0/16
`,
  'a table of its own': `[Interface]
Address = 10.9.0.2/24
Table = 1234
FwMark = 0x77
MTU = 1400
PrivateKey = ${KEY}
[Peer]
PublicKey = ${PEER}
AllowedIPs = 10.7.0.0/16, 0.0.0.0/0
`,
} as const;
/**
 * Has an endpoint: a reload does not remove an existing endpoint from a peer, because the peer may
 * have roamed there.
 */
const CHANGED = target(
  `${FILES['a split tunnel'].replace('10.9.0.2/24', '10.9.0.3/24').replace('10.8.', '10.6.')}Endpoint = 198.51.100.9:9\n`,
);

test('a healing up keeps what a hook added', async () => {
  const wanted = target(FILES['a full tunnel with every key']);
  const destination = { address: Uint8Array.of(203, 0, 113, 0), length: 24 };
  const start = async (): Promise<FakeMachine> => {
    const machine = await FakeMachine.start();
    machine.onHook = async (command, network) => {
      const link = await network.links.find('wg0');
      if (command === 'two wg0') await network.routes.replace({ destination, link: link!.index });
    };
    return machine;
  };
  const undisturbed = await start();
  const process = undisturbed.process();
  await up(process.host, wanted);
  process.close();
  const whole = undisturbed.picture();
  expect(whole['routes']).toContain('203.0.113.0/24 wg0 254');
  for (let killAt = 0; killAt < process.steps.length; killAt++) {
    const machine = await start();
    const killed = machine.process({ killAt });
    await expect(up(killed.host, wanted)).rejects.toThrow(Killed);
    killed.close();
    const next = machine.process();
    await up(next.host, wanted);
    next.close();
    expect(machine.picture(), `killed at ${killAt}`).toEqual(whole);
  }
});

test('reload applies the differences without running hooks, and a killed reload can be continued', async () => {
  const wanted = target(FILES['a full tunnel with every key']);
  const other = await FakeMachine.start();
  const changed = other.process();
  await up(changed.host, CHANGED);
  changed.close();
  const goal = { ...other.picture(), hooks: undefined };
  for (let killAt = 1, ended = false; !ended; killAt++) {
    const machine = await FakeMachine.start();
    const first = machine.process();
    await up(first.host, wanted);
    first.close();
    const hooks = machine.hooks.length;
    const second = machine.process({ killAt });
    ended = await reload(second.host, CHANGED).then(
      () => true,
      error => {
        expect(error).toBeInstanceOf(Killed);
        return false;
      },
    );
    second.close();
    expect(second.said.join()).not.toContain('link wg0:');
    if (!ended) {
      const third = machine.process();
      const interrupted = third.host.readState('wg0')?.phase === 'starting';
      await (interrupted ? up(third.host, CHANGED) : reload(third.host, CHANGED));
      third.close();
    }
    expect(machine.hooks).toHaveLength(hooks);
    expect({ ...machine.picture(), hooks: undefined }, `killed at ${killAt}`).toEqual(goal);
  }
});

describe.each(Object.entries(FILES))('%s', (_, text) => {
  const wanted = target(text);
  let empty: unknown;
  let whole: unknown;
  let [ups, downs] = [0, 0];

  beforeAll(async () => {
    const machine = await FakeMachine.start();
    empty = machine.picture();
    ups = await runUp(machine);
    whole = machine.picture();
    downs = await runDown(machine);
    expect(machine.picture()).toEqual(empty);
  });

  test('up, killed at any step, then up again', async () => {
    for (let killAt = 0; killAt < ups; killAt++) {
      const machine = await FakeMachine.start();
      await expect(runUp(machine, { killAt })).rejects.toThrow(Killed);
      await runUp(machine);
      expect(machine.picture(), `killed at ${killAt}`).toEqual(whole);
      for (const event of ['PreUp', 'PostUp'] as const)
        for (const command of wanted.file.hooks[event]) {
          const times = machine.hooks.filter(hook => hook === command.replace('%i', 'wg0')).length;
          // Whether a hook ran before the kill is not always recorded.
          expect([1, 2], `${command}, killed at ${killAt}`).toContain(times);
        }
    }
  });

  test('up, killed twice, then up again', async () => {
    for (let first = 1; first < ups; first += 3)
      for (let second = 1; second < ups; second += 4) {
        const machine = await FakeMachine.start();
        await expect(runUp(machine, { killAt: first })).rejects.toThrow(Killed);
        await runUp(machine, { killAt: second }).catch(() => {});
        await runUp(machine).catch(error => expect(error.code).toBe('EEXIST'));
        expect(machine.picture(), `killed at ${first}, then ${second}`).toEqual(whole);
      }
  });

  test('up, killed at any step, then down', async () => {
    for (let killAt = 0; killAt < ups; killAt++) {
      const machine = await FakeMachine.start();
      await expect(runUp(machine, { killAt })).rejects.toThrow(Killed);
      await runDown(machine).catch(error => expect(error.code).toBe('ENODEV'));
      expect(machine.picture(), `killed at ${killAt}`).toEqual(empty);
    }
  });

  test('up, killed at any step, then up with another file', async () => {
    const other = await FakeMachine.start();
    await runUp(other, {}, CHANGED);
    const changed = other.picture();
    for (let killAt = 0; killAt < ups; killAt++) {
      const machine = await FakeMachine.start();
      await expect(runUp(machine, { killAt })).rejects.toThrow(Killed);
      await runUp(machine, {}, CHANGED);
      expect(machine.picture(), `killed at ${killAt}`).toEqual(changed);
    }
  });

  test('down, killed at any step, then down or up again', async () => {
    for (let killAt = 0; killAt < downs; killAt++) {
      const machine = await FakeMachine.start();
      await runUp(machine);
      await expect(runDown(machine, { killAt })).rejects.toThrow(Killed);
      await runDown(machine);
      expect(machine.picture(), `killed at ${killAt}`).toEqual(empty);
      await runUp(machine);
      if (killAt > downs / 2) continue;
      await expect(runDown(machine, { killAt })).rejects.toThrow(Killed);
      await runUp(machine).catch(error => expect(error.code).toBe('EEXIST'));
      expect(machine.picture(), `killed at ${killAt}, then up`).toEqual(whole);
    }
  });

  test('down leaves nothing when the interface disappears at any of its steps', async () => {
    for (let at = 0, gone = true; gone; at++) {
      const machine = await FakeMachine.start();
      await runUp(machine);
      const process = machine.process();
      const { before } = machine.kernel;
      let count = 0;
      gone = false;
      machine.kernel.before = name => {
        before?.(name);
        const link = linkNamed(machine.kernel.world, 'wg0');
        if (count++ !== at || !link) return;
        gone = true;
        const body = new Uint8Array(16);
        setU32(body, 4, link.index);
        removeLink(machine.kernel.world, { type: 17, flags: 0, sequence: 0, body } as NetlinkMessage);
      };
      await down(process.host, wanted);
      process.close();
      expect({ ...machine.picture(), hooks: undefined }, `gone at ${at}`).toEqual({
        ...(empty as object),
        hooks: undefined,
      });
    }
  });

  test('up that fails at any step rolls back', async () => {
    for (let failAt = 0; failAt < ups; failAt++) {
      const machine = await FakeMachine.start();
      await expect(runUp(machine, { failAt }), `failed at ${failAt}`).rejects.toThrow(/failed/);
      expect(machine.picture(), `failed at ${failAt}`).toEqual(empty);
    }
  });

  test('after its process died, up restores the interface and down removes the rest', async () => {
    for (const next of ['up', 'down'] as const) {
      const machine = await FakeMachine.start();
      await runUp(machine);
      const dying = machine.process();
      await dying.host.network.links.remove((await dying.host.network.links.find('wg0'))!);
      dying.close();
      await (next === 'up' ? runUp(machine) : runDown(machine));
      expect(machine.picture(), next).toEqual(next === 'up' ? whole : empty);
    }
  });

  test('down leaves another link alone that took the name', async () => {
    for (let killAt = 1; killAt < ups; killAt += 5) {
      const machine = await FakeMachine.start();
      await expect(runUp(machine, { killAt })).rejects.toThrow(Killed);
      const { host, close } = machine.process();
      const old = await host.network.links.find('wg0');
      if (old) await host.network.links.remove(old);
      await host.network.links.create({ name: 'wg0', kind: 'dummy' });
      close();
      await expect(runUp(machine)).rejects.toMatchObject({ code: 'EEXIST' });
      await runDown(machine).catch(error => expect(error.code).toBe('ENODEV'));
      const links = machine.picture()['links'] as string[];
      expect(links.filter(line => line.startsWith('wg0 dummy'))).toHaveLength(1);
      expect(machine.states.size).toBe(0);
      expect(machine.kernel.world.rules).toHaveLength(5);
    }
  });

  async function runUp(machine: FakeMachine, options: ProcessOptions = {}, what = wanted): Promise<number> {
    const process = machine.process(options);
    try {
      await up(process.host, what);
    } finally {
      process.close();
    }
    return process.steps.length;
  }

  async function runDown(machine: FakeMachine, options: ProcessOptions = {}): Promise<number> {
    const process = machine.process(options);
    try {
      await down(process.host, wanted);
    } finally {
      process.close();
    }
    return process.steps.length;
  }
});

/**
 * `down` while one of its steps fails, two of them, or one permanently. It completes all other
 * steps, reports each failure as a warning and removes the interface. A second `down` has nothing
 * left to do.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { down, downWithoutFile, up } from '../../src/quick/quick.ts';
import { downAgain, FAILURES, hasLink, KEY, run, WANTED } from './failures.ts';
import { FakeMachine, type Process, target } from './fake-machine.ts';

const READS = /^(RTM_GET|WG_CMD_GET|CTRL_)/;

let empty: Record<string, unknown>;
let downs: readonly string[];
beforeAll(async () => {
  const machine = await FakeMachine.start();
  empty = machine.picture();
  await run(machine, host => up(host, WANTED));
  downs = (await run(machine, host => down(host, WANTED))).steps;
  expect(machine.picture()).toEqual(empty);
});

const started = async (): Promise<FakeMachine> => {
  const machine = await FakeMachine.start();
  expect((await run(machine, host => up(host, WANTED))).error).toBeUndefined();
  machine.hooks.length = 0;
  return machine;
};

describe('down', () => {
  test.each(Object.entries(FAILURES))('completes when one step fails once with %s', async (what, failure) => {
    for (const [failAt, name] of downs.entries()) {
      if (name === 'hook pre-down') continue;
      const machine = await started();
      const fails = (step: string, at: number) => (at === failAt ? failure(step) : undefined);
      const first = await run(machine, host => down(host, WANTED), { fails });
      const where = `${name} failed, number ${failAt}`;
      expect(first.warned, where).not.toEqual([]);
      expect(first.error?.message, where).toBe(
        name.startsWith('hook post-down') ? `wg0 is down, but ${failure(name).message}` : undefined,
      );
      expect(hasLink(machine), where).toBe(false);
      expect(
        machine.hooks.filter(hook => hook.startsWith('post-down')),
        where,
      ).toHaveLength(name.startsWith('hook post-down') ? 1 : 2);
      const second = await downAgain(machine);
      if (name !== 'forget') expect(second.error?.code, where).toBe('ENODEV');
      const left = { dns: name === 'unset DNS', firewall: name === 'remove firewall' };
      const picture = machine.picture();
      expect(Object.keys(picture['dns'] as object).length > 0, where).toBe(left.dns);
      expect(Object.keys(picture['firewall'] as object).length > 0, where).toBe(left.firewall);
      // Without permission to set it, `down` does not try again.
      const given = name === 'mark valid' && /EPERM|EROFS/.test(what) ? { markValid: '0' } : {};
      expect({ ...picture, dns: {}, firewall: {}, ...given }, where).toEqual(empty);
    }
  });

  test('completes when two steps fail', async () => {
    for (let a = 0; a < downs.length; a++)
      for (let b = a + 1; b < downs.length; b++) {
        const machine = await started();
        const failed: string[] = [];
        const fails = (what: string, at: number) => {
          if (at !== a && at !== b) return undefined;
          failed.push(what);
          return FAILURES['EBUSY']!(what);
        };
        const first = await run(machine, host => down(host, WANTED), { fails });
        const where = `${downs[a]} and ${downs[b]} failed, ${a} and ${b}`;
        expect(first.warned.length + (first.error ? 1 : 0), where).toBeGreaterThan(0);
        await downAgain(machine);
        // A step that failed twice remains undone: a rule that looks up an empty table, or a sysctl
        // that had another value.
        const left: Readonly<Record<string, object>> = {
          'RTM_DELRULE,RTM_DELRULE': { rules: empty['rules'] },
          'mark valid,mark valid': { markValid: '0' },
        };
        const given = { dns: {}, firewall: {}, ...left[failed.join()] };
        expect({ ...machine.picture(), ...given }, where).toEqual(empty);
        await expect(
          run(machine, host => up(host, WANTED)),
          where,
        ).resolves.not.toHaveProperty('error');
      }
  });

  test.each(['unset DNS', 'remove firewall', 'mark valid', 'RTM_DELRULE', 'remember stopping', 'forget'])(
    'removes everything else when "%s" always fails',
    async always => {
      const machine = await started();
      const fails = (name: string) => (name === always ? FAILURES['EPERM']!(name) : undefined);
      const first = await run(machine, host => down(host, WANTED), { fails });
      expect(first.error).toBeUndefined();
      expect(first.warned.join('\n')).toContain(always);
      expect(hasLink(machine)).toBe(false);
      expect(machine.hooks).toEqual(['pre-down', 'post-down 1', 'post-down 2']);
      const { dns, firewall, markValid, rules, state, ...rest } = machine.picture();
      expect(rest).toMatchObject({ links: empty['links'], routes: empty['routes'], addresses: empty['addresses'] });
      if (always !== 'unset DNS') expect(dns).toEqual({});
      if (always !== 'remove firewall') expect(firewall).toEqual({});
      if (always !== 'mark valid' && always !== 'RTM_DELRULE') expect(markValid).toBe('0');
      if (always !== 'RTM_DELRULE') expect(rules).toEqual(empty['rules']);
      if (always !== 'forget') expect(state).toEqual({});
      const second = await run(machine, host => down(host, WANTED), { fails });
      if (always !== 'forget') expect(second.error?.code).toBe('ENODEV');
      else expect(second.error).toBeUndefined();
      expect(machine.hooks).toHaveLength(3);
      // A later `up` works as usual.
      expect((await run(machine, host => up(host, WANTED))).error).toBeUndefined();
    },
  );

  test('fails on an interface that cannot be removed, undoes the rest, and a later down continues', async () => {
    const machine = await started();
    const fails = (name: string) => (name === 'RTM_DELLINK' ? FAILURES['EPERM']!(name) : undefined);
    const first = await run(machine, host => down(host, WANTED), { fails });
    expect(first.error).toMatchObject({ code: 'EPERM' });
    expect(machine.hooks).toEqual(['pre-down']);
    const { dns, firewall, rules } = machine.picture();
    expect({ dns, firewall, rules }).toEqual({ dns: {}, firewall: {}, rules: empty['rules'] });
    expect((await run(machine, host => down(host, WANTED))).error).toBeUndefined();
    expect(machine.hooks).toEqual(['pre-down', 'post-down 1', 'post-down 2']);
    expect(machine.picture()).toEqual(empty);
  });

  test('undoes what it can when the kernel cannot be read', async () => {
    const machine = await started();
    let reading = 0;
    // The first read, before any change, still works.
    const fails = (name: string) => {
      if (name === 'hook pre-down') reading++;
      return reading && READS.test(name) ? FAILURES['EBUSY']!(name) : undefined;
    };
    const first = await run(machine, host => down(host, WANTED), { fails });
    expect(first.error).toMatchObject({ code: 'EBUSY' });
    expect(machine.picture()).toMatchObject({ dns: {}, firewall: {} });
    await run(machine, host => down(host, WANTED));
    expect(machine.picture()).toEqual(empty);
  });

  test('warns about failing steps when the interface or its file is gone', async () => {
    const fails = (name: string) =>
      /^(unset DNS|remove firewall|hook)/.test(name) ? FAILURES['EPERM']!(name) : undefined;
    for (const action of [
      (host: Process['host']) => down(host, WANTED),
      (host: Process['host']) => downWithoutFile(host, host.readState('wg0')!),
    ]) {
      const machine = await started();
      const dying = machine.process();
      await dying.host.network.links.remove((await dying.host.network.links.find('wg0'))!);
      dying.close();
      const first = await run(machine, action, { fails });
      expect(first.error).toBeUndefined();
      expect(first.warned.length).toBeGreaterThan(1);
      expect({ ...machine.picture(), dns: {}, firewall: {} }).toEqual(empty);
    }
  });

  test('a failing PreDown changes nothing, unless this down is the last chance', async () => {
    const fails = (name: string) => (name === 'hook pre-down' ? FAILURES['EPERM']!(name) : undefined);
    const machine = await started();
    const whole = machine.picture();
    expect((await run(machine, host => down(host, WANTED), { fails })).error).toMatchObject({ code: 'EPERM' });
    expect(machine.picture()).toEqual(whole);
    const last = await run(machine, host => down(host, WANTED, { isFinal: true }), { fails });
    expect(last.error?.message).toMatch(/^wg0 is down, but hook pre-down: /);
    expect(machine.hooks).toEqual(['post-down 1', 'post-down 2']);
    expect(machine.picture()).toEqual(empty);
  });

  test('keeps a configuration that cannot be saved elsewhere, and removes the interface', async () => {
    const saving = target(`[Interface]\nAddress = 10.9.0.2/24\nSaveConfig = true\nPrivateKey = ${KEY}\n`);
    const machine = await FakeMachine.start();
    await run(machine, host => up(host, saving));
    const fails = (name: string) => (name === 'save' ? FAILURES['EROFS']!(name) : undefined);
    const first = await run(machine, host => down(host, saving), { fails });
    expect(first.error).toBeUndefined();
    expect(first.warned).toEqual([
      'SaveConfig: EROFS: read-only file system, save; the configuration of wg0 is kept in /run/wg0.conf',
    ]);
    expect(machine.files.get('/run/wg0.conf')).toMatch(/^PrivateKey = \S+$/m);
    expect(machine.picture()).toEqual(empty);
    // Where that fails too, the interface stays until a user has looked at it.
    await run(machine, host => up(host, saving));
    const none = (name: string) => (/save|rescue/.test(name) ? FAILURES['EROFS']!(name) : undefined);
    expect((await run(machine, host => down(host, saving), { fails: none })).error).toMatchObject({ code: 'EROFS' });
    expect(hasLink(machine)).toBe(true);
    expect((await run(machine, host => down(host, saving, { isFinal: true }), { fails: none })).error).toBeUndefined();
    expect(machine.picture()).toEqual(empty);
  });
});

test('a rule that another program removed is not a failure', async () => {
  const machine = await started();
  const first = await run(machine, host => down(host, WANTED), {
    fails: name => {
      if (name === 'RTM_DELRULE') machine.kernel.world.rules.splice(0, machine.kernel.world.rules.length);
      return undefined;
    },
  });
  expect(first.error).toBeUndefined();
  expect(first.warned).toEqual([]);
  expect(hasLink(machine)).toBe(false);
});

test('passes each hook the file that it comes from', async () => {
  const machine = await FakeMachine.start();
  await run(machine, host => up(host, WANTED));
  await run(machine, host => down(host, { ...WANTED, path: '/elsewhere/wg0.conf' }));
  expect(machine.hookFiles).toEqual([
    ...Array(2).fill('/etc/wireguard/wg0.conf'),
    ...Array(3).fill('/elsewhere/wg0.conf'),
  ]);
});

/**
 * Signals that would end a Node program, or open its debugger on 127.0.0.1:9229 to every local user
 * (SIGUSR1): as in wireguard-go, SIGUSR1 and SIGUSR2 have no effect.
 *
 * @module-tag slow
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { printed, sleep, start, until } from './command.ts';
import { commandOf, ROOT, SOCKET_DIRECTORY, startDevice } from './device.ts';
import { keyPair } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost } from './quick-host.ts';

const OPENED = /Debugger listening|Starting inspector/;

describeWith([...NETWORK, 'ss'], 'signals', () => {
  let lab: Lab;
  let host: Namespace;
  beforeEach(async () => {
    lab = new Lab();
    host = await lab.namespace('sig');
  });
  afterEach(() => lab?.close());

  const listening = async (where: Namespace) => (await where.run(['ss', '-Hltn'])).stdout;
  /** Sends both signals often, alone and in bursts. */
  const sendSignals = async (pid: number) => {
    for (let i = 0; i < 20; i++) {
      for (let k = 0; k < 10; k++) process.kill(pid, i % 2 === 0 ? 'SIGUSR1' : 'SIGUSR2');
      await sleep(20);
    }
  };

  it.each([[[]], [['--backend=pure']]])(
    'a daemon in the foreground, %j, opens no debugger and lives on',
    async args => {
      const device = await startDevice(lab, host, 'ours', { args });
      await sendSignals(device.process!.pid);
      expect(await listening(host)).toBe('');
      expect(await device.show('listen-port')).toBe('0');
      expect(device.process!.output()).not.toMatch(OPENED);
      expect((await device.process!.stop()).code).toBe(0);
    },
  );

  it('a daemon in the background ignores them from its first moment', async () => {
    const name = lab.interfaceName();
    lab.owns(join(SOCKET_DIRECTORY, `${name}.sock`));
    await host.run([...commandOf('ours'), name]);
    const pid = Number((await host.run(['ip', 'netns', 'pids', host.name])).stdout.trim().split('\n')[0]);
    // This option covers the time before the program itself can.
    expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')[1]).toMatch(/^--inspect-port=\[fe80::1\]/);
    await sendSignals(pid);
    expect(await listening(host)).toBe('');
    expect((await host.run(['wg', 'show', name])).stdout).toContain(name);
    process.kill(pid, 'SIGTERM');
    await until('its end', () => !existsSync(join(SOCKET_DIRECTORY, `${name}.sock`)));
  });

  it('wgts up --watch ignores them', async () => {
    const quick = await QuickHost.start(lab, 'watch');
    quick.write(`[Interface]\nAddress = 10.9.0.2/24\nPrivateKey = ${keyPair().privateKey}\n`);
    const watching = quick.startWgts(['up', '--watch'], {});
    const isUp = async () =>
      (await quick.namespace.run(['wg', 'show', quick.name, 'private-key'], { mayFail: true })).code === 0;
    await until('the tunnel', isUp);
    await sendSignals(watching.pid);
    expect(await listening(quick.namespace)).toBe('');
    expect(watching.output()).not.toMatch(OPENED);
    expect((await watching.stop()).code).toBe(0);
  });

  it('SIGHUP ends a daemon like SIGTERM, and it removes its socket', async () => {
    const device = await startDevice(lab, host);
    expect(await device.process!.stop('SIGHUP')).toMatchObject({ code: 0, signal: null });
    expect(existsSync(device.socket)).toBe(false);
  });

  it('SIGUSR1 at any instant of a start opens nothing', async () => {
    for (let delay = 0; delay < 80; delay += 4) {
      // During exit Node's defaults apply again: `verify` without a cluster prints an error and
      // exits.
      const child = start([join(ROOT, 'bin/wgts'), 'verify', '--datastore', 'file:/nonexistent']);
      await sleep(delay);
      if (child.result() === undefined) process.kill(child.pid, 'SIGUSR1');
      await child.exited;
      expect(child.output(), `after ${delay} ms`).not.toMatch(/Debugger listening/);
    }
  });

  it('a debugger that the environment requests is closed before anything else', async () => {
    const device = await startDevice(lab, host, 'ours', { env: { NODE_OPTIONS: '--inspect=127.0.0.1:9230' } });
    await printed(device.process!, /the debugger was closed/);
    expect(await listening(host)).toBe('');
  });
});

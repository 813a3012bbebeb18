/**
 * SIGKILL during a real `wgts up` and `wgts down`, and of the interface's own process: the next run
 * converges.
 *
 * @module-tag slow
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HANG_MS } from '../support/patience.ts';
import { sleep, until } from './command.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost } from './quick-host.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab?.close());

const FILE = `[Interface]
Address = 10.9.0.2/24, fd00:9::2/64
PrivateKey = ${keyPair().privateKey}
ListenPort = 41820
PreUp = wg set %i peer ${keyPair().publicKey} allowed-ips 10.99.0.0/16
PostUp = true

[Peer]
PublicKey = ${keyPair().publicKey}
AllowedIPs = 0.0.0.0/0, ::/0, 10.7.0.0/16
Endpoint = 192.0.2.1:51820
`;
describeWith([...NETWORK, 'nft'], 'SIGKILL', () => {
  it('at any step of up, then up: the same result as without it', async () => {
    const host = await QuickHost.start(lab, 'host');
    host.write(FILE);
    const empty = await host.picture();
    expect((await host.wgts('up')).code).toBe(0);
    const whole = await host.picture();
    await host.wgts('down');
    let line = 1;
    for (; await killAt(host, 'up', line); line++) {
      const again = await host.wgts('up');
      expect(again.code, `killed at line ${line}: ${again.stderr}`).toBe(0);
      expect(await host.picture(), `killed at line ${line}`).toEqual(whole);
      expect((await host.wgts('down')).code).toBe(0);
      expect(await host.picture(), `killed at line ${line}, down`).toEqual(empty);
    }
    expect(line).toBeGreaterThan(10);
  });

  it('at any step of up, then down: leaves nothing', async () => {
    const host = await QuickHost.start(lab, 'host');
    host.write(FILE);
    const empty = await host.picture();
    for (let line = 1; await killAt(host, 'up', line); line++) {
      const downed = await host.wgts('down');
      expect(downed.code, `killed at line ${line}: ${downed.stderr}`).toBe(0);
      // The process of an interface that was just being created ends by itself.
      await until('the interface to be gone', () => !existsSync(`/var/run/wireguard/${host.name}.sock`));
      expect(await host.picture(), `killed at line ${line}`).toEqual(empty);
      expect(existsSync(host.state)).toBe(false);
    }
  });

  it("while the interface's process starts, then down: the process ends by itself", async () => {
    const host = await QuickHost.start(lab, 'host');
    host.write(FILE);
    const empty = await host.picture();
    for (const delay of [0, 30, 60, 80, 100, 120, 150]) {
      const running = host.startWgts(['up']);
      await until('the link to be made', () => running.output().includes('link '), HANG_MS, 1);
      await sleep(delay);
      await running.stop('SIGKILL');
      const downed = await host.wgts('down');
      expect(downed.code, `killed after ${delay} ms: ${downed.stderr}`).toBe(0);
      const gone = async () => JSON.stringify(await host.picture()) === JSON.stringify(empty);
      await until(`nothing to be left, killed after ${delay} ms`, gone);
      expect(existsSync(host.state), `killed after ${delay} ms: ${downed.stderr}`).toBe(false);
    }
  });

  it('at any step of down, then down: leaves nothing', async () => {
    const host = await QuickHost.start(lab, 'host');
    host.write(FILE);
    const empty = await host.picture();
    expect((await host.wgts('up')).code).toBe(0);
    let line = 1;
    for (; await killAt(host, 'down', line); line++) {
      const downed = await host.wgts('down');
      expect(downed.code, `killed at line ${line}: ${downed.stderr}`).toBe(0);
      expect(await host.picture(), `killed at line ${line}`).toEqual(empty);
      expect((await host.wgts('up')).code).toBe(0);
    }
    expect(line).toBeGreaterThan(6);
    expect(await host.picture()).toEqual(empty);
    expect(existsSync(host.state)).toBe(false);
  });

  it("of the interface's process: down removes the rest, and up restores the interface", async () => {
    const host = await QuickHost.start(lab, 'host');
    host.write(FILE);
    const empty = await host.picture();
    await host.wgts('up');
    const whole = await host.picture();
    await killDevice(host);
    expect((await host.wgts('up')).code).toBe(0);
    expect(await host.picture()).toEqual(whole);
    await killDevice(host);
    expect((await host.picture())['rules']).toContain('51820');
    const downed = await host.wgts('down');
    expect(downed.code, downed.stderr).toBe(0);
    expect(await host.picture()).toEqual(empty);
  });

  it('at any step of adopting a dead interface, then up or down: the same result as without it', async () => {
    const host = await QuickHost.start(lab, 'host');
    host.write(FILE);
    const empty = await host.picture();
    await host.wgts('up');
    const whole = await host.picture();
    let line = 1;
    for (let killed = true; killed; line++) {
      await killDevice(host);
      killed = await killAt(host, 'up', line);
      if (killed) {
        const again = await host.wgts('up');
        expect(again.code, `killed at line ${line}: ${again.stderr}`).toBe(0);
      }
      expect(await host.picture(), `killed at line ${line}`).toEqual(whole);
      await killDevice(host);
      await killAt(host, 'up', line);
      const downed = await host.wgts('down');
      expect(downed.code, `killed at line ${line}: ${downed.stderr}`).toBe(0);
      expect(await host.picture(), `killed at line ${line}, down`).toEqual(empty);
      expect((await host.wgts('up')).code).toBe(0);
    }
    expect(line).toBeGreaterThan(3);
    await host.wgts('down');
  });

  it('a failed up rolls back, and a second wgts at the same time is refused', async () => {
    const host = await QuickHost.start(lab, 'host');
    host.write(FILE.replace('PostUp = true', 'PostUp = exit 3'));
    const empty = await host.picture();
    const failed = await host.wgts('up');
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/^wgts: the hook `exit 3' ended with status 3$/m);
    expect(await host.picture()).toEqual(empty);
    expect(existsSync(host.state)).toBe(false);
    host.write(FILE.replace('PostUp = true', 'PostUp = sleep 1\nPostUp = touch never'));
    const interrupted = host.startWgts(['up']);
    await until('the hook to run', () => interrupted.output().includes('PostUp'));
    const ended = await interrupted.stop('SIGINT');
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('wgts: interrupted: the completed steps are rolled back');
    expect(ended.stderr).not.toContain('never');
    expect(await host.picture()).toEqual(empty);
    expect(existsSync(host.state)).toBe(false);
    host.write(FILE.replace('PostUp = true', 'PostUp = sleep 2'));
    const first = host.startWgts(['up']);
    await until('the hook to run', () => first.output().includes('PostUp'));
    expect((await host.wgts('up')).stderr).toContain(`another wgts is at work on ${host.name}`);
    expect((await first.exited).code).toBe(0);
    expect(readFileSync(host.state, 'utf8')).not.toContain('PrivateKey');
    await host.wgts('down');
  });
});

/** Runs wgts and kills it at this line. @returns false if it had fewer lines and completed */
async function killAt(host: QuickHost, verb: string, line: number): Promise<boolean> {
  const { signal, code, stderr } = await host.namespace.run(
    [process.execPath, fileURLToPath(new URL('quick-killed.mjs', import.meta.url)), verb, String(line), host.file],
    { mayFail: true },
  );
  expect(signal === 'SIGKILL' || code === 0, stderr).toBe(true);
  return signal === 'SIGKILL';
}

async function killDevice(host: QuickHost): Promise<void> {
  process.kill(await host.devicePid(), 'SIGKILL');
  await until('the carrier to be lost', async () => {
    const { stdout } = await host.namespace.run(['ip', 'link', 'show', host.name]);
    return stdout.includes('NO-CARRIER');
  });
}

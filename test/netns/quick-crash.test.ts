/** SIGKILL in the middle of a real `wgts up` and `wgts down`, and of the interface's own process: the next one converges. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
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
PostUp = true

[Peer]
PublicKey = ${keyPair().publicKey}
AllowedIPs = 0.0.0.0/0, ::/0, 10.7.0.0/16
Endpoint = 192.0.2.1:51820
`;
/** Lines that `up` has said by then: each is said before what it is about. */
const LINES = [1, 2, 3, 5, 6, 8, 10, 13, 14];

describeWith([...NETWORK, 'nft'], 'SIGKILL', () => {
  it('at any step of up, then up: as if nothing had been', async () => {
    const host = await QuickHost.start(lab, 'host');
    host.write(FILE);
    const empty = await host.picture();
    expect((await host.wgts('up')).code).toBe(0);
    const whole = await host.picture();
    await host.wgts('down');
    for (const lines of LINES) {
      await killAfter(host, 'up', lines);
      const again = await host.wgts('up');
      expect(again.code, `killed at line ${lines}: ${again.stderr}`).toBe(0);
      expect(await host.picture(), `killed at line ${lines}`).toEqual(whole);
      expect((await host.wgts('down')).code).toBe(0);
      expect(await host.picture(), `killed at line ${lines}, down`).toEqual(empty);
    }
  }, 120_000);

  it('at any step of up, then down, and at any step of down, then down: nothing is left', async () => {
    const host = await QuickHost.start(lab, 'host');
    host.write(FILE);
    const empty = await host.picture();
    for (const lines of LINES) {
      await killAfter(host, 'up', lines);
      const downed = await host.wgts('down');
      expect(downed.code, `killed at line ${lines}: ${downed.stderr}`).toBe(0);
      // the process of an interface that was just being made ends by itself
      await until('the interface to be gone', async () => !existsSync(`/var/run/wireguard/${host.name}.sock`), 5000);
      await sleep(50);
      expect(await host.picture(), `killed at line ${lines}`).toEqual(empty);
    }
    for (const lines of [1, 3, 5, 6, 7]) {
      expect((await host.wgts('up')).code).toBe(0);
      await killAfter(host, 'down', lines);
      const downed = await host.wgts('down');
      expect(downed.code === 0 || /not a WireGuard/.test(downed.stderr), downed.stderr).toBe(true);
      expect(await host.picture(), `down killed at line ${lines}`).toEqual(empty);
    }
    expect(existsSync(host.state)).toBe(false);
  }, 120_000);

  it("of the interface's process: what is left is taken away by down, or brought back by up", async () => {
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

  it('up that fails takes back all that it did, and two at a time are one too many', async () => {
    const host = await QuickHost.start(lab, 'host');
    host.write(FILE.replace('PostUp = true', 'PostUp = exit 3'));
    const empty = await host.picture();
    const failed = await host.wgts('up');
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/^wgts: the hook `exit 3' ended with status 3$/m);
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

async function killAfter(host: QuickHost, verb: string, lines: number): Promise<void> {
  const running = host.startWgts([verb]);
  await until(
    `line ${lines} of ${verb}`,
    () => running.result() !== undefined || running.output().split('\n').length > lines,
    10_000,
    1,
  );
  await running.stop('SIGKILL');
}

/** By its pid, which is found by what it was started with. */
async function killDevice(host: QuickHost): Promise<void> {
  const { stdout } = await host.namespace.run(['ip', 'netns', 'pids', host.namespace.name]);
  const pids = new Set(stdout.split('\n').filter(pid => pid !== ''));
  const pid = readdirSync('/proc').find(
    entry => pids.has(entry) && readFileSync(`/proc/${entry}/cmdline`, 'utf8').endsWith(`\0${host.name}\0`),
  );
  process.kill(Number(pid), 'SIGKILL');
  await until('the interface to be gone', async () => {
    const { code } = await host.namespace.run(['ip', 'link', 'show', host.name], { mayFail: true });
    return code !== 0;
  });
}

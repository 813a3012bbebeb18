/**
 * `wgts down` on a host where resolvconf fails, hangs or is missing, where nothing can be written,
 * and where hooks fail.
 *
 * @module-tag slow
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from './command.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost, WGTS } from './quick-host.ts';

let lab: Lab;
let host: QuickHost;
let bin: string;
let empty: Record<string, string>;
beforeEach(async () => {
  lab = new Lab();
  host = await QuickHost.start(lab, 'host');
  bin = join(lab.directory, 'bin');
  mkdirSync(bin);
  empty = await host.picture();
});
afterEach(() => lab?.close());

const PEER = keyPair().publicKey;
const file = (...lines: readonly string[]) => `[Interface]
Address = 10.9.0.2/24
PrivateKey = ${keyPair().privateKey}
${lines.join('\n')}
[Peer]
PublicKey = ${PEER}
AllowedIPs = 0.0.0.0/0
Endpoint = 192.0.2.1:51820
`;

function program(name: string, script: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

const env = () => ({ PATH: `${bin}:${process.env['PATH']}` });
const wgts = (...args: readonly string[]) =>
  host.namespace.run([...WGTS, ...args, host.file], { mayFail: true, env: env() });

/** Checks that nothing is left and that a second down has nothing to do. */
async function isDown(): Promise<void> {
  expect(await host.picture()).toEqual(empty);
  expect(existsSync(host.state)).toBe(false);
  const second = await wgts('down');
  expect(second.code).toBe(1);
  expect(second.stderr).toBe(`wgts: \`${host.name}' is not a WireGuard interface\n`);
}

describeWith([...NETWORK, 'nft'], 'down', () => {
  it.each(["[ $1 != -d ] || { echo 'resolv.conf: Resource busy' >&2; exit 1; }", '[ $1 != -d ] || kill -9 $$'])(
    'completes when resolvconf runs `%s`',
    async script => {
      const out = join(lab.directory, 'after');
      host.write(file('DNS = 10.9.0.1', `PostDown = echo %i >${out}`));
      program('resolvconf', script);
      expect((await wgts('up')).code).toBe(0);
      const downed = await wgts('down');
      expect(downed.code, downed.stderr).toBe(0);
      expect(downed.stderr).toMatch(
        /^wgts: warning: remove DNS: .*resolvconf -d \S+ -f ended with (status 1|SIGKILL)$/m,
      );
      expect(readFileSync(out, 'utf8')).toBe(`${host.name}\n`);
      await isDown();
    },
  );

  it('completes when resolvconf has been removed', async () => {
    host.write(file('DNS = 10.9.0.1'));
    program('resolvconf', 'true');
    expect((await wgts('up')).code).toBe(0);
    program('resolvconf', '#');
    writeFileSync(join(bin, 'resolvconf'), '#!/no/such/shell\n');
    const downed = await wgts('down');
    expect(downed.code, downed.stderr).toBe(0);
    expect(downed.stderr).toMatch(/^wgts: warning: remove DNS: .*ENOENT/m);
    await isDown();
  });

  it("completes when the interface's process is dead", async () => {
    host.write(file('DNS = 10.9.0.1', 'PreDown = false', 'PostDown = false'));
    program('resolvconf', '[ $1 != -d ]');
    expect((await wgts('up')).code).toBe(0);
    process.kill(await host.devicePid(), 'SIGKILL');
    // the interface stays (--persist), without a process that runs it
    const stopped = async () =>
      (await host.namespace.run(['ip', 'link', 'show', host.name])).stdout.includes('NO-CARRIER');
    await until('the interface to be without a process', stopped);
    const downed = await wgts('down');
    expect(downed.code, downed.stderr).toBe(0);
    expect(downed.stderr.match(/^wgts: warning: .*$/gm)).toHaveLength(3);
    await isDown();
  });

  it('completes in the rollback of a failed up, too', async () => {
    host.write(file('DNS = 10.9.0.1', 'PostUp = false'));
    program('resolvconf', '[ $1 != -d ]');
    const upped = await wgts('up');
    expect(upped.code).toBe(1);
    expect(upped.stderr).toMatch(/^wgts: warning: remove DNS: /m);
    expect(upped.stderr).toMatch(/^wgts: the hook `false' ended with status 1$/m);
    await isDown();
  });

  it("after an up over another interface's route, whose error names the route", async () => {
    host.write(file('Table = main').replace('0.0.0.0/0', '10.5.0.0/16, 192.0.2.0/24'));
    const upped = await wgts('up');
    expect(upped.code).toBe(1);
    expect(upped.stderr).toContain(
      `wgts: route 192.0.2.0/24 already exists, but not through ${host.name} (\`ip route show 192.0.2.0/24' shows it): make`,
    );
    await isDown();
  });

  it('completes when its reader closes after the first line, and so does up', async () => {
    host.write(file());
    const unread = (verb: string) =>
      host.namespace.run(['bash', '-c', '"$@" 2>&1 >/dev/null | head -n 1', 'bash', ...WGTS, verb, host.file]);
    await unread('up');
    expect(readFileSync(host.state, 'utf8')).toContain('"phase": "up"');
    await unread('down');
    await isDown();
  });

  it('completes after SIGTERM to --watch, even if PreDown fails', async () => {
    host.write(file('DNS = 10.9.0.1', 'PreDown = false', 'PostDown = echo was down'));
    program('resolvconf', '[ $1 != -d ]');
    const watching = host.startWgts(['up', '--watch'], env());
    await until('it to be up', () => existsSync(host.state) && readFileSync(host.state, 'utf8').includes('"up"'));
    const ended = await watching.stop('SIGTERM');
    expect(ended.stdout).toContain('was down');
    expect(ended.stderr).toContain("is down, but the hook `false' ended with status 1");
    expect(ended.code).toBe(1);
    await isDown();
  });

  it('runs the other PostDown hooks when one fails, and reports it', async () => {
    host.write(file('PostDown = echo one; false', 'PostDown = echo two'));
    expect((await wgts('up')).code).toBe(0);
    const downed = await wgts('down');
    expect(downed.stdout).toBe('one\ntwo\n');
    expect(downed.code).toBe(1);
    expect(downed.stderr).toMatch(/^wgts: \S+ is down, but the hook `echo one; false' ended with status 1$/m);
    await isDown();
  });

  it('gives up a hanging PostDown, but a hanging PreDown leaves the interface up', async () => {
    const runs = join(lab.directory, 'runs');
    host.write(file(`PostDown = touch ${runs}; sleep 1000`));
    expect((await wgts('up')).code).toBe(0);
    const hanging = host.startWgts(['down']);
    await until('the hook to run', () => existsSync(runs));
    const ended = await hanging.stop('SIGINT');
    expect(ended.stderr).toContain('ended with SIGTERM');
    expect(ended.code).toBe(1);
    await isDown();
    rmSync(runs);
    host.write(file(`PreDown = touch ${runs}; sleep 1000`));
    expect((await wgts('up')).code).toBe(0);
    const whole = await host.picture();
    const waiting = host.startWgts(['down']);
    await until('the hook to run', () => existsSync(runs));
    expect((await waiting.stop('SIGTERM')).code).toBe(1);
    expect(await host.picture()).toEqual(whole);
    host.write(file());
    expect((await wgts('down')).code).toBe(0);
    await isDown();
  });

  it('keeps a configuration elsewhere when it cannot be saved in place', async () => {
    host.write(file('SaveConfig = true'));
    expect((await wgts('up')).code).toBe(0);
    const rescued = host.state.replace(/json$/, 'conf');
    lab.owns(rescued);
    // Blocks the draft that is written first.
    const script = `mkdir ${host.file}.$$.tmp; exec "$@"`;
    const running = host.namespace.start(['sh', '-c', script, 'sh', ...WGTS, 'down', host.file]);
    const downed = await running.exited;
    expect(downed.code, downed.stderr).toBe(0);
    expect(downed.stderr).toContain(`is kept in ${rescued}`);
    expect(readFileSync(rescued, 'utf8')).toContain(`PublicKey = ${PEER}`);
    await isDown();
  });

  it("uses resolvectl directly where resolvconf is systemd's", async () => {
    const log = join(lab.directory, 'log');
    program('resolvectl', `echo "$*" >>${log}`);
    symlinkSync('resolvectl', join(bin, 'resolvconf'));
    host.write(file('DNS = 10.9.0.1, example.org'));
    expect((await wgts('up')).code).toBe(0);
    expect((await wgts('down')).code).toBe(0);
    expect(readFileSync(log, 'utf8').replaceAll(host.name, 'IF').split('\n')).toEqual([
      'dns IF 10.9.0.1',
      'domain IF example.org ~.',
      'default-route IF yes',
      'revert IF',
      '',
    ]);
    await isDown();
  });
});

/**
 * The log of a device in the background: each of its destinations, its content, and that no process
 * waits for it or is kept open by it.
 *
 * @module-tag slow
 */
import { existsSync, lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run, until } from './command.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost, WGTS } from './quick-host.ts';

let lab: Lab;
let host: QuickHost;
let server: Server | undefined;
const { privateKey, publicKey } = keyPair();
beforeEach(async () => {
  lab = new Lab();
  host = await QuickHost.start(lab, 'host');
  host.write(`[Interface]
Address = 10.9.0.2/24
PrivateKey = ${privateKey}
ListenPort = 41821
[Peer]
PublicKey = ${publicKey}
AllowedIPs = 10.7.0.0/16
`);
  for (const name of ['log', 'run', 'dev']) mkdirSync(join(lab.directory, name));
});
afterEach(async () => {
  server?.close();
  server = undefined;
  await lab?.close();
});

/**
 * Runs a shell script with its own /var/log and /run/wireguard-ts, which end with the script but
 * not with a device.
 */
function inOwnFolders(script: string, env: Readonly<Record<string, string>> = {}) {
  const setUp = `mount --bind "$LAB/log" /var/log && mkdir -p /run/wireguard-ts && mount --bind "$LAB/run" /run/wireguard-ts`;
  const argv = ['unshare', '-m', 'sh', '-c', `${setUp} && { ${script}; }`];
  const all = { LAB: lab.directory, WGTS: WGTS.join(' '), FILE: host.file, NAME: host.name, WGTS_LOG: 'auto', ...env };
  return host.namespace.run(argv, { mayFail: true, env: all, timeout: 60_000 });
}

const logFile = () => join(lab.directory, 'log/wireguard-ts', `${host.name}.log`);

describeWith([...NETWORK, 'unshare'], 'the log of a device in the background', () => {
  it('is a root-only file where there is neither a journal nor a system log', async () => {
    const done = await inOwnFolders(
      '$WGTS up "$FILE" && $WGTS logs "$NAME"; $WGTS down "$FILE"; $WGTS logs -n 1 "$NAME"',
    );
    expect(done.code, done.stderr).toBe(0);
    expect(statSync(logFile()).mode & 0o777).toBe(0o600);
    expect(lstatSync(join(logFile(), '..')).mode & 0o777).toBe(0o700);
    const lines = done.stdout.trim().split('\n');
    expect(lines[0]).toMatch(/^INFO: \(\S+\) [0-9/]+ [0-9:]+ began, process [0-9]+: /);
    expect(done.stdout).toMatch(/interface up, UDP port 41821\n/);
    expect(lines.at(-1)).toMatch(/ ended: the interface is gone$/);
    expect(readFileSync(logFile(), 'utf8')).not.toContain(privateKey);
  });

  it('contains a crash and what Node prints as it dies', async () => {
    const inject = lab.file('setTimeout(() => { throw new Error("a fault of the test") }, 500)', 'crash.cjs');
    const script = `NODE_OPTIONS="--require ${inject}" $WGTS up "$FILE"; sleep 2; $WGTS logs "$NAME"; $WGTS down "$FILE"`;
    const done = await inOwnFolders(script);
    expect(done.stdout).toMatch(/ERROR: .* crashed, please report this: Error: a fault of the test\n/);
  });

  it('is bounded, and a full disk does no harm', async () => {
    mkdirSync(join(lab.directory, 'log/wireguard-ts'), { mode: 0o700 });
    writeFileSync(logFile(), 'x'.repeat(1 << 20), { mode: 0o600 });
    await inOwnFolders('$WGTS up "$FILE"; $WGTS down "$FILE"');
    expect(statSync(`${logFile()}.1`).size).toBeGreaterThanOrEqual(1 << 20);
    expect(statSync(logFile()).size).toBeLessThan(10_000);
    const full = 'mount -t tmpfs -o size=4k tmpfs /var/log; dd if=/dev/zero of=/var/log/full bs=4k count=2 2>/dev/null';
    const done = await inOwnFolders(`${full}; $WGTS up "$FILE" && $WGTS show "$NAME" listen-port; $WGTS down "$FILE"`);
    expect([done.code, done.stdout]).toEqual([0, '41821\n']);
  });

  it('is the journal where a journal listens', async () => {
    const heard: string[] = [];
    server = createServer(socket => socket.on('data', data => heard.push(String(data))));
    await new Promise<void>(resolve => server!.listen(join(lab.directory, 'dev/stdout'), resolve));
    const journal = 'mkdir -p /run/systemd/journal && mount --bind "$LAB/dev" /run/systemd/journal';
    const made = existsSync('/run/systemd/journal');
    const done = await inOwnFolders(`${journal} && $WGTS up "$FILE" && $WGTS down "$FILE"`);
    if (!made) await run(['rmdir', '/run/systemd/journal'], { mayFail: true });
    expect(done.code, done.stderr).toBe(0);
    await until('the journal to hear it', () => heard.join('').includes('ended: '));
    expect(heard.join('')).toContain(`wireguard-ts-${host.name}\n\n6\n1\n0\n0\n0\n`);
    expect(heard.join('')).toContain('interface up, UDP port 41821');
    expect(existsSync(logFile())).toBe(false);
  });

  it('keeps no output of ours open: in $(...), before a pipe, and with LOG_LEVEL', async () => {
    for (const script of [
      'out=$($WGTS up "$FILE" 2>&1); echo "done $?"; $WGTS down "$FILE"',
      '$WGTS up "$FILE" 2>&1 | cat >/dev/null; echo done; $WGTS down "$FILE"',
      'out=$(LOG_LEVEL=verbose $WGTS up "$FILE" 2>&1); echo done; $WGTS down "$FILE"',
      'exec 9>"$LAB/lock"; $WGTS up "$FILE" 2>/dev/null; exec 9>&-; ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q "$LAB/lock" && echo kept; echo done; $WGTS down "$FILE"',
    ]) {
      const done = await inOwnFolders(script);
      expect(done.stdout, script).toMatch(/^done( 0)?\n$/);
    }
  });

  it('reports a missing log', async () => {
    const done = await inOwnFolders('$WGTS logs absent0');
    expect([done.code, done.stderr]).toEqual([1, expect.stringMatching(/^wgts: there is no log of absent0: /)]);
    const wrong = await inOwnFolders('WGTS_LOG=paper $WGTS up "$FILE"');
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringContaining('WGTS_LOG=paper: choose one of auto, journal, syslog, file, none'),
    ]);
  });
});

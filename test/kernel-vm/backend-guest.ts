/**
 * Runs inside the machine with the kernel module: the contract of backends on the kernel's devices,
 * wgts compared with wg, and which backend is chosen with the module loaded, with a loadable
 * module, and without one. Prints one line of JSON per check.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { KernelBackend } from '../../src/backend/kernel.ts';
import { SystemBackend } from '../../src/backend/system.ts';
import { formatKeyBase64 } from '../../src/base/key.ts';
import { formatPrefix } from '../../src/base/prefix.ts';
import { showconf } from '../../src/cli/commands/conf.ts';
import { show } from '../../src/cli/commands/show.ts';
import { systemNetlink } from '../../src/io/netlink.ts';
import { Network } from '../../src/netlink/network.ts';
import { runCommand } from '../cli/terminal-for-test.ts';
import { FIELDS } from '../cli/wg-cases.ts';
import { BACKEND_CHECKS } from '../contract/backend-checks.ts';
import { run, start, until } from '../netns/command.ts';
import { commandOf } from '../netns/device.ts';
import { Lab } from '../netns/lab.ts';
import { INNER_B, tunnelPair } from '../netns/pair.ts';
import { mustPing, ping } from '../netns/traffic.ts';
import { type BackendResult, COMMANDS, LOADS, LOSSLESS, TAKES_KERNEL, TAKES_USERSPACE } from './backend-results.ts';
import { key, manyPeers } from './wireguard-checks.ts';

const NAME = 'wg-auto';
const SOCKET = `/var/run/wireguard/${NAME}.sock`;
const network = new Network(systemNetlink);
const wg = async (...args: string[]): Promise<string> => (await run(['wg', ...args])).stdout;
const program = (...args: string[]): string[] => [...commandOf('ours'), ...args];
const kindOf = async (name: string): Promise<string | undefined> => (await network.links.find(name))?.kind;

for (const { name, run: check } of BACKEND_CHECKS)
  await report(name, async () => {
    const backend = new KernelBackend(systemNetlink);
    const link = await network.links.create({ name: 'wg-contract', kind: 'wireguard' });
    try {
      const milliseconds = await check({ backend, name: link.name, initiate: 'EOPNOTSUPP', wg });
      return milliseconds ? { milliseconds } : {};
    } finally {
      backend.close();
      await network.links.remove(link);
    }
  });
await report(COMMANDS, commands);
await report(LOSSLESS, lossless);
await report(TAKES_KERNEL, takesKernel);
await report(LOADS, loads);
await report(TAKES_USERSPACE, takesUserspace);
network.close();

async function report(name: string, check: () => Promise<Partial<BackendResult>>): Promise<void> {
  const result: BackendResult = await check().then(
    more => ({ name, ...more }),
    (error: Error) => ({ name, error: `${error.stack}` }),
  );
  console.log(JSON.stringify(result));
}

/**
 * Compares the output of wg and wgts, for the kernel's device and for one of ours, with some of
 * every setting.
 */
async function commands(): Promise<Partial<BackendResult>> {
  await run(program('--backend=kernel', NAME));
  await run(program('--backend=userspace', 'wg-ours'));
  const backend = new SystemBackend();
  for (const [i, name] of [NAME, 'wg-ours'].entries())
    await backend.set(name, { privateKey: key(900 + i), listenPort: 6000 + i, fwmark: 7, peers: manyPeers(5, 3) });
  backend.close();
  const same = async (...args: string[]): Promise<void> => {
    const [command, ...rest] = args;
    const { status, out, err } = await runCommand(
      command === 'show' ? show : showconf,
      rest,
      () => new SystemBackend(),
      { env: { WG_COLOR_MODE: 'never' } },
    );
    assert.deepEqual({ args, status, out, err }, { args, status: 0, out: await wg(...args), err: '' });
  };
  for (const name of [NAME, 'wg-ours']) {
    await same('show', name);
    await same('showconf', name);
    for (const field of FIELDS) await same('show', name, field);
  }
  await same('show');
  await same('show', 'interfaces');
  // For endpoints, wg prints the interface's name only on the first line.
  for (const field of FIELDS) if (field !== 'endpoints') await same('show', 'all', field);
  for (const name of [NAME, 'wg-ours']) await run(['ip', 'link', 'del', name]);
  await until('ours to end', () => !existsSync('/var/run/wireguard/wg-ours.sock'));
  return {};
}

/**
 * Changes the very peer that the packets go to, and back. Only Linux 6.16 and newer can remove
 * single prefixes, and this kernel is older.
 */
async function lossless(): Promise<Partial<BackendResult>> {
  const lab = new Lab();
  try {
    const { a } = await tunnelPair({ lab, a: 'kernel', b: 'kernel' });
    const name = a.device.name;
    const wgts = (...args: string[]) => a.namespace.run([process.execPath, 'dist/program/wgts.cjs', ...args]);
    await mustPing(a.namespace, INNER_B[4], { wait: 20 });
    const others = manyPeers(999, 10).map(({ publicKey, allowedIps = [] }) => {
      const list = allowedIps.map(({ prefix }) => formatPrefix(prefix));
      return `\n[Peer]\nPublicKey = ${formatKeyBase64(publicKey)}\nAllowedIPs = ${list.join(', ')}\n`;
    });
    const whole = `${(await wgts('showconf', name)).stdout}${others.join('')}`;
    const file = lab.file(whole);
    const changed = lab.file(whole.replace(/AllowedIPs = /, 'AllowedIPs = 10.199.0.0/16, '));
    await wgts('setconf', name, file);
    let done = false;
    const traffic = (async () => {
      let [sent, received] = [0, 0];
      while (!done) {
        const part = await ping(a.namespace, INNER_B[4], { count: 200, interval: 0.01, wait: 20 });
        sent += part.sent;
        received += part.received;
      }
      return { sent, received };
    })();
    const milliseconds: Record<string, number> = {};
    for (let i = 0; i < 2; i++) {
      const start = performance.now();
      await wgts('syncconf', name, i % 2 ? file : changed);
      milliseconds[`syncconf ${i}`] = Math.round(performance.now() - start);
    }
    done = true;
    const { sent, received } = await traffic;
    assert.ok(sent >= 200);
    assert.equal(received, sent);
    assert.equal((await wgts('show', name, 'allowed-ips')).stdout.includes('10.199.0.0/16'), false);
    return { milliseconds };
  } finally {
    await lab.close();
  }
}

async function takesKernel(): Promise<Partial<BackendResult>> {
  const env = { LOG_LEVEL: 'verbose' };
  const { stderr } = await run(program('--backend=auto', NAME), { env });
  assert.match(stderr, /backend kernel: the kernel has WireGuard itself/);
  assert.equal(await kindOf(NAME), 'wireguard');
  const again = await run(program('--backend=auto', NAME), { mayFail: true });
  assert.equal(again.code, 1);
  assert.match(again.stderr, /^wireguard-ts: wg-auto exists already, of kind wireguard: .*ip link delete wg-auto/);
  await run(['ip', 'link', 'del', NAME]);
  for (const end of ['signal', 'removal']) {
    const running = start(program('-f', '--backend=auto', NAME), { env });
    await until('the link', () => kindOf(NAME));
    await until('its word', () => running.output().includes('backend kernel'));
    if (end === 'removal') await run(['ip', 'link', 'del', NAME]);
    else process.kill(running.pid, 'SIGTERM');
    const { code, stderr: said } = await running.exited;
    assert.equal(code, 0, said);
    assert.match(said, end === 'removal' ? /ended: the interface is gone/ : /ended: asked to stop/);
    assert.equal(await kindOf(NAME), undefined);
  }
  const doctor = await run([process.execPath, 'dist/program/wgts.cjs', 'doctor'], { mayFail: true });
  assert.match(doctor.stdout, /backend +auto takes kernel: the kernel has WireGuard itself\n/);
  return {};
}

/**
 * The kernel runs modprobe in the initial file system, which has only busybox and the modules. Our
 * modprobe logs its arguments.
 */
async function loads(): Promise<Partial<BackendResult>> {
  const [script, log] = ['/run/modprobe', '/run/modprobe.log'];
  const insmod = 'exec /bin/busybox insmod /modules/wireguard.ko';
  writeFileSync(script, `#!/bin/busybox sh\necho "$@" >>/new${log}\n${insmod}\n`, { mode: 0o755 });
  writeFileSync('/proc/sys/kernel/modprobe', `/new${script}`);
  await run(['rmmod', 'wireguard']);
  assert.equal(existsSync('/sys/module/wireguard'), false);
  await run(program('--backend=auto', NAME));
  assert.equal(await kindOf(NAME), 'wireguard');
  assert.match(readFileSync(log, 'utf8'), /^-q -- net-pf-16-proto-16-family-wireguard\n/);
  await run(['ip', 'link', 'del', NAME]);
  rmSync(script);
  return {};
}

async function takesUserspace(): Promise<Partial<BackendResult>> {
  await run(['rmmod', 'wireguard']);
  const refused = await run(program('--backend=kernel', NAME), { mayFail: true });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^wireguard-ts: backend kernel: the kernel has no WireGuard \(.*\); load the module/);
  const running = start(program('-f', '--backend=auto', NAME), { env: { LOG_LEVEL: 'verbose' } });
  await until('the socket', () => existsSync(SOCKET));
  assert.match(running.output(), /backend userspace: the kernel has no WireGuard/);
  assert.equal(await kindOf(NAME), 'tun');
  assert.equal(existsSync(SOCKET), true);
  assert.equal((await wg('show', 'interfaces')).trim(), NAME);
  await run(['ip', 'link', 'del', NAME]);
  assert.equal((await running.exited).code, 0);
  assert.equal(existsSync(SOCKET), false);
  return {};
}

/**
 * Limits and errors of the addon's netlink socket. test/contract tests what it carries. Needs no
 * root.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { nativeNetlink } from '../../src/io/netlink.ts';
import { Network } from '../../src/netlink/network.ts';
import { NETLINK_ROUTE, type NetlinkReceiver } from '../../src/netlink/port.ts';
import { NetlinkSocket } from '../../src/netlink/socket.ts';
import { HANG_MS } from '../support/patience.ts';

const binding = nativeBinding();
const port = nativeNetlink(binding);
const deaf: NetlinkReceiver = { datagram: () => {}, lost: () => {}, failed: () => {} };

test('a protocol or group that the kernel lacks is an error with its errno', () => {
  expect(() => new NetlinkSocket(port, 31)).toThrow(/^opening a netlink socket: EPROTONOSUPPORT/);
  expect(() => port.open(NETLINK_ROUTE, [100_000], deaf)).toThrow(
    expect.objectContaining({ code: 'EINVAL', syscall: 'NETLINK_ADD_MEMBERSHIP' }),
  );
});

test('may be closed twice, and refuses to send after that', async () => {
  const network = new Network(port);
  expect((await network.links.find('lo'))?.index).toBe(1);
  network.close();
  network.close();
  await expect(network.links.list()).rejects.toThrow('listing links: the netlink socket was closed');
  const channel = port.open(NETLINK_ROUTE, [], deaf);
  channel.close();
  channel.close();
  expect(() => channel.send(new Uint8Array(16))).toThrow(expect.objectContaining({ code: 'EBADF' }));
});

test('the functions refuse arguments of the wrong type', () => {
  const wrong = binding as unknown as Record<string, (...args: unknown[]) => unknown>;
  const handle = binding.netlinkOpen(NETLINK_ROUTE, new Int32Array(0));
  for (const call of [
    () => wrong['netlinkOpen']!(0),
    () => wrong['netlinkOpen']!(0, [1]),
    () => wrong['netlinkSend']!(handle, 'text'),
    () => wrong['netlinkSend']!({}, new Uint8Array(16)),
    () => wrong['netlinkReceive']!(handle, new Uint8Array(16), new Uint8Array(16)),
    () => wrong['netlinkFd']!(),
  ])
    expect(call).toThrow(TypeError);
  // no room for a datagram, or for its descriptor
  expect(binding.netlinkReceive(handle, new Uint8Array(100), new Int32Array(64))).toBe(0);
  expect(binding.netlinkReceive(handle, new Uint8Array(1 << 17), new Int32Array(1))).toBe(0);
  binding.netlinkClose(handle);
  expect(binding.netlinkFd(handle)).toBe(-1);
});

test('a process ends once all sockets are closed, and a child inherits none', () => {
  const source = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../dist/${path}.js`, import.meta.url)));
  const program = `
    import { spawnSync } from 'node:child_process';
    import { nativeBinding } from ${source('io/native-binding')};
    import { nativeNetlink } from ${source('io/netlink')};
    import { Network } from ${source('netlink/network')};
    const network = new Network(nativeNetlink(nativeBinding()));
    const watch = network.watch(['link'], () => {});
    await network.links.list();
    const { stdout } = spawnSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
    console.log(stdout.split('socket:').length - 1 <= 3 ? 'fine' : stdout);
    watch.close();
    network.close();`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: HANG_MS,
  });
  expect(run.stderr).toBe('');
  expect(run.stdout).toBe('fine\n');
  expect(run.status).toBe(0);
});

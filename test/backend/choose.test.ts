/** The choice of a backend, for every answer that a kernel may give, and its reported reason. */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type BackendChoice, takeBackend, wouldTake } from '../../src/backend/choose.ts';
import { holdLink } from '../../src/backend/hold.ts';
import { Network } from '../../src/netlink/network.ts';
import type { NetlinkPort } from '../../src/netlink/port.ts';
import { FakeKernel } from '../support/fake-kernel/kernel.ts';

const WITHOUT = { kinds: ['ifb', 'tun'] };
const take = (backend: BackendChoice, port: NetlinkPort, adoptsTun = false) =>
  takeBackend(backend, { name: 'wg0', port, adoptsTun });
const linksOf = (kernel: FakeKernel) => [...kernel.world.links.values()].map(({ name }) => name);

async function withLink(kernel: FakeKernel, kind: string): Promise<FakeKernel> {
  const network = new Network(kernel);
  await network.links.create({ name: 'wg0', kind });
  network.close();
  kernel.requests.length = 0;
  return kernel;
}

describe('a kernel with WireGuard', () => {
  test.each(['auto', 'kernel'] as const)('%s chooses it, and makes the link', async backend => {
    const kernel = new FakeKernel();
    expect(await take(backend, kernel)).toMatchObject({
      kind: 'kernel',
      link: { name: 'wg0', kind: 'wireguard', up: false },
      reason: 'the kernel has WireGuard itself',
    });
    expect(linksOf(kernel)).toEqual(['lo', 'wg0']);
  });

  test('requests the family first, which loads the module', async () => {
    const kernel = new FakeKernel();
    await take('auto', kernel);
    expect(kernel.requests).toEqual(['CTRL_CMD_GETFAMILY', 'RTM_NEWLINK', 'RTM_GETLINK']);
  });

  test('accepts a family that appears only with the link', async () => {
    const kernel = new FakeKernel();
    kernel.failNext('CTRL_CMD_GETFAMILY', 'ENOENT');
    expect(await take('auto', kernel)).toMatchObject({ kind: 'kernel' });
    kernel.failNext('CTRL_CMD_GETFAMILY', 'ENOENT', { times: 2 });
    expect(await takeBackend('auto', { name: 'wg1', port: kernel })).toMatchObject({
      kind: 'userspace',
      reason: expect.stringMatching(/no netlink family to configure them/),
    });
    expect(linksOf(kernel)).toEqual(['lo', 'wg0']);
  });

  test.each([
    ['userspace', 'auto'],
    ['native', 'native'],
    ['pure', 'pure'],
  ] as const)('%s makes no request', async (backend, by) => {
    const kernel = new FakeKernel();
    expect(await take(backend, kernel)).toEqual({ kind: 'userspace', by, reason: 'asked for' });
    expect(kernel.requests).toEqual([]);
  });

  test('an open TUN that was passed needs userspace', async () => {
    const kernel = new FakeKernel();
    expect(await take('auto', kernel, true)).toMatchObject({ kind: 'userspace', reason: 'an open TUN was passed' });
    await expect(take('kernel', kernel, true)).rejects.toThrow(/only userspace/);
    expect(linksOf(kernel)).toEqual(['lo']);
  });

  test('a trial of auto leaves nothing behind', async () => {
    const kernel = new FakeKernel();
    expect(await wouldTake(kernel, 'wgts-1')).toEqual({ kind: 'kernel', reason: 'the kernel has WireGuard itself' });
    expect(linksOf(kernel)).toEqual(['lo']);
  });
});

describe('a name in use', () => {
  test.each(['auto', 'kernel'] as const)('%s names the kind of the link and the remedy', async backend => {
    for (const kind of ['wireguard', 'ifb'])
      await expect(take(backend, await withLink(new FakeKernel(), kind))).rejects.toMatchObject({
        code: 'EEXIST',
        message: `wg0 exists already, of kind ${kind}: take another name, or remove it (ip link delete wg0)`,
      });
  });

  test('a TUN without a program needs userspace', async () => {
    const kernel = await withLink(new FakeKernel({ kinds: ['wireguard', 'tun'] }), 'tun');
    expect(await take('auto', kernel)).toMatchObject({ kind: 'userspace', by: 'auto' });
    await expect(take('kernel', kernel)).rejects.toMatchObject({ code: 'EEXIST' });
  });
});

describe('a kernel without WireGuard', () => {
  test('auto chooses userspace, and quotes the refusal of the kernel', async () => {
    expect(await take('auto', new FakeKernel(WITHOUT))).toEqual({
      kind: 'userspace',
      by: 'auto',
      reason:
        'the kernel has no WireGuard (creating link wg0 of kind wireguard: EOPNOTSUPP (Operation not supported): Unknown device type)',
    });
  });

  test('kernel is an error with a remedy', async () => {
    await expect(take('kernel', new FakeKernel(WITHOUT))).rejects.toMatchObject({
      code: 'EOPNOTSUPP',
      message: expect.stringMatching(
        /^backend kernel: the kernel has no WireGuard \(.*\); load the module \(modprobe wireguard, on the host.*Linux 5\.6.*--backend=auto$/,
      ),
    });
  });

  test.each([
    [
      'RTM_NEWLINK',
      'EPERM',
      /^creating link wg0 of kind wireguard: EPERM/,
      /root or CAP_NET_ADMIN is needed.*unshare -Urn$/,
    ],
    ['CTRL_CMD_GETFAMILY', 'EPERM', /^finding the generic netlink family wireguard: EPERM/, /root or CAP_NET_ADMIN/],
    ['RTM_NEWLINK', 'ENOMEM', /ENOMEM/, /--backend=auto$/],
  ] as const)('%s: %s', async (request, code, reason, remedy) => {
    for (const backend of ['auto', 'kernel'] as const) {
      const kernel = new FakeKernel();
      kernel.failNext(request, code);
      if (backend === 'auto')
        expect(await take(backend, kernel)).toMatchObject({ kind: 'userspace', reason: expect.stringMatching(reason) });
      else await expect(take(backend, kernel)).rejects.toMatchObject({ code, message: expect.stringMatching(remedy) });
      expect(linksOf(kernel)).toEqual(['lo']);
    }
  });

  test('auto chooses userspace without netlink (no addon, or a sandbox)', async () => {
    const port: NetlinkPort = {
      open: () => {
        throw Object.assign(new Error('socket: Protocol not supported'), { errno: 93, code: 'EPROTONOSUPPORT' });
      },
    };
    expect(await take('auto', port)).toMatchObject({
      kind: 'userspace',
      reason: expect.stringMatching(/^opening a netlink socket: EPROTONOSUPPORT/),
    });
  });
});

describe('a link held in the foreground', () => {
  async function held(kernel: FakeKernel) {
    const network = new Network(kernel);
    const link = await network.links.create({ name: 'wg0', kind: 'wireguard' });
    const stop = new AbortController();
    const ended = holdLink(kernel, link, stop.signal);
    for (let i = 0; i < 5; i++) await turn();
    return { network, link, stop, ended };
  }

  test('is removed when asked to stop', async () => {
    const kernel = new FakeKernel();
    const { stop, ended, network } = await held(kernel);
    stop.abort();
    expect(await ended).toBe('asked to stop');
    expect(linksOf(kernel)).toEqual(['lo']);
    network.close();
  });

  test.each([false, true])('ends the process when it is gone, even if the event was lost: %s', async lost => {
    const kernel = new FakeKernel();
    const { link, ended, network } = await held(kernel);
    await network.links.change(link, { mtu: 1400 });
    if (lost) {
      kernel.world.links.delete(link.index);
      kernel.loseEvents();
    } else await network.links.remove(link);
    expect(await ended).toBe('the interface is gone');
    network.close();
  });

  test('is already gone, or already asked to stop', async () => {
    const kernel = new FakeKernel();
    const gone = { index: 99, name: 'wg9' };
    expect(await holdLink(kernel, gone, new AbortController().signal)).toBe('the interface is gone');
    expect(await holdLink(kernel, gone, AbortSignal.abort())).toBe('asked to stop');
  });
});

/**
 * Links moved to another network namespace, or created with an end in one: `ip` there shows them.
 */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { nativeNetlink } from '../../src/io/netlink.ts';
import { Network } from '../../src/netlink/network.ts';
import { until } from '../netns/command.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';

inOwnNamespace(import.meta.url, [], () => {
  const other = spawn('unshare', ['-n', 'sleep', '600'], { stdio: 'ignore' });
  const pid = other.pid!;
  const file = `/proc/${pid}/ns/net`;
  const network = new Network(nativeNetlink(nativeBinding()));
  const linkThere = (name: string): { readonly operstate: string; readonly flags: string[]; readonly mtu: number } =>
    JSON.parse(execFileSync('nsenter', ['-t', String(pid), '-n', 'ip', '-j', 'link', 'show', name]).toString())[0];

  beforeAll(() =>
    until('a namespace of its own', () => readlinkSync(file) !== readlinkSync('/proc/self/ns/net'), 10_000),
  );
  afterAll(() => {
    network.close();
    other.kill('SIGKILL');
  });

  test('moves by a process in it, under a new name, without its addresses', async () => {
    const link = await network.links.create({ name: 'there0', kind: 'veth', mtu: 1300, up: true });
    await network.addresses.add(link, { address: Uint8Array.of(10, 0, 0, 1), prefixLength: 24 });
    await network.links.move(link, { pid }, 'moved0');
    expect(await network.links.find('there0')).toBeUndefined();
    expect(linkThere('moved0')).toMatchObject({ mtu: 1300, flags: expect.not.arrayContaining(['UP']) });
    expect(await network.addresses.list()).not.toContainEqual(expect.objectContaining({ index: link.index }));
  });

  test('moves by a descriptor of its file, keeping its name', async () => {
    const link = await network.links.create({ name: 'there1', kind: 'veth' });
    const fd = openSync(file, 'r');
    try {
      await network.links.move(link, { fd });
    } finally {
      closeSync(fd);
    }
    expect(await network.links.find('there1')).toBeUndefined();
    expect(linkThere('there1')).toBeDefined();
  });

  test('a veth with its other end there, and with both ends here', async () => {
    const near = await network.links.create({
      name: 'near0',
      kind: 'veth',
      up: true,
      peer: { name: 'far0', namespace: { pid } },
    });
    expect(near.kind).toBe('veth');
    expect(await network.links.find('far0')).toBeUndefined();
    execFileSync('nsenter', ['-t', String(pid), '-n', 'ip', 'link', 'set', 'far0', 'up']);
    await until('the carrier of the near end', async () => (await network.links.find('near0'))?.running, 10_000);
    await network.links.create({ name: 'near1', kind: 'veth', peer: { name: 'near2' } });
    expect((await network.links.find('near2'))?.kind).toBe('veth');
  });

  test('refuses: no such process, a descriptor that is not a namespace, a name in use there', async () => {
    const link = await network.links.create({ name: 'here0', kind: 'veth' });
    await expect(network.links.move(link, { pid: 2 ** 22 + 1 })).rejects.toThrow(
      /^moving link here0 to the namespace of process 4194305: ESRCH/,
    );
    const fd = openSync('/dev/null', 'r');
    try {
      await expect(network.links.move(link, { fd })).rejects.toMatchObject({ code: 'EINVAL' });
    } finally {
      closeSync(fd);
    }
    const namesake = await network.links.create({ name: 'moved0', kind: 'veth' });
    await expect(network.links.move(namesake, { pid })).rejects.toMatchObject({ code: 'EEXIST' });
    for (const name of ['here0', 'moved0']) expect(await network.links.find(name)).toBeDefined();
    // The kernel moves it first.
    await expect(network.links.move(link, { pid }, 'moved0')).rejects.toMatchObject({ code: 'EEXIST' });
    expect(linkThere('here0')).toBeDefined();
  });
});

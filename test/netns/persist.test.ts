/**
 * `wireguard-ts --persist`: a link that outlives its process, and the start that adopts it. The
 * same for links of others, which are used and never deleted.
 *
 * @module-tag slow
 */
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { printed, until } from './command.ts';
import { commandOf, type Device, PROGRAM, SOCKET_DIRECTORY, startDevice } from './device.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';

let lab: Lab;
let host: Namespace;
beforeEach(async () => {
  lab = new Lab();
  host = await lab.namespace('keep');
});
afterEach(() => lab?.close());

const PERSIST = { args: ['--persist'] } as const;

interface SeenLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly ifalias?: string;
  readonly mtu: number;
  readonly txqlen: number;
  readonly flags: readonly string[];
}

async function linkOf(name: string, namespace = host): Promise<SeenLink | undefined> {
  const { code, stdout } = await namespace.run(['ip', '-j', 'link', 'show', name], { mayFail: true });
  return code === 0 ? (JSON.parse(stdout) as SeenLink[])[0] : undefined;
}

const addressesOf = async (name: string) => (await host.run(['ip', '-br', 'addr', 'show', name])).stdout;
const routesOf = async (name: string) => (await host.run(['ip', 'route', 'show', 'dev', name])).stdout;

/** Kills the process and waits until the kernel has noticed. */
async function kill(device: Device, namespace = host): Promise<void> {
  await device.process!.stop('SIGKILL');
  await until('the carrier to drop', async () => {
    const link = await linkOf(device.name, namespace);
    return link === undefined || !link.flags.includes('LOWER_UP');
  });
}

async function startDead(args: readonly string[] = ['--persist']): Promise<Device> {
  const device = await startDevice(lab, host, PROGRAM, { args });
  await until('the link to be marked', async () => (await linkOf(device.name))?.ifalias === 'wireguard-ts');
  await kill(device);
  return device;
}

const adopt = (device: Device, args: readonly string[] = ['--persist']) =>
  startDevice(lab, host, PROGRAM, { args, name: device.name });
const isGone = (name: string, namespace = host) =>
  until(`the end of ${name}`, async () => (await linkOf(name, namespace)) === undefined);

describeWith(NETWORK, `--persist (${PROGRAM})`, () => {
  it.each(['up', 'down'] as const)(
    'a killed process leaves a link that is %s, and the next start adopts it',
    async state => {
      const first = await startDevice(lab, host, PROGRAM, PERSIST);
      const { name } = first;
      await host.ip(`addr add 10.9.0.2/24 dev ${name}`, `link set ${name} mtu 1300 txqueuelen 777`);
      if (state === 'up') await host.ip(`link set ${name} up`, `route add 10.7.0.0/16 dev ${name}`);
      await until('the link to be marked', async () => (await linkOf(name))?.ifalias === 'wireguard-ts');
      await kill(first);
      const orphan = (await linkOf(name))!;
      expect(await addressesOf(name)).toContain('10.9.0.2/24');
      if (state === 'up') expect(await routesOf(name)).toContain('10.7.0.0/16');
      const second = await adopt(first);
      const adopted = (await linkOf(name))!;
      expect(adopted).toMatchObject({ ifindex: orphan.ifindex, ifalias: 'wireguard-ts', mtu: 1300, txqlen: 777 });
      expect(await addressesOf(name)).toContain('10.9.0.2/24');
      if (state === 'up') {
        expect(await routesOf(name)).toContain('10.7.0.0/16');
        await until('the carrier', async () => (await linkOf(name))?.flags.includes('LOWER_UP'));
        await second.set({ listenPort: 0 });
        await until('the port', async () => (await second.show('listen-port')) !== '0');
      }
      expect((await second.process!.stop('SIGTERM')).code).toBe(0);
      await isGone(name);
    },
  );

  it('without --persist a killed process leaves nothing, and a start adopts and keeps a link nonetheless', async () => {
    const plain = await startDevice(lab, host);
    expect((await linkOf(plain.name))?.ifalias).toBeUndefined();
    await plain.process!.stop('SIGKILL');
    await isGone(plain.name);
    const orphan = await startDead();
    const second = await adopt(orphan, []);
    await kill(second);
    expect((await linkOf(orphan.name))?.ifalias).toBe('wireguard-ts');
    const third = await adopt(orphan, []);
    await third.process!.stop('SIGTERM');
    await isGone(orphan.name);
  });

  it('WGTS_PERSIST=1 does the same, in the background too, and the end of the socket deletes the link', async () => {
    const name = lab.interfaceName();
    lab.owns(`${SOCKET_DIRECTORY}/${name}.sock`);
    await host.run([...commandOf(PROGRAM), name], { env: { WGTS_PERSIST: '1' } });
    expect((await linkOf(name))?.ifalias).toBe('wireguard-ts');
    await host.run(['rm', `${SOCKET_DIRECTORY}/${name}.sock`]);
    await isGone(name);
  });

  it('deleting the link ends the process, persistent or not', async () => {
    const device = await startDevice(lab, host, PROGRAM, PERSIST);
    await until('the link to be marked', async () => (await linkOf(device.name))?.ifalias === 'wireguard-ts');
    await host.ip(`link del ${device.name}`);
    expect((await device.process!.exited).code).toBe(0);
    expect(existsSync(device.socket)).toBe(false);
  });

  it('a renamed or moved link is deleted by SIGTERM, and a renamed orphan is adopted by its new name', async () => {
    const other = await lab.namespace('other');
    const device = await startDevice(lab, host, PROGRAM, PERSIST);
    await until('the link to be marked', async () => (await linkOf(device.name))?.ifalias === 'wireguard-ts');
    await device.moveTo(other);
    await other.ip(`link set ${device.name} name moved0`);
    await device.process!.stop('SIGTERM');
    await isGone('moved0', other);
    const orphan = await startDead();
    const renamed = lab.interfaceName();
    await host.ip(`link set ${orphan.name} name ${renamed}`);
    const second = await startDevice(lab, host, PROGRAM, { ...PERSIST, name: renamed });
    expect(await linkOf(orphan.name)).toBeUndefined();
    await second.process!.stop('SIGTERM');
    await isGone(renamed);
  });

  it('an orphan in another namespace stays there; a start here makes a link of its own', async () => {
    const other = await lab.namespace('other');
    const orphan = await startDead();
    await host.ip(`link set ${orphan.name} netns ${other.name}`);
    const second = await adopt(orphan);
    expect((await linkOf(orphan.name, other))?.ifalias).toBe('wireguard-ts');
    await second.process!.stop('SIGTERM');
    await isGone(orphan.name);
    const there = await startDevice(lab, other, PROGRAM, { ...PERSIST, name: orphan.name });
    await there.process!.stop('SIGTERM');
    await isGone(orphan.name, other);
  });

  it('an orphan of a process without offloads gets all of them from its adopter', async () => {
    const orphan = await startDead(['--persist', '--no-offload']);
    const second = await startDevice(lab, host, PROGRAM, {
      ...PERSIST,
      name: orphan.name,
      env: { LOG_LEVEL: 'verbose' },
    });
    await printed(second.process!, /TUN offloads: csum tso4 tso6/);
    await printed(second.process!, `adopted ${orphan.name}`);
  });

  it("an administrator's persistent TUN is used as ever, and never marked nor deleted", async () => {
    const name = lab.interfaceName();
    await host.ip(`tuntap add dev ${name} mode tun`, `link set ${name} alias mine`);
    const device = await startDevice(lab, host, PROGRAM, { ...PERSIST, name });
    await device.process!.stop('SIGTERM');
    expect(await linkOf(name)).toMatchObject({ ifalias: 'mine', mtu: 1420 });
    const again = await startDevice(lab, host, PROGRAM, { ...PERSIST, name });
    await again.process!.stop('SIGKILL');
    expect((await linkOf(name))?.ifalias).toBe('mine');
  });

  it.each([
    ['a TAP', 'tuntap add dev NAME mode tap', /not a TUN with one queue/],
    ['a TUN with several queues', 'tuntap add dev NAME mode tun multi_queue', /not a TUN with one queue/],
    ['a veth with our marker', 'link add NAME alias wireguard-ts type veth', /not a TUN with one queue/],
  ])('%s is refused and left alone', async (_what, command, message) => {
    const name = lab.interfaceName();
    await host.ip(command.replace('NAME', name));
    const { code, stderr } = await host.run([...commandOf(PROGRAM), '-f', '--persist', name], { mayFail: true });
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(await linkOf(name)).toBeDefined();
  });

  it('of two starts at once one adopts, and the other fails and breaks nothing', async () => {
    const orphan = await startDead();
    const argv = [...commandOf(PROGRAM), '--persist', orphan.name];
    const results = await Promise.all([host.run(argv, { mayFail: true }), host.run(argv, { mayFail: true })]);
    expect(results.map(({ code }) => code).sort()).toEqual([0, 1]);
    expect(results.map(({ stderr }) => stderr).join('')).toMatch(/another program has it open/);
    expect((await host.run(['wg', 'show', orphan.name])).stdout).toContain(orphan.name);
    await host.ip(`link del ${orphan.name}`);
    await isGone(orphan.name);
  });

  it('a start that fails leaves an orphan as it was', async () => {
    const orphan = await startDead();
    const { code } = await host.run([...commandOf(PROGRAM), '-f', '--persist', orphan.name], {
      env: { WG_UAPI_FD: '77' },
      mayFail: true,
    });
    expect(code).toBe(1);
    expect((await linkOf(orphan.name))?.ifalias).toBe('wireguard-ts');
    const second = await adopt(orphan);
    await second.process!.stop('SIGTERM');
    await isGone(orphan.name);
  });
});

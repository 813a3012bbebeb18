/**
 * Our TUN sends nothing that no application sent, like the kernel's device (device.c, wg_setup and
 * wg_open): no router solicitations, no multicast reports, no link-local address, no ICMP
 * redirects, however and wherever it was created. Later settings of other programs stay.
 *
 * @module-tag slow
 */
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run, sleep, until } from './command.ts';
import { commandOf, Device, PROGRAM, ROOT, SOCKET_DIRECTORY, startDevice } from './device.ts';
import { keyPair } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';

const SILENCE_MS = 20_000;
const LEAVE_MS = 2_500;
const ENDPOINT = '203.0.113.7:51820';

/**
 * Opens a TUN, or attaches to one, and hands it over by WG_TUN_FD, which a shell cannot. Its second
 * argument is passed to `ip link set` then.
 */
const HAND_OVER = `
import fcntl, os, struct, subprocess, sys
name, settings = sys.argv[1:3]
fd = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', name.encode(), 0x5001))
if settings: subprocess.run(['ip', 'link', 'set', name] + settings.split(), check=True)
os.dup2(fd, 7)
os.environ['WG_TUN_FD'] = '7'
os.execvp(sys.argv[3], sys.argv[3:])
`;

describeWith([...NETWORK, 'tcpdump', 'python3'], `silence (${PROGRAM})`, () => {
  let lab: Lab;
  beforeEach(() => {
    lab = new Lab();
  });
  afterEach(() => lab?.close());

  /**
   * Creates a host with a default route to nowhere, so an initiation would be sent and counted, and
   * a peer that takes everything.
   */
  async function host(label: string, ...settings: string[]): Promise<Namespace> {
    const namespace = await lab.namespace(label);
    if (settings.length > 0) await namespace.sysctl(...settings);
    await namespace.ip(
      'link add out type veth peer name wire',
      'link set out up',
      'link set wire up',
      'addr add 203.0.113.1/24 dev out',
    );
    return namespace;
  }

  async function configure(device: Device): Promise<Device> {
    const peer = { publicKey: keyPair().publicKey, endpoint: ENDPOINT, allowedIps: ['0.0.0.0/0', '::/0'] };
    await device.set({ privateKey: keyPair().privateKey, peers: [peer] });
    return device;
  }

  async function handedOver(namespace: Namespace, settings = ''): Promise<Device> {
    const name = lab.interfaceName();
    const socket = `${SOCKET_DIRECTORY}/${name}.sock`;
    lab.owns(socket);
    const running = namespace.start([
      'python3',
      '-c',
      HAND_OVER,
      name,
      settings,
      ...commandOf(PROGRAM),
      '-f',
      'ignored',
    ]);
    await until('the socket', () => existsSync(socket) || running.result() !== undefined);
    expect(running.output()).toBe('');
    return new Device(lab, namespace, name, PROGRAM, running);
  }

  const detail = async (device: Device) =>
    (await device.namespace.run(['ip', '-d', 'link', 'show', 'dev', device.name])).stdout;
  const addresses = async (device: Device) =>
    (await device.namespace.run(['ip', '-6', '-o', 'addr', 'show', 'dev', device.name])).stdout;
  const redirects = async ({ namespace, name }: Device) =>
    (await namespace.run(['sysctl', '-n', `net.ipv4.conf.${name}.send_redirects`, 'net.ipv4.conf.all.send_redirects']))
      .stdout;

  async function expectQuiet(device: Device): Promise<void> {
    expect(await detail(device)).toMatch(/addrgenmode none/);
    expect(await detail(device)).not.toMatch(/MULTICAST/);
    expect(await addresses(device)).toBe('');
  }

  it('sends nothing in 20 s, up, down and up again, with and without forwarding, however the TUN got here', async () => {
    const plain = await host('a');
    const router = await host('b', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    const away = await host('c', 'net.ipv6.conf.all.forwarding=1');
    const devices = await Promise.all([
      startDevice(lab, plain),
      startDevice(lab, router),
      startDevice(lab, plain, PROGRAM, { env: { WGTS_SANDBOX: 'netns' } }),
      handedOver(plain),
      handedOver(router),
    ]);
    const moved = devices[2]!;
    await moved.moveTo(away);
    await until('it to be silent there', async () => (await detail(moved)).includes('addrgenmode none'));
    // A handed-over TUN leaves the group of all routers, and the kernel reports that for two
    // seconds once it is up.
    await sleep(LEAVE_MS);
    await Promise.all(devices.map(configure));
    const captures = await Promise.all(
      devices.map(async ({ namespace }) => {
        // On all interfaces, because one that is down cannot be captured; their names begin each
        // line.
        const running = namespace.start(['tcpdump', '-lni', 'any', '--immediate-mode']);
        await until('tcpdump', () => running.output().includes('listening on'));
        return running;
      }),
    );
    for (const device of devices) await device.up([]);
    await sleep(SILENCE_MS / 2);
    for (const { namespace, name } of devices) await namespace.ip(`link set ${name} down`);
    for (const device of devices) await device.up([]);
    await sleep(SILENCE_MS / 2);
    // The packets of an application are captured, and nothing else is.
    const first = devices[0]!;
    await first.namespace.ip(`route add 10.77.0.0/24 dev ${first.name}`);
    await first.namespace.run(['ping', '-c1', '-W1', '10.77.0.1'], { mayFail: true });
    await until('the ping', () => captures[0]!.stdout().includes('10.77.0.1'));
    await until('its initiation', async () => (await first.peer()).tx === 148);
    for (const [i, device] of devices.entries()) {
      if (device === first) continue;
      const { stdout } = await captures[i]!.stop('SIGINT');
      const sent = stdout.split('\n').filter(line => line.split(' ').includes(device.name));
      expect([i, sent, (await device.peer()).tx]).toEqual([i, [], 0]);
      await expectQuiet(device);
      expect(await redirects(device)).toBe('0\n0\n');
    }
  });

  it('a TUN that was up before the hand-over loses the address that the kernel assigned', async () => {
    const namespace = await host('a');
    const device = await handedOver(namespace, 'up');
    await until('the address to go', async () => (await addresses(device)) === '');
    await expectQuiet(device);
  });

  it('but keeps addresses that another program assigned', async () => {
    const namespace = await host('a');
    const name = lab.interfaceName();
    await namespace.ip(
      `tuntap add ${name} mode tun`,
      `addr add fe80::77/64 dev ${name} nodad`,
      `addr add fd00:7::1/64 dev ${name} nodad`,
      `link set ${name} up`,
    );
    const device = await startDevice(lab, namespace, PROGRAM, { name });
    expect(await addresses(device)).toMatch(/fd00:7::1\/64/);
    expect(await addresses(device)).toMatch(/fe80::77\/64/);
    expect((await addresses(device)).match(/fe80::/g)).toHaveLength(1);
    expect(await detail(device)).toMatch(/addrgenmode none/);
  });

  it('keeps later settings, also through down and up', async () => {
    const namespace = await host('a');
    const device = await startDevice(lab, namespace);
    const { name } = device;
    await device.up([]);
    await namespace.ip(`link set ${name} down`, `link set ${name} addrgenmode random multicast on`);
    await namespace.sysctl(`net.ipv4.conf.${name}.send_redirects=1`, 'net.ipv4.conf.all.send_redirects=1');
    for (let i = 0; i < 2; i++) {
      await device.up([]);
      await until('an address of its own', async () => /fe80::/.test(await addresses(device)));
      expect(await detail(device)).toMatch(/MULTICAST/);
      expect(await redirects(device)).toBe('1\n1\n');
      await namespace.ip(`link set ${name} down`);
    }
  });

  it("an MTU below IPv6's minimum discards IPv6 settings, which a larger MTU restores", async () => {
    const device = await startDevice(lab, await host('a'));
    await device.up([]);
    await device.mtu(1200);
    await sleep(300);
    await device.mtu(1420);
    await until('silence', async () => (await addresses(device)) === '' && (await detail(device)).includes('none'));
    await expectQuiet(device);
  });

  it('the tunnel comes up without IPv6, with a read-only /proc/sys, and without privileges', async () => {
    const namespace = await host('a', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1');
    const off = await startDevice(lab, namespace);
    await off.up(['10.9.9.1/24']);
    await namespace.sysctl(`net.ipv6.conf.${off.name}.disable_ipv6=0`);
    await sleep(300);
    await expectQuiet(off);
    const container = await host('b');
    const name = lab.interfaceName();
    lab.owns(`${SOCKET_DIRECTORY}/${name}.sock`);
    const readOnly = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"';
    const running = container.start(['unshare', '-m', 'sh', '-c', readOnly, 'sh', ...commandOf(PROGRAM), '-f', name]);
    await until('the socket', () => existsSync(`${SOCKET_DIRECTORY}/${name}.sock`) || running.result() !== undefined);
    const device = new Device(lab, container, name, PROGRAM, running);
    await device.up(['10.9.9.1/24']);
    await expectQuiet(device);
    // Of the two settings for redirects, the one that exists only in /proc/sys stays.
    expect(await redirects(device)).toBe('0\n1\n');
    // A privileged process hands its descriptor to one without privileges.
    const theirs = lab.interfaceName();
    const powerless = ['setpriv', '--reuid=65534', '--regid=nogroup', '--clear-groups', '--inh-caps=-all'];
    const script = `
      const { openTun } = await import('${ROOT}/dist/io/tun.js');
      const { nativeBinding } = await import('${ROOT}/dist/io/native-binding.js');
      const tun = openTun({ binding: nativeBinding(), name: '', adopt: 7, mtu: 0 });
      console.log(tun.status().name);
      tun.close();`;
    const program = [...powerless, process.execPath, '--input-type=module', '-e', script];
    expect((await container.run(['python3', '-c', HAND_OVER, theirs, '', ...program])).stdout.trim()).toBe(theirs);
  });

  it('wgts up sends nothing either', async () => {
    const namespace = await host('a');
    const name = lab.interfaceName();
    lab.owns(`${SOCKET_DIRECTORY}/${name}.sock`);
    const conf = lab.file(
      `[Interface]\nPrivateKey = ${keyPair().privateKey}\nTable = off\n[Peer]\nPublicKey = ${keyPair().publicKey}\nEndpoint = ${ENDPOINT}\nAllowedIPs = ::/0\n`,
      `${name}.conf`,
    );
    const wgts = [process.execPath, `${ROOT}/dist/program/wgts.cjs`];
    await namespace.run([...wgts, 'up', '--backend=userspace', conf]);
    try {
      await sleep(2000);
      const device = new Device(lab, namespace, name, PROGRAM, undefined);
      await expectQuiet(device);
      expect((await device.peer()).tx).toBe(0);
    } finally {
      await run(namespace.inside([...wgts, 'down', conf]), { mayFail: true });
    }
  });
});

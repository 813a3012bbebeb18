/**
 * A ListenPort in use: the error names the port and its owner, and nothing is left half-made.
 *
 * @module-tag slow
 */
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Family } from '../../src/base/family.ts';
import { until } from './command.ts';
import { SOCKET_DIRECTORY } from './device.ts';
import { keyPair } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost, WGTS } from './quick-host.ts';

const PORT = 41820;
const HOLD = `import signal, socket, sys
family = socket.AF_INET6 if sys.argv[1] == '6' else socket.AF_INET
held = socket.socket(family, socket.SOCK_DGRAM)
if family == socket.AF_INET6: held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
held.bind((sys.argv[2], int(sys.argv[3])))
print('held', flush=True)
signal.pause()`;

let lab: Lab;
let host: QuickHost;
beforeEach(async () => {
  lab = new Lab();
  host = await QuickHost.start(lab, 'host');
  host.write(file());
});
afterEach(() => lab?.close());

const file = (port = PORT) => `[Interface]
Address = 10.9.0.2/24
PrivateKey = ${keyPair().privateKey}
ListenPort = ${port}
[Peer]
PublicKey = ${keyPair().publicKey}
AllowedIPs = 0.0.0.0/0
Endpoint = 192.0.2.1:51820
`;

/** Occupies the port. @returns a function that releases it */
async function hold(
  namespace: Namespace,
  family: Family,
  address: string,
  port = PORT,
): Promise<() => Promise<unknown>> {
  const running = namespace.start(['python3', '-c', HOLD, String(family), address, String(port)]);
  await until('the port to be held', () => running.stdout().includes('held'));
  return () => running.stop();
}

const inUse = (families: string) =>
  new RegExp(
    `^wgts: ${host.name}: UDP port ${PORT} is in use, by process [0-9]+ \\(python3[.0-9]*\\) for ${families}: choose another ListenPort, or stop the program that holds it\\n$`,
    'm',
  );

const wgts = (...args: readonly string[]) => host.namespace.run([...WGTS, ...args], { mayFail: true });

async function bound(): Promise<string> {
  return (await host.namespace.run(['ss', '-Huln'])).stdout;
}

describeWith([...NETWORK, 'nft', 'python3', 'ss'], 'a ListenPort that is taken', () => {
  it.each([
    [4, '0.0.0.0', 'IPv4'],
    [4, '192.0.2.2', 'IPv4'],
    [6, '::', 'IPv6'],
  ] as const)('wgts up fails: IPv%i %s', async (family, address, families) => {
    const empty = await host.picture();
    const free = await hold(host.namespace, family, address);
    const upped = await host.wgts('up');
    expect(upped.code, upped.stderr).toBe(1);
    expect(upped.stderr).toMatch(inUse(families));
    expect(await host.picture()).toEqual(empty);
    expect(existsSync(host.state)).toBe(false);
    expect(existsSync(`${SOCKET_DIRECTORY}/${host.name}.sock`)).toBe(false);
    await free();
    const again = await host.wgts('up');
    expect(again.code, again.stderr).toBe(0);
    expect(await bound()).toMatch(`:${PORT} `);
  });

  it('wgts up --backend=pure and --watch fail', async () => {
    host.write(file().replace('0.0.0.0/0', '10.7.0.0/16'));
    await hold(host.namespace, 4, '0.0.0.0');
    for (const option of ['--backend=pure', '--watch']) {
      const upped = await host.wgts('up', option);
      expect(upped.code, upped.stderr).toBe(1);
      expect(upped.stderr).toMatch(inUse('IPv4'));
    }
  });

  it('wgts up fails on a mark that the backend cannot set', async () => {
    const upped = await host.wgts('up', '--backend=pure');
    expect([upped.code, upped.stderr]).toEqual([
      1,
      expect.stringMatching(/fwmark 51820: backend pure cannot mark its packets, which a default route/),
    ]);
  });

  it('set, setconf, syncconf and the control socket of a running device fail, and it stays as it was', async () => {
    expect((await host.wgts('up')).code).toBe(0);
    await hold(host.namespace, 6, '::', 777);
    const text = file(777).replace(/^Address.*\n/m, '');
    const conf = lab.file(text, 'other.conf');
    for (const command of [
      ['set', host.name, 'listen-port', '777'],
      ['setconf', host.name, conf],
      ['syncconf', host.name, conf],
    ]) {
      const said = await wgts(...command);
      expect(said.code, command.join(' ')).toBe(1);
      expect(said.stderr).toMatch(
        /^wgts: \S+: UDP port 777 is in use, by process [0-9]+ \(python3[.0-9]*\) for IPv6: /,
      );
    }
    const wg = await host.namespace.run(['wg', 'set', host.name, 'listen-port', '777'], { mayFail: true });
    expect([wg.code, wg.stderr]).toEqual([1, expect.stringContaining('Address already in use')]);
    expect((await wgts('show', host.name, 'listen-port')).stdout).toBe(`${PORT}\n`);
    expect(await bound()).toMatch(`:${PORT} `);
  });

  it('wg setconf of a device that is down fails, as wg-quick runs it', async () => {
    await hold(host.namespace, 4, '0.0.0.0');
    const quick = await host.wgQuick('up');
    expect(quick.code).not.toBe(0);
    expect(quick.stderr).toContain('Address already in use');
    expect(existsSync(`${SOCKET_DIRECTORY}/${host.name}.sock`)).toBe(false);
  });

  it('up reports it when a hook released the port before the link came up', async () => {
    host.write(`${file()}`.replace('ListenPort', `PreUp = wg set %i listen-port ${PORT}\nListenPort`));
    await hold(host.namespace, 4, '0.0.0.0');
    const upped = await host.wgts('up');
    expect(upped.code).toBe(1);
    expect(upped.stderr).toContain('Address already in use');
  });

  it('a link that comes up later opens the port once it is free, without a packet', async () => {
    expect((await host.wgts('up')).code).toBe(0);
    await host.namespace.ip(`link set ${host.name} down`);
    await until('the port to be closed', async () => !(await bound()).includes(`:${PORT} `));
    const free = await hold(host.namespace, 4, '0.0.0.0');
    await host.namespace.ip(`link set ${host.name} up`);
    const set = await wgts('set', host.name, 'listen-port', String(PORT));
    expect([set.code, set.stderr]).toEqual([1, expect.stringMatching(inUse('IPv4'))]);
    await free();
    await until('the port to be open', async () => (await bound()).includes(`:${PORT} `));
  });

  it('the error names the interface of another wireguard-ts', async () => {
    expect((await host.wgts('up')).code).toBe(0);
    const other = lab.interfaceName();
    lab.owns(`${SOCKET_DIRECTORY}/${other}.sock`);
    const upped = await host.namespace.run([...WGTS, 'up', lab.file(file(), `${other}.conf`)], { mayFail: true });
    expect(upped.code).toBe(1);
    expect(upped.stderr).toMatch(
      new RegExp(`UDP port ${PORT} is in use, by process [0-9]+ \\(wireguard-ts ${host.name}\\) for IPv4 and IPv6:`),
    );
  });
});

/**
 * Common tools: wg-quick, the Go client wgctrl, and Wireshark with our key log.
 *
 * @module-tag slow
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { builtOnce } from '../support/built-once.ts';
import { capture, tsharkFields } from './capture.ts';
import { printed, run, until } from './command.ts';
import { ROOT, SOCKET_DIRECTORY, startDevice } from './device.ts';
import { keyPair, presharedKey } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_A, INNER_B, OUTER_A, OUTER_B, PORT_A, PORT_B, tunnelPair } from './pair.ts';
import { mustPing } from './traffic.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab?.close());

describeWith([...NETWORK, 'wg-quick'], 'wg-quick', () => {
  it('brings a conf file with two peers up and down, with WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-ts', async () => {
    const [a, b, c] = await Promise.all([lab.namespace('a'), lab.namespace('b'), lab.namespace('c')]);
    await lab.cable(a, 'eth0', ['10.0.0.1/24'], b, 'eth0', ['10.0.0.2/24']);
    await lab.cable(a, 'eth1', ['10.0.1.1/24'], c, 'eth0', ['10.0.1.3/24']);
    const [keyA, keyB, keyC] = [keyPair(), keyPair(), keyPair()];
    const psk = presharedKey();
    const others = [
      [b, keyB, '192.168.9.2/24', '10.0.0.1', undefined],
      [c, keyC, '192.168.9.3/24', '10.0.1.1', psk],
    ] as const;
    for (const [namespace, keys, address, outer, secret] of others) {
      const device = await startDevice(lab, namespace);
      const preshared = secret === undefined ? {} : { presharedKey: secret };
      const peer = {
        publicKey: keyA.publicKey,
        endpoint: `${outer}:5000`,
        allowedIps: ['192.168.9.1/32'],
        ...preshared,
      };
      await device.set({ privateKey: keys.privateKey, listenPort: 5000, peers: [peer] });
      await device.up([address]);
    }
    const name = lab.interfaceName();
    lab.owns(join(SOCKET_DIRECTORY, `${name}.sock`));
    const conf = lab.file(
      `[Interface]
Address = 192.168.9.1/24, fd09::1/64
PrivateKey = ${keyA.privateKey}
ListenPort = 5000
MTU = 1400
FwMark = 0x77
[Peer] # b
PublicKey = ${keyB.publicKey}
AllowedIPs = 192.168.9.2/32, fd09::2/128
Endpoint = 10.0.0.2:5000
[Peer]
PublicKey = ${keyC.publicKey}
PresharedKey = ${psk}
AllowedIPs = 192.168.9.3/32
Endpoint = 10.0.1.3:5000
PersistentKeepalive = 7
`,
      `${name}.conf`,
    );
    // As npm would link it.
    symlinkSync(join(ROOT, 'bin/wireguard-ts'), join(lab.directory, 'wireguard-ts'));
    const env = {
      WG_QUICK_USERSPACE_IMPLEMENTATION: 'wireguard-ts',
      PATH: `${lab.directory}:${process.env['PATH'] ?? ''}`,
    };
    const up = await a.run(['wg-quick', 'up', conf], { env });
    expect(up.stderr).toContain('[#] wireguard-ts ');
    await mustPing(a, '192.168.9.2', { count: 3 });
    await mustPing(a, '192.168.9.3', { count: 3 });
    const shown = (await a.run(['wg', 'showconf', name])).stdout;
    expect(shown).toContain('PersistentKeepalive = 7');
    expect(shown).toContain('FwMark = 0x77');
    expect((await a.run(['ip', '-o', 'link', 'show', name])).stdout).toContain('mtu 1400');
    // Its own showconf output can be loaded again and changes nothing.
    await a.run(['wg', 'syncconf', name, lab.file(shown)]);
    await mustPing(a, '192.168.9.2');
    await a.run(['wg-quick', 'down', conf], { env });
    await until('its end', () => !existsSync(join(SOCKET_DIRECTORY, `${name}.sock`)));
  });
});

describeWith([...NETWORK, 'go'], 'wgctrl', () => {
  it('the Go client lists our device as wg does', async () => {
    // Kept between runs, so the module proxy is asked only once.
    const wgctrl = await builtOnce('wgctrl', async program => {
      await run(['go', 'install', 'golang.zx2c4.com/wireguard/wgctrl/cmd/wgctrl@latest'], {
        env: { GOBIN: dirname(program) },
        timeout: 300_000,
      });
    });
    const host = await lab.namespace('go');
    const device = await startDevice(lab, host);
    const [own, peer] = [keyPair(), keyPair()];
    await device.set({
      privateKey: own.privateKey,
      listenPort: 4242,
      fwmark: 7,
      peers: [
        {
          publicKey: peer.publicKey,
          endpoint: '192.0.2.1:1',
          allowedIps: ['10.0.0.0/8', 'fd00::/8'],
          presharedKey: presharedKey(),
          keepalive: 25,
        },
      ],
    });
    const { stdout } = await host.run([wgctrl, device.name]);
    expect(stdout).toContain(`interface: ${device.name} (userspace)`);
    for (const line of [
      `public key: ${own.publicKey}`,
      'listening port: 4242',
      `peer: ${peer.publicKey}`,
      'endpoint: 192.0.2.1:1',
      'allowed ips: 10.0.0.0/8, fd00::/8',
    ])
      expect(stdout).toContain(line);
  });
});

describeWith([...NETWORK, 'tcpdump', 'tshark'], 'Wireshark', () => {
  it('tshark decrypts a session with our key log, as initiator and as responder, with a preshared key', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wireguard-keys-'));
    const logs = { a: join(folder, 'a'), b: join(folder, 'b') };
    const options = {
      psk: true,
      initiator: 'a',
      startA: { env: { WG_KEYLOGFILE: logs.a } },
      startB: { env: { WG_KEYLOGFILE: logs.b } },
    } as const;
    const pair = await tunnelPair(options);
    try {
      const cable = await capture(pair.lab, pair.a.namespace, 'eth0');
      await mustPing(pair.a.namespace, INNER_B[4], { count: 3 });
      await cable.stop();
      await printed(pair.a.device.process!, /WARNING.*WG_KEYLOGFILE/s);
      for (const [side, log] of Object.entries(logs)) {
        expect(statSync(log).mode & 0o777).toBe(0o600);
        const labels = new Set(
          readFileSync(log, 'utf8')
            .trim()
            .split('\n')
            .map(line => line.split(' = ')[0]),
        );
        expect([...labels].sort()).toEqual([
          'LOCAL_EPHEMERAL_PRIVATE_KEY',
          'LOCAL_STATIC_PRIVATE_KEY',
          'PRESHARED_KEY',
          'REMOTE_STATIC_PUBLIC_KEY',
        ]);
        const filter = 'icmp && wg.type == 4';
        const port = side === 'a' ? PORT_A : PORT_B;
        const pings = await tsharkFields(cable.file, log, filter, ['ip.src', 'ip.dst', 'icmp.type'], port);
        // Outer and inner address of each field.
        expect(pings).toHaveLength(6);
        expect(pings[0]).toEqual([`${OUTER_A[4]},${INNER_A[4]}`, `${OUTER_B[4]},${INNER_B[4]}`, '8']);
        const initiator = await tsharkFields(
          cable.file,
          log,
          'wg.type == 1',
          ['wg.static.known_pubkey', 'wg.timestamp.value'],
          port,
        );
        expect(initiator).toHaveLength(1);
        expect(initiator[0]![1]).not.toBe('');
      }
    } finally {
      await pair.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('writes nothing and prints nothing without the variable', async () => {
    const pair = await tunnelPair({ startA: { env: { WG_KEYLOGFILE: '' } } });
    try {
      await mustPing(pair.a.namespace, INNER_B[4]);
      expect(pair.a.device.process!.output()).toBe('');
    } finally {
      await pair.close();
    }
  });
});

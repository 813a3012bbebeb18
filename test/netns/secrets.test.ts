/**
 * Keys in memory: no more copies than in wireguard-go, none of a replaced key, and no core dump
 * that would contain them. The test searches the process's whole memory.
 *
 * @module-tag slow
 */
import { createPrivateKey, createPublicKey, diffieHellman, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { OWN_RUN } from '../cli/run-program.ts';
import { HANG_MS } from '../support/patience.ts';
import { sleep, until } from './command.ts';
import { commandOf, type Device, SOCKET_DIRECTORY, startDevice } from './device.ts';
import { keyPair } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { type Copies, copiesOf } from './memory.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost, WGTS } from './quick-host.ts';

/** wireguard-go's numbers for raw and hex. No daemon needs base64. */
const MOST: Copies = { raw: 3, hex: 3, base64: 0 };
const NONE: Copies = { raw: 0, hex: 0, base64: 0 };

const bytes = (base64: string) => Buffer.from(base64, 'base64');
const newKey = () => bytes(keyPair().privateKey);

describeWith([...NETWORK, 'python3'], 'keys in memory', () => {
  let lab: Lab;
  let host: Namespace;
  beforeEach(async () => {
    lab = new Lab();
    host = await lab.namespace('secret');
  });
  afterEach(() => lab?.close());

  const atMost = (copies: Copies, most: Copies, what: string) => {
    for (const form of ['raw', 'hex', 'base64'] as const)
      expect(copies[form], `${what}, ${form}: ${JSON.stringify(copies)}`).toBeLessThanOrEqual(most[form]);
  };

  const BACKENDS = [[['--backend=native']], [['--aead=openssl']], [['--backend=pure']]];
  it.each(BACKENDS)(
    '%j: a hundred dumps leave no copy, and a replaced key is erased',
    async args => {
      const device: Device = await startDevice(lab, host, 'ours', { args });
      const pid = device.process!.pid;
      const other = keyPair();
      const peer = other.publicKey;
      const [first, second, psk, nextPsk] = [newKey(), newKey(), randomBytes(32), randomBytes(32)];
      const give = (privateKey: Buffer, presharedKey: Buffer) =>
        device.set({
          privateKey: privateKey.toString('base64'),
          peers: [{ publicKey: peer, presharedKey: presharedKey.toString('base64') }],
        });
      await give(first, psk);
      await device.up(['10.0.0.1/24']);
      for (let i = 0; i < 100; i++) {
        await device.show('dump');
        // A client of our own.
        if (i % 25 === 0) await host.run([...WGTS, 'showconf', device.name]);
      }
      // The search does find existing copies.
      expect(copiesOf(first, pid).raw).toBeGreaterThan(0);
      atMost(copiesOf(first, pid), MOST, 'the private key');
      atMost(copiesOf(psk, pid), MOST, 'the preshared key');
      // The shared secret of both static keys, computed once and kept.
      const [shared, nextShared] = [sharedOf(first, other.privateKey), sharedOf(second, other.privateKey)];
      expect(copiesOf(shared, pid)).toEqual({ raw: 1, hex: 0, base64: 0 });
      await give(second, nextPsk);
      await until('the old private key to be gone', () => same(copiesOf(first, pid), NONE), HANG_MS, 1000);
      await until('the old preshared key to be gone', () => same(copiesOf(psk, pid), NONE), HANG_MS, 1000);
      await until('the old shared secret to be gone', () => same(copiesOf(shared, pid), NONE), HANG_MS, 1000);
      await device.wg('set', device.name, 'private-key', '/dev/null', 'peer', peer, 'remove');
      await until('the private key to be gone', () => same(copiesOf(second, pid), NONE), HANG_MS, 1000);
      await until('the preshared key to be gone', () => same(copiesOf(nextPsk, pid), NONE), HANG_MS, 1000);
      expect(copiesOf(nextShared, pid)).toEqual(NONE);
    },
    240_000,
  );

  it('wgts up --watch keeps a file’s keys only as bytes, and erases those of the previous file', async () => {
    const quick = await QuickHost.start(lab, 'watch');
    const [first, second, psk] = [newKey(), newKey(), randomBytes(32)];
    const peer = keyPair().publicKey;
    const file = (key: Buffer) =>
      `[Interface]\nAddress = 10.9.0.2/24\nprivatekey=${key.toString('base64')} # secret\n[Peer]\nPublicKey = ${peer}\nPresharedKey = ${psk.toString('base64')}\nAllowedIPs = 10.9.0.0/24\n`;
    quick.write(file(first));
    const watching = quick.startWgts(['up', '--watch'], { WGTS_WATCH_INTERVAL: '0.2' });
    const runsWith = async (key: Buffer) => {
      const shown = await quick.namespace.run(['wg', 'show', quick.name, 'private-key'], { mayFail: true });
      return shown.stdout.trim() === key.toString('base64');
    };
    await until('the tunnel', () => runsWith(first));
    // From time to time it reads the device.
    await sleep(2000);
    atMost(copiesOf(first, watching.pid), { ...MOST, hex: 0 }, 'the private key');
    atMost(copiesOf(psk, watching.pid), { ...MOST, hex: 0 }, 'the preshared key');
    quick.write(file(second));
    process.kill(watching.pid, 'SIGHUP');
    await until('the new key', () => runsWith(second));
    await until('the old key to be gone', () => same(copiesOf(first, watching.pid), NONE), HANG_MS, 1000);
    expect((await watching.stop()).code).toBe(0);
  });

  it('wgts calico reads its key repeatedly and keeps no copy', async () => {
    const [cluster, keys] = [join(lab.directory, 'cluster'), join(lab.directory, 'keys')];
    mkdirSync(cluster);
    const objects = {
      node: 'apiVersion: v1\nkind: Node\nmetadata:\n  name: node-1\n  annotations:\n    projectcalico.org/IPv4Address: 192.0.2.1/24\n',
      pool: `${CALICO}IPPool\nmetadata: {name: default-ipv4-ippool}\nspec: {cidr: 10.244.0.0/16, blockSize: 26}\n`,
      felix: `${CALICO}FelixConfiguration\nmetadata: {name: default}\nspec: {wireguardEnabled: true}\n`,
    };
    for (const [file, text] of Object.entries(objects)) writeFileSync(join(cluster, `${file}.yaml`), text);
    await host.ip(
      'link add eth0 type veth peer name eth1',
      'addr add 192.0.2.1/24 dev eth0',
      'link set eth0 up',
      'link set eth1 up',
    );
    const options = ['--node', 'node-1', '--cluster-from', cluster, '--key-dir', keys, '--allocate'];
    const agent = host.start([...OWN_RUN, ...WGTS, 'calico', ...options]);
    await until('its tunnel', () => agent.output().includes('EncryptionReady'));
    const link = /^link (\S+): created/m.exec(agent.output())![1]!;
    // Each change makes it read the key and the device again.
    for (let i = 0; i < 3; i++) {
      await host.ip(`link set ${link} mtu ${1300 + i}`);
      await sleep(1500);
    }
    const key = bytes(readFileSync(join(keys, 'private-key'), 'latin1').trim());
    await until('its copies to be gone', () => same(copiesOf(key, agent.pid), NONE), HANG_MS, 1000);
    await agent.stop();
  });

  it('neither the daemon nor wgts up --watch, which hold keys for long, dump core, whatever the limit', async () => {
    const name = lab.interfaceName();
    lab.owns(join(SOCKET_DIRECTORY, `${name}.sock`));
    const quick = await QuickHost.start(lab, 'watch');
    quick.write(`[Interface]\nPrivateKey = ${keyPair().privateKey}\n`);
    for (const [where, argv, tunnel] of [
      [host, [...commandOf('ours'), '-f', name], name],
      [quick.namespace, [...WGTS, 'up', '--watch', quick.file], quick.name],
    ] as const) {
      const running = where.start(['python3', '-c', DUMPED, ...argv], { cwd: lab.directory });
      await until(`${tunnel} to run`, async () => {
        if (running.result()) throw new Error(running.output());
        return (await where.run(['wg', 'show', tunnel], { mayFail: true })).code === 0;
      });
      const pid = Number(/^pid ([0-9]+)$/m.exec(running.stdout())?.[1]);
      expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max core file size +0 +unlimited/m);
      process.kill(pid, 'SIGQUIT');
      // A device that it started lives on and holds its output.
      await until('its end', () => running.stdout().includes('ended by'));
      expect(running.stdout()).toMatch(/^ended by 3, dumped: False$/m);
    }
  });
});

const CALICO = 'apiVersion: crd.projectcalico.org/v1\nkind: ';

/**
 * Runs a program without a limit on core dumps, and reports whether it dumped when a signal ended
 * it.
 */
const DUMPED = `
import os, resource, sys
pid = os.fork()
if pid == 0:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.execvp(sys.argv[1], sys.argv[1:])
print('pid', pid, flush=True)
_, status = os.waitpid(pid, 0)
print(f'ended by {os.WTERMSIG(status)}, dumped: {os.WCOREDUMP(status)}', flush=True)
`;

/** Returns the X25519 secret of a private key and another's public key. */
function sharedOf(privateKey: Buffer, other: string): Buffer {
  const key = (raw: Buffer) => createPrivateKey({ key: Buffer.concat([PKCS8, raw]), format: 'der', type: 'pkcs8' });
  return diffieHellman({ privateKey: key(privateKey), publicKey: createPublicKey(key(bytes(other))) });
}

/** RFC 8410: the prefix of the 32 bytes of an X25519 key. */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

function same(a: Copies, b: Copies): boolean {
  return a.raw === b.raw && a.hex === b.hex && a.base64 === b.base64;
}

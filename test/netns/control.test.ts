/**
 * Behaviours 36 to 39 and 41 of the kernel's netns test: keys set, cleared, clamped and refused.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LOW_ORDER } from '../support/low-order.ts';
import { capture } from './capture.ts';
import { sleep, until } from './command.ts';
import { type Device, PROGRAM, startDevice } from './device.ts';
import { keyPair, presharedKey } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';

const LOW_ORDER_KEYS = LOW_ORDER.map(key => Buffer.from(key).toString('base64'));

describeWith([...NETWORK, 'tcpdump'], `control (${PROGRAM})`, () => {
  let lab: Lab;
  let host: Namespace;
  let device: Device;
  beforeEach(async () => {
    lab = new Lab();
    host = await lab.namespace('ctl');
    device = await startDevice(lab, host);
  });
  afterEach(() => lab?.close());

  it('#36: showing an interface that does not exist fails', async () => {
    const { code } = await host.run(['wg', 'show', 'doesnotexist'], { mayFail: true });
    expect(code).not.toBe(0);
    expect((await host.run(['wg', 'show', device.name])).stdout).toContain(device.name);
  });

  it('#37: private and preshared key can be set, read back, and cleared with an empty file', async () => {
    const own = keyPair();
    const peer = keyPair().publicKey;
    const psk = presharedKey();
    await device.set({ privateKey: own.privateKey, peers: [{ publicKey: peer, presharedKey: psk }] });
    expect(await device.show('private-key')).toBe(own.privateKey);
    expect(await device.show('preshared-keys')).toBe(`${peer}\t${psk}`);
    await device.wg('set', device.name, 'private-key', '/dev/null', 'peer', peer, 'preshared-key', '/dev/null');
    expect(await device.show('private-key')).toBe('(none)');
    expect(await device.show('public-key')).toBe('(none)');
    expect(await device.show('preshared-keys')).toBe(`${peer}\t(none)`);
  });

  it('#38: setting a peer’s key as the interface’s removes the peer; it is ignored when added, and accepted after a change', async () => {
    const own = keyPair();
    const other = keyPair();
    await device.set({ peers: [{ publicKey: own.publicKey, allowedIps: ['10.0.0.1/32'] }] });
    expect(await device.show('peers')).toBe(own.publicKey);
    await device.set({ privateKey: own.privateKey });
    expect(await device.show('peers')).toBe('');
    await device.set({ peers: [{ publicKey: own.publicKey, allowedIps: ['10.0.0.1/32'] }] });
    expect(await device.show('peers')).toBe('');
    await device.set({ privateKey: other.privateKey });
    await device.set({ peers: [{ publicKey: own.publicKey, allowedIps: ['10.0.0.1/32'] }] });
    expect(await device.show('peers')).toBe(own.publicKey);
  });

  it('#39: a private key reads back clamped', async () => {
    const raw = Buffer.from(keyPair().privateKey, 'base64');
    raw[0]! |= 7;
    raw[31]! |= 128;
    const clamped = Buffer.from(raw);
    clamped[0]! &= 248;
    clamped[31] = (clamped[31]! & 127) | 64;
    await device.set({ privateKey: raw.toString('base64') });
    expect(await device.show('private-key')).toBe(clamped.toString('base64'));
    // The kernel's own example: '/' is all ones, and loses its last bits to become '+'.
    const slash = Buffer.from(`/${'A'.repeat(42)}=`, 'base64').toString('base64');
    await device.set({ privateKey: slash });
    expect((await device.show('private-key')).startsWith('+')).toBe(true);
  });

  it('#41: sends nothing to peers with low-order public keys', async () => {
    const seen = await capture(lab, host, 'lo', 'udp port 1111');
    await device.set({
      privateKey: keyPair().privateKey,
      peers: LOW_ORDER_KEYS.map((publicKey, i) => ({
        publicKey,
        endpoint: '127.0.0.1:1111',
        keepalive: 1,
        allowedIps: [`192.168.7.${i + 1}/32`],
      })),
    });
    await device.up(['192.168.7.100/24']);
    await host.run(['ping', '-c', '2', '-W', '1', '192.168.7.2'], { mayFail: true });
    await sleep(2_000);
    expect((await seen.stop()).length).toBe(0);
    // Control: the same with a valid key does send.
    const control = await capture(lab, host, 'lo', 'udp port 1111');
    await device.set({ peers: [{ publicKey: keyPair().publicKey, endpoint: '127.0.0.1:1111', keepalive: 1 }] });
    await until('an initiation', () => control.hasAny());
    expect((await control.stop()).length).toBeGreaterThan(0);
  });
});

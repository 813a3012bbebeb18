/**
 * Behaviour 19 of the kernel's netns test: a NAT that forgets after two seconds, and persistent
 * keepalive against it.
 *
 * @module-tag slow
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sleep, until } from './command.ts';
import { type Device, PROGRAM, startDevice } from './device.ts';
import { keyPair } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { mustPing, ping } from './traffic.ts';

describeWith([...NETWORK, 'nft'], `NAT (${PROGRAM})`, () => {
  const client = keyPair();
  const server = keyPair();
  let lab: Lab;
  let inside: Namespace;
  let outside: Namespace;
  let clientDevice: Device;
  let serverDevice: Device;

  beforeAll(async () => {
    lab = new Lab();
    inside = await lab.namespace('in');
    outside = await lab.namespace('out');
    const router = await lab.namespace('nat');
    await lab.cable(inside, 'eth0', ['192.168.1.100/24'], router, 'lan', ['192.168.1.1/24']);
    await lab.cable(router, 'wan', ['10.0.0.1/24'], outside, 'eth0', ['10.0.0.100/24']);
    await inside.ip('route add default via 192.168.1.1');
    await router.nft(
      'table ip nat { chain out { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }; }',
    );
    await router.sysctl(
      'net.ipv4.ip_forward=1',
      'net.netfilter.nf_conntrack_udp_timeout=2',
      'net.netfilter.nf_conntrack_udp_timeout_stream=2',
    );
    clientDevice = await startDevice(lab, inside);
    serverDevice = await startDevice(lab, outside);
    await serverDevice.set({
      privateKey: server.privateKey,
      listenPort: 2,
      peers: [{ publicKey: client.publicKey, allowedIps: ['192.168.241.1/32'] }],
    });
    await serverDevice.up(['192.168.241.2/24']);
    await clientDevice.set({
      privateKey: client.privateKey,
      listenPort: 1,
      peers: [
        { publicKey: server.publicKey, endpoint: '10.0.0.100:2', allowedIps: ['192.168.241.2/32'], keepalive: 1 },
      ],
    });
    await clientDevice.up(['192.168.241.1/24']);
  });
  afterAll(() => lab?.close());

  it('#19: the server sees the NAT’s address as the endpoint', async () => {
    await mustPing(inside, '192.168.241.2');
    expect(await serverDevice.show('endpoints')).toBe(`${client.publicKey}\t10.0.0.1:1`);
  });

  it('#19: persistent keepalive of one second keeps the mapping for three, so the server can reach the client', async () => {
    await sleep(3_000);
    await mustPing(outside, '192.168.241.1');
  });

  it('#19: without keepalives the mapping expires, and enabling them opens it again', async () => {
    await clientDevice.set({ peers: [{ publicKey: server.publicKey, keepalive: 0 }] });
    await sleep(3_500);
    expect((await ping(outside, '192.168.241.1', { count: 2 })).received).toBe(0);
    await clientDevice.set({ peers: [{ publicKey: server.publicKey, keepalive: 1 }] });
    const answers = async (): Promise<boolean> => (await ping(outside, '192.168.241.1', { count: 1 })).received === 1;
    await until('the way back', answers);
  });
});

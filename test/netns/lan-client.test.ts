/**
 * A gateway whose tunnel carries another tunnel: a host of its LAN, masqueraded, speaks WireGuard
 * with the very endpoint that the gateway speaks with, from the same port. Only what the gateway
 * itself sent may be taken for a routing loop.
 *
 *     client eth0 192.168.1.100 fd00:1::100 ---- lan :gateway: wan 198.51.100.1 2001:db8::1 ---- eth0 198.51.100.7 2001:db8::7 :far
 *     gateway wg 10.9.0.1 fd00:9::1 ==== 10.9.0.2 fd00:9::2 :far            client wg 10.8.0.1 ==== 10.8.0.2 :far, inside the former
 *
 * @module-tag slow
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Family } from '../../src/base/family.ts';
import { sleep } from './command.ts';
import { type Device, PROGRAM, startDevice } from './device.ts';
import { keyPair } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { mustPing, ping } from './traffic.ts';

const PORT = 51820;
const FAR = { 4: '198.51.100.7', 6: '2001:db8::7' } as const;
const endpointOf = { 4: `${FAR[4]}:${PORT}`, 6: `[${FAR[6]}]:${PORT}` } as const;

describeWith([...NETWORK, 'nft'], `a LAN client with the gateway’s own endpoint (${PROGRAM})`, () => {
  const [gatewayKeys, clientKeys, farKeys] = [keyPair(), keyPair(), keyPair()];
  let lab: Lab;
  let gateway: Namespace;
  let client: Namespace;
  let far: Namespace;
  let gatewayDevice: Device;
  let clientDevice: Device;
  let farDevice: Device;

  beforeEach(async () => {
    lab = new Lab();
    client = await lab.namespace('cli');
    gateway = await lab.namespace('gw');
    far = await lab.namespace('far');
    await gateway.sysctl('net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    await lab.cable(client, 'eth0', ['192.168.1.100/24', 'fd00:1::100/64'], gateway, 'lan', [
      '192.168.1.1/24',
      'fd00:1::1/64',
    ]);
    await lab.cable(gateway, 'wan', ['198.51.100.1/24', '2001:db8::1/64'], far, 'eth0', [
      `${FAR[4]}/24`,
      `${FAR[6]}/64`,
    ]);
    await client.ip('route add default via 192.168.1.1', 'route add ::/0 via fd00:1::1');
    [gatewayDevice, clientDevice, farDevice] = await Promise.all([
      startDevice(lab, gateway),
      startDevice(lab, client),
      startDevice(lab, far),
    ]);
    await farDevice.set({
      privateKey: farKeys.privateKey,
      listenPort: PORT,
      peers: [
        { publicKey: gatewayKeys.publicKey, allowedIps: ['10.9.0.1/32', 'fd00:9::1/128'] },
        { publicKey: clientKeys.publicKey, allowedIps: ['10.8.0.1/32'] },
      ],
    });
    await farDevice.up(['10.9.0.2/24', 'fd00:9::2/64', '10.8.0.2/24']);
  });
  afterEach(() => lab?.close());

  async function upGateway(outer: Family): Promise<void> {
    await gatewayDevice.set({
      privateKey: gatewayKeys.privateKey,
      listenPort: PORT,
      peers: [{ publicKey: farKeys.publicKey, endpoint: endpointOf[outer], allowedIps: ['0.0.0.0/0', '::/0'] }],
    });
    await gatewayDevice.up(['10.9.0.1/24', 'fd00:9::1/64']);
    await mustPing(gateway, '10.9.0.2');
  }

  it.each([4, 6] as const)('over IPv%i: the client’s tunnel works inside the gateway’s', async outer => {
    await upGateway(outer);
    await gateway.ip(
      `route add default dev ${gatewayDevice.name} table 100`,
      `route add ::/0 dev ${gatewayDevice.name} table 100`,
      'rule add iif lan table 100',
    );
    await gateway.run(['ip', '-6', 'rule', 'add', 'iif', 'lan', 'table', '100']);
    const nat = `chain out { type nat hook postrouting priority srcnat; oifname "${gatewayDevice.name}" masquerade; }`;
    await gateway.nft(`table inet masquerading { ${nat}; }`);
    await clientDevice.set({
      privateKey: clientKeys.privateKey,
      listenPort: PORT,
      peers: [{ publicKey: farKeys.publicKey, endpoint: endpointOf[outer], allowedIps: ['10.8.0.2/32'] }],
    });
    await clientDevice.up(['10.8.0.1/24'], 1280);
    expect((await ping(client, '10.8.0.2', { count: 3, wait: 20 })).received).toBe(3);
    // As the far end sees it: the gateway's address and port, so only the content differs.
    const { endpoint } = await farDevice.peer(clientKeys.publicKey);
    expect(endpoint).toBe(outer === 4 ? `10.9.0.1:${PORT}` : `[fd00:9::1]:${PORT}`);
    // Large packets, in fragments.
    await mustPing(client, '10.8.0.2', { count: 3, size: 3000 });
  });

  it.each([
    ['unchanged', ''],
    ['with its ports changed by NAT', 'masquerade random'],
    ['with its address changed by NAT', 'snat ip to 10.9.0.99'],
  ])('a loop of the gateway’s own is still stopped: %s', async (_, change) => {
    await upGateway(4);
    const { name } = gatewayDevice;
    if (change !== '')
      await gateway.nft(
        `table ip mangling { chain out { type nat hook postrouting priority srcnat; oifname "${name}" udp dport ${PORT} ${change}; }; }`,
      );
    const before = (await gatewayDevice.peer()).tx;
    await gateway.ip(`route add ${FAR[4]}/32 dev ${name}`);
    expect((await ping(gateway, '10.9.0.2', { count: 3 })).received).toBe(0);
    await sleep(1000);
    expect((await gatewayDevice.peer()).tx - before).toBeLessThan(10_000);
    await gateway.ip(`route del ${FAR[4]}/32 dev ${name}`);
    await mustPing(gateway, '10.9.0.2');
  });
});

/** The MTU that `wgts up` chooses, on the kernel's own routes. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost } from './quick-host.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab?.close());

const peer = (endpoint: string) => `[Peer]\nPublicKey = ${keyPair().publicKey}\nEndpoint = ${endpoint}\n`;

describeWith(NETWORK, 'the MTU of an interface', () => {
  it.each([
    ['1400 and 1500: 1320', ['198.51.100.1:1', '203.0.113.1:1'], 1320],
    ["a route's own", ['203.0.113.1:1', '203.0.113.77:1'], 1270],
    ['IPv6, and an endpoint without a path', ['[2001:db8:2::1]:1', '[2001:db8:3::1]:1'], 1320],
    ['loopback beside another', ['127.0.0.1:1', '203.0.113.1:1'], 1420],
    ['no peers: the default route', [], 1370],
  ])('%s', async (_, endpoints, mtu) => {
    const host = await QuickHost.start(lab, 'mtu');
    await host.namespace.ip(
      'link add narrow type veth peer name narrow-far',
      'link set narrow mtu 1400 up',
      'link set narrow-far up',
      'link add wide type veth peer name wide-far',
      'link set wide mtu 1500 up',
      'link set wide-far up',
      'route add 198.51.100.0/24 dev narrow',
      'route add 2001:db8:2::/48 dev narrow',
      'route add 203.0.113.0/24 dev wide',
      'route add 203.0.113.77 dev wide mtu 1350',
      'route add unreachable 2001:db8:3::/48',
    );
    host.write(
      `[Interface]\nAddress = 10.9.0.2/24\nPrivateKey = ${keyPair().privateKey}\n${endpoints.map(peer).join('')}`,
    );
    const upped = await host.wgts('up');
    expect(upped.code, upped.stderr).toBe(0);
    const { stdout } = await host.namespace.run(['cat', `/sys/class/net/${host.name}/mtu`]);
    expect(Number(stdout)).toBe(mtu);
    expect((await host.wgts('down')).code).toBe(0);
  });
});

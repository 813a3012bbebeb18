/**
 * How containers and Kubernetes nodes affect `up`: read-only sysctls, disabled IPv6, marks that
 * others use.
 */
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import { parsePrefix } from '../../src/base/prefix.ts';
import { Network } from '../../src/netlink/network.ts';
import { lacksIpv6 } from '../../src/quick/ipv6.ts';
import { down, reload, save, up } from '../../src/quick/quick.ts';
import { FakeMachine, type Process, target } from './fake-machine.ts';

const KEY = 'oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=';
const PEER = 'GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=';
const full = (settings = '', allowed = '0.0.0.0/0') =>
  `[Interface]\nAddress = 10.9.0.2/24\nPrivateKey = ${KEY}\n${settings}\n[Peer]\nPublicKey = ${PEER}\nAllowedIPs = ${allowed}\nEndpoint = 198.51.100.1:51820\n`;

async function onMachine(
  run: (machine: FakeMachine, process: Process, network: Network) => Promise<void>,
): Promise<void> {
  const machine = await FakeMachine.start();
  const process = machine.process();
  const network = new Network(machine.kernel);
  try {
    await run(machine, process, network);
  } finally {
    network.close();
    process.close();
  }
}

describe('a read-only src_valid_mark', () => {
  const refusal = Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });

  test.each([
    ['strict for all', { 'all/rp_filter': '1', 'eth0/rp_filter': '0' }],
    ['the uplink strict', { 'all/rp_filter': '0', 'eth0/rp_filter': '1' }],
  ])('%s: an error that names the sysctl and the way, and nothing is left', (_, settings) =>
    onMachine(async (machine, { host }) => {
      machine.markRefusal = refusal;
      for (const [path, value] of Object.entries(settings)) machine.sysctls.set(`net/ipv4/conf/${path}`, value);
      const before = machine.picture();
      await expect(up(host, target(full()))).rejects.toMatchObject({
        code: 'ESYSCTL',
        message: expect.stringMatching(
          /^net\.ipv4\.conf\.all\.src_valid_mark cannot be set to 1 \(EROFS.*eth0 drops.*net\.ipv4\.conf\.eth0\.rp_filter is 1.*docker run --sysctl net\.ipv4\.conf\.all\.src_valid_mark=1/,
        ),
      });
      expect(machine.picture()).toEqual(before);
    }),
  );

  test.each([
    ['strict nowhere', { 'all/rp_filter': '0', 'eth0/rp_filter': '0' }],
    ['loose for all, which wins', { 'all/rp_filter': '2', 'eth0/rp_filter': '1' }],
    ['the uplink loose', { 'all/rp_filter': '1', 'eth0/rp_filter': '2' }],
    ['the uplink has its own mark', { 'all/rp_filter': '1', 'eth0/src_valid_mark': '1' }],
    [
      'another link strict, which leads to no peer',
      { 'all/rp_filter': '0', 'eth0/rp_filter': '0', 'eth9/rp_filter': '1' },
    ],
    ['the tunnel itself strict', { 'wg0/rp_filter': '1', 'lo/rp_filter': '1' }],
  ])('%s: up warns and succeeds, and down has nothing to restore', (_, settings) =>
    onMachine(async (machine, { host, warned }, network) => {
      machine.markRefusal = refusal;
      await network.links.create({ name: 'eth9', kind: 'dummy', up: true });
      for (const [path, value] of Object.entries(settings)) machine.sysctls.set(`net/ipv4/conf/${path}`, value);
      const before = machine.picture();
      await up(host, target(full()));
      expect(warned).toEqual([
        expect.stringMatching(/src_valid_mark cannot be set to 1 \(EROFS.*not needed while no path/),
      ]);
      expect(await network.links.find('wg0')).toBeDefined();
      await down(host, target(full()));
      expect(machine.picture()).toEqual(before);
      expect(warned).toHaveLength(1);
    }),
  );

  test('is not written where it is 1 already, or without a default route', () =>
    onMachine(async (machine, { host, warned, steps }) => {
      machine.markRefusal = refusal;
      machine.sysctls.set('net/ipv4/conf/all/rp_filter', '1');
      await up(host, target(full('', '10.7.0.0/16')));
      machine.markValid = '1';
      await up(host, target(full().replace('10.9.0.2', '10.9.1.2'), 'wg1'));
      expect(warned).toEqual([]);
      expect(steps).not.toContain('mark valid');
    }));
});

describe('disabled IPv6', () => {
  const BOTH = full('Address = fd00:9::2/64\nSaveConfig = true', '0.0.0.0/0, ::/0, fd00:8::/48');
  const addresses = async (network: Network) =>
    (await network.addresses.list((await network.links.find('wg0'))!)).map(({ address }) => formatAddress(address));

  test.each([
    [
      'disabled for all',
      { 'all/disable_ipv6': '1', 'default/disable_ipv6': '1', 'eth0/disable_ipv6': '1' },
      'net.ipv6.conf.all.disable_ipv6 = 1',
    ],
    [
      'disabled for each',
      { 'all/disable_ipv6': '0', 'default/disable_ipv6': '1', 'eth0/disable_ipv6': '1' },
      'net.ipv6.conf.default.disable_ipv6 = 1',
    ],
    ['missing in the kernel', undefined, 'the kernel has none: ipv6.disable=1?'],
  ])('%s: up warns and omits IPv6, save keeps its addresses, and down leaves nothing', (_, settings, cause) =>
    onMachine(async (machine, { host, warned }, network) => {
      machine.sysctls.set('net/ipv4/ip_forward', '0');
      for (const [path, value] of Object.entries(settings ?? {})) machine.sysctls.set(`net/ipv6/conf/${path}`, value);
      const before = machine.picture();
      const wanted = target(BOTH);
      await up(host, wanted);
      expect(warned).toEqual([expect.stringContaining(`IPv6 is disabled here (${cause}): wg0 comes up without`)]);
      expect(await addresses(network)).toEqual(['10.9.0.2']);
      const picture = machine.picture();
      expect(JSON.stringify(picture['routes'])).not.toMatch(/::|fd00/);
      expect(JSON.stringify(picture['rules'])).not.toMatch(/IPv6 (not|table 254 suppress)/);
      expect(picture['firewall']).toEqual({ wg0: '51820 4 10.9.0.2' });
      // The device's own configuration follows the file.
      expect(JSON.stringify(picture['devices'])).toContain('fd00:8::/48');
      await save(host, wanted);
      expect(machine.files.get('/etc/wireguard/wg0.conf')).toMatch(
        /Address = 10\.9\.0\.2\/24\nAddress = fd00:9::2\/64\n/,
      );
      // When IPv6 comes back, a reload adds it.
      machine.sysctls.set('net/ipv6/conf/all/disable_ipv6', '0');
      for (const place of ['default', 'eth0', 'wg0']) machine.sysctls.set(`net/ipv6/conf/${place}/disable_ipv6`, '0');
      await reload(host, wanted);
      expect(await addresses(network)).toEqual(['10.9.0.2', 'fd00:9::2']);
      await down(host, wanted);
      expect(machine.files.get('/etc/wireguard/wg0.conf')!.match(/Address = fd00/g)).toHaveLength(1);
      expect(machine.picture()).toEqual(before);
    }),
  );

  test('save keeps the addresses that the kernel drops when IPv6 is disabled later', () =>
    onMachine(async (machine, { host }, network) => {
      machine.sysctls.set('net/ipv6/conf/all/disable_ipv6', '0');
      const wanted = target(BOTH);
      await up(host, wanted);
      const link = (await network.links.find('wg0'))!;
      const there = (await network.addresses.list(link)).find(({ address }) => address.length === 16)!;
      await save(host, wanted);
      expect(machine.files.get('/etc/wireguard/wg0.conf')!.match(/Address = fd00/g)).toHaveLength(1);
      await network.addresses.remove(link, there);
      machine.sysctls.set('net/ipv6/conf/wg0/disable_ipv6', '1');
      await down(host, wanted);
      expect(machine.files.get('/etc/wireguard/wg0.conf')).toContain('Address = fd00:9::2/64\n');
    }));

  test('disabled only for this interface: an error names the sysctl, since IPv6 would bypass the tunnel', () =>
    onMachine(async (machine, { host }) => {
      machine.sysctls.set('net/ipv6/conf/all/disable_ipv6', '0');
      machine.sysctls.set('net/ipv6/conf/eth0/disable_ipv6', '0');
      machine.sysctls.set('net/ipv6/conf/wg.a/disable_ipv6', '1');
      machine.sysctls.set('net/ipv6/conf/default/disable_ipv6', '1');
      const before = machine.picture();
      const error = up(host, target(BOTH, 'wg.a'));
      await expect(error).rejects.toMatchObject({
        code: 'ESYSCTL',
        message: expect.stringMatching(
          /^net\.ipv6\.conf\.default\.disable_ipv6 is 1, so wg\.a cannot have IPv6; IPv6 is on at eth0, .*docker run --sysctl net\.ipv6\.conf\.default\.disable_ipv6=0.*\/etc\/wireguard\/wg\.a\.conf$/,
        ),
      });
      expect(machine.picture()).toEqual(before);
    }));

  test('disabled on an existing interface: the same error', () =>
    onMachine(async (machine, { host }, network) => {
      for (const [place, value] of Object.entries({ all: '0', default: '0', eth0: '0', wg0: '1' }))
        machine.sysctls.set(`net/ipv6/conf/${place}/disable_ipv6`, value);
      const { name, index } = await network.links.create({ name: 'wg0', kind: 'wireguard' });
      const wanted = target(BOTH);
      await expect(lacksIpv6(host, wanted.file, await wanted.resolve(), { name, index } as never)).rejects.toThrow(
        /^net\.ipv6\.conf\.wg0\.disable_ipv6 is 1, .* it must stay 0 \(PreUp = sysctl -w net\.ipv6\.conf\.wg0\.disable_ipv6=0\)/,
      );
    }));

  test('disabled after the link was created: the error names the sysctl', () =>
    onMachine(async (machine, { host }) => {
      const before = machine.picture();
      machine.kernel.failNext('RTM_NEWADDR', 'EACCES');
      await expect(up(host, target(BOTH.replace('Address = 10.9.0.2/24\n', '')))).rejects.toMatchObject({
        code: 'ESYSCTL',
        message: expect.stringMatching(
          /^adding address fd00:9::2\/64 to wg0: EACCES.*: net\.ipv6\.conf\.wg0\.disable_ipv6 is 1/,
        ),
      });
      expect(machine.picture()).toEqual(before);
    }));

  test('no warning without IPv6 in the file, with Table = off, or when wg0 has IPv6', () =>
    onMachine(async (machine, { host, warned, said }, network) => {
      machine.sysctls.set('net/ipv6/conf/all/disable_ipv6', '1');
      machine.sysctls.set('net/ipv6/conf/default/disable_ipv6', '1');
      await up(host, target(full()));
      await up(host, target(full('Table = off', '::/0').replace('10.9.0', '10.9.1'), 'wg1'));
      // A default route that is left out needs no mark.
      machine.kubernetes = '/var/lib/kubelet';
      await up(host, target(full('', '::/0').replace('10.9.0', '10.9.3'), 'wg3'));
      expect(said.filter(text => text.startsWith('mark'))).toEqual([]);
      expect(warned.splice(0)).toHaveLength(1);
      machine.kubernetes = undefined;
      machine.sysctls.set('net/ipv6/conf/default/disable_ipv6', '0');
      await up(host, target(full('Address = fd00:9::2/64', 'fd00:8::/48').replace('10.9.0', '10.9.2'), 'wg2'));
      expect(warned).toEqual([]);
      expect((await network.addresses.list((await network.links.find('wg2'))!)).length).toBe(2);
    }));
});

describe("kube-proxy's marks", () => {
  const markOf = (machine: FakeMachine) => machine.firewall.get('wg0')?.split(' ')[0];

  test('make up choose and report another mark, which reload, save and down use', () =>
    onMachine(async (machine, { host, said, warned }, network) => {
      machine.kubernetes = 'nftables chain KUBE-MARK-DROP of table nat';
      const before = machine.picture();
      const wanted = target(full('SaveConfig = true'));
      await up(host, wanted);
      expect(said).toContainEqual(
        expect.stringMatching(
          /^mark 0x3000 instead of 0xca6c: kube-proxy is in use here \(nftables chain KUBE-MARK-DROP/,
        ),
      );
      expect(warned).toEqual([]);
      expect(markOf(machine)).toBe(String(0x3000));
      expect(await network.routes.list({ table: 0x3000 })).toHaveLength(1);
      expect(await network.routes.list({ table: 51820 })).toHaveLength(0);
      const whole = machine.picture();
      said.length = 0;
      await reload(host, wanted);
      expect(machine.picture()).toEqual(whole);
      expect(said.filter(text => text.startsWith('mark'))).toEqual([]);
      await save(host, wanted);
      expect(machine.files.get('/etc/wireguard/wg0.conf')).not.toContain('FwMark');
      await down(host, wanted);
      expect(machine.picture()).toEqual(before);
    }));

  test("down and save without a state file use the interface's mark", () =>
    onMachine(async (machine, { host }) => {
      machine.kubernetes = '/var/lib/kubelet';
      const before = machine.picture();
      const wanted = target(full('SaveConfig = true'));
      await up(host, wanted);
      machine.states.clear();
      await down(host, wanted);
      expect(machine.files.get('/etc/wireguard/wg0.conf')).not.toContain('FwMark');
      // The previous value of src_valid_mark is unknown now.
      expect(machine.picture()).toEqual({ ...before, markValid: '1' });
    }));

  test("skips a table in use and every number that contains kube-proxy's bits", () =>
    onMachine(async (machine, { host }, network) => {
      machine.kubernetes = '/var/lib/kubelet';
      const eth0 = (await network.links.find('eth0'))!.index;
      await network.routes.add({ destination: parsePrefix('203.0.113.0/24')!, link: eth0, table: 0x3000 });
      await up(host, target(full()));
      expect(markOf(machine)).toBe(String(0x3001));
    }));

  test('an interface that was up before kube-proxy moves to another mark at the next reload', () =>
    onMachine(async (machine, { host }, network) => {
      const wanted = target(full());
      await up(host, wanted);
      expect(markOf(machine)).toBe('51820');
      machine.kubernetes = 'kubelet is running (process 7)';
      await reload(host, wanted);
      expect(markOf(machine)).toBe(String(0x3000));
      expect(await network.routes.list({ table: 51820 })).toHaveLength(0);
      expect(JSON.stringify(machine.picture()['rules'])).not.toContain('51820');
      expect(JSON.stringify(machine.picture()['devices'])).toContain(' 12288 ');
      // The mark stays when kube-proxy goes.
      machine.kubernetes = undefined;
      await reload(host, wanted);
      expect(markOf(machine)).toBe(String(0x3000));
    }));

  test("the file's own FwMark stays, with a warning if it has their bits, and a Table needs no mark", () =>
    onMachine(async (machine, { host, warned, said }) => {
      machine.kubernetes = '/var/lib/kubelet';
      await up(host, target(full('FwMark = 0xca6c')));
      expect(markOf(machine)).toBe('51820');
      expect(warned).toEqual([expect.stringMatching(/FwMark 0xca6c has bits of kube-proxy's \(\/var\/lib\/kubelet\)/)]);
      await up(host, target(full('FwMark = 0x77').replace('10.9.0', '10.9.1'), 'wg1'));
      await up(host, target(full('Table = 51821').replace('10.9.0', '10.9.2'), 'wg2'));
      expect(warned).toHaveLength(1);
      expect(said.filter(text => text.startsWith('mark'))).toEqual([]);
    }));
});

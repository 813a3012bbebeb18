/**
 * `wgts up` in containers and on Kubernetes nodes: read-only /proc/sys and /run, disabled IPv6,
 * marks that others use.
 *
 * @module-tag slow
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Result } from './command.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost, WGTS } from './quick-host.ts';

let lab: Lab;
let host: QuickHost;
beforeEach(async () => {
  lab = new Lab();
  host = await QuickHost.start(lab, 'box');
});
afterEach(() => lab?.close());

const file = (settings = '', allowed = '0.0.0.0/0') =>
  `[Interface]\nAddress = 10.9.0.2/24\nPrivateKey = ${keyPair().privateKey}\n${settings}\n[Peer]\nPublicKey = ${keyPair().publicKey}\nAllowedIPs = ${allowed}\nEndpoint = 192.0.2.1:51820\n`;

const SYSCTLS = 'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys';
/** Runs wgts in the namespace with mounts of its own. */
const boxed = (mounts: string, verb: string): Promise<Result> =>
  host.namespace.run(['unshare', '-m', 'bash', '-ec', `${mounts}\nexec "$@"`, '-', ...WGTS, verb, host.file], {
    mayFail: true,
  });

describeWith(
  [...NETWORK, 'unshare', 'nft', 'wg-quick', 'iptables-legacy', 'iptables-nft'],
  'wgts up in a container',
  () => {
    it.each([
      ['all is strict', ['all.rp_filter=1', 'eth0.rp_filter=0'], 1],
      ['the uplink is strict', ['all.rp_filter=0', 'eth0.rp_filter=1'], 1],
      ['all is loose', ['all.rp_filter=2', 'eth0.rp_filter=1'], 0],
      ['none is strict', ['all.rp_filter=0', 'eth0.rp_filter=0'], 0],
      ['the uplink has the mark itself', ['all.rp_filter=1', 'eth0.src_valid_mark=1'], 0],
    ])('src_valid_mark on a read-only /proc/sys: %s', async (_, settings, code) => {
      await host.namespace.sysctl(...settings.map(setting => `net.ipv4.conf.${setting}`));
      host.write(file());
      const before = await host.picture();
      const upped = await boxed(SYSCTLS, 'up');
      expect(upped.code, upped.stderr).toBe(code);
      expect(upped.stderr).toMatch(/net\.ipv4\.conf\.all\.src_valid_mark cannot be set to 1 \(.*EROFS/);
      expect(upped.stderr).toContain('docker run --sysctl net.ipv4.conf.all.src_valid_mark=1');
      if (code === 0) expect((await boxed(SYSCTLS, 'down')).code).toBe(0);
      else expect(upped.stderr).toMatch(/eth0 drops the peers' answers/);
      expect(await host.picture()).toEqual(before);
    });

    it('IPv6 disabled for all: up warns and omits IPv6, and the file keeps its addresses', async () => {
      await host.namespace.sysctl('net.ipv6.conf.all.disable_ipv6=1');
      host.write(file('Address = fd00:9::2/64\nSaveConfig = true', '0.0.0.0/0, ::/0'));
      const before = await host.picture();
      const upped = await host.wgts('up');
      expect(upped.code, upped.stderr).toBe(0);
      expect(upped.stderr).toContain('IPv6 is disabled here (net.ipv6.conf.all.disable_ipv6 = 1)');
      const picture = await host.picture();
      expect(picture['rules']).toContain('51820');
      expect(picture['IPv6 rules']).toBe(before['IPv6 rules']);
      expect(picture['firewall']).not.toContain('table ip6');
      const downed = await host.wgts('down');
      expect(downed.code, downed.stderr).toBe(0);
      expect(await host.picture()).toEqual(before);
      expect((await host.namespace.run(['cat', host.file])).stdout).toContain('Address = fd00:9::2/64');
    });

    it('no IPv6 in the kernel: the same', async () => {
      await host.namespace.sysctl('net.ipv6.conf.all.disable_ipv6=1');
      host.write(file('Address = fd00:9::2/64', '0.0.0.0/0, ::/0'));
      const upped = await boxed('mount -t tmpfs none /proc/sys/net/ipv6', 'up');
      expect(upped.code, upped.stderr).toBe(0);
      expect(upped.stderr).toContain('IPv6 is disabled here (the kernel has none: ipv6.disable=1?)');
      expect((await host.wgts('down')).code).toBe(0);
    });

    it('IPv6 disabled only for this interface: an error names the sysctl', async () => {
      await host.namespace.sysctl('net.ipv6.conf.default.disable_ipv6=1');
      host.write(file('Address = fd00:9::2/64', '0.0.0.0/0, ::/0'));
      const before = await host.picture();
      const upped = await host.wgts('up');
      expect(upped.code).toBe(1);
      expect(upped.stderr).toMatch(
        /net\.ipv6\.conf\.[a-z0-9/-]+\.disable_ipv6 is 1, so .* cannot have IPv6; IPv6 is on at eth[01], /,
      );
      expect(await host.picture()).toEqual(before);
      host.write(file());
      expect((await host.wgts('up')).code).toBe(0);
      expect((await host.wgts('down')).code).toBe(0);
    });

    it.each([
      ['nft add table ip nat; nft add chain ip nat KUBE-MARK-DROP', 'chain KUBE-MARK-DROP of table nat'],
      ['nft add table ip6 kube-proxy; nft add chain ip6 kube-proxy services', 'chain services of table kube-proxy'],
      ['mount -t tmpfs none /var/lib; mkdir /var/lib/kubelet', '/var/lib/kubelet'],
      ['mount -t tmpfs none /etc; mkdir /etc/kubernetes', '/etc/kubernetes'],
    ])("avoids kube-proxy's marks, and wg-quick can take the interface down: %s", async (sign, said) => {
      host.write(file('', '0.0.0.0/0, ::/0'));
      const upped = await boxed(sign, 'up');
      expect(upped.code, upped.stderr).toBe(0);
      expect(upped.stderr).toContain('mark 0x3000 instead of 0xca6c');
      expect(upped.stderr).toContain(said);
      expect((await host.namespace.run(['wg', 'show', host.name, 'fwmark'])).stdout.trim()).toBe('0x3000');
      const { rules, firewall } = await host.picture();
      expect(rules).toContain('not from all fwmark 0x3000 lookup 12288');
      expect(firewall).toContain('0x00003000');
      const quick = await host.wgQuick('down');
      expect(quick.code, quick.stderr).toBe(0);
      const after = await host.picture();
      expect(after['rules']! + after['IPv6 rules']! + after['firewall']!).not.toMatch(/3000|12288|suppress/);
      expect((await boxed(sign, 'up')).code, 'up again').toBe(0);
      expect((await host.wgts('down')).code).toBe(0);
    });

    it.each(['iptables-legacy', 'ip6tables-legacy', 'iptables-nft'])(
      'avoids kube-proxy’s marks where %s has the rules',
      async program => {
        await host.namespace.run([program, '-t', 'nat', '-N', 'KUBE-MARK-MASQ']);
        host.write(file());
        const upped = await host.wgts('up');
        expect(upped.stderr).toMatch(
          /mark 0x3000 instead of 0xca6c: kube-proxy is in use here \((iptables-legacy|nftables) chain KUBE-MARK-MASQ/,
        );
        expect((await host.wgts('down')).code).toBe(0);
      },
    );

    it('detects a running kubelet, except in another network namespace', async () => {
      const kubelet = lab.file('', 'kubelet');
      await host.namespace.run(['bash', '-c', `cat "$(which sleep)" >${kubelet} && chmod +x ${kubelet}`]);
      host.write(file());
      const elsewhere = (await lab.namespace('other')).start([kubelet, '60']);
      const alone = await host.wgts('up');
      expect(alone.code, alone.stderr).toBe(0);
      expect(alone.stderr).not.toContain('0x3000');
      expect((await host.wgts('down')).code).toBe(0);
      await elsewhere.stop();
      const running = host.namespace.start([kubelet, '60']);
      const upped = await host.wgts('up');
      expect(upped.stderr).toMatch(
        /mark 0x3000 instead of 0xca6c: kube-proxy is in use here \(kubelet is running \(process [0-9]+\)\)/,
      );
      await running.stop();
      expect((await host.wgts('down')).code).toBe(0);
    });

    it.each([
      [
        'mount -t tmpfs none /run && mount -o remount,ro /run',
        /\/run\/wireguard-ts cannot be written \(.*docker run --tmpfs \/run/,
      ],
      [
        'mount -t tmpfs none /run && mkdir /run/wireguard-ts && mount -t tmpfs none /run/wireguard-ts && mount -o remount,ro /run',
        /cannot make the control socket .* --tmpfs \/run\)/,
      ],
      ['mount -t tmpfs none /dev/net', /\/dev\/net\/tun is missing; .*--device \/dev\/net\/tun/],
      ['mount --bind /dev/null /dev/net/tun', /\/dev\/net\/tun is not a TUN device; give the container --device/],
    ])('names what is missing and the remedy: %s', async (mounts, says) => {
      host.write(file());
      const before = await host.picture();
      const upped = await boxed(mounts, 'up');
      expect(upped.code).toBe(1);
      expect(upped.stderr).toMatch(says);
      expect(await host.picture()).toEqual(before);
    });

    it('cannot save a file that is itself a mount, and explains it', async () => {
      host.write(file());
      expect((await host.wgts('up')).code).toBe(0);
      const saved = await boxed(`mount --bind ${host.file} ${host.file}`, 'save');
      expect(saved.code).toBe(1);
      expect(saved.stderr).toMatch(/\.conf cannot be saved \(.*EBUSY.*mount the folder, not the file alone/);
      expect((await host.wgts('down')).code).toBe(0);
    });
  },
);

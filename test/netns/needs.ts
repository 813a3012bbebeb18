/**
 * What a group of tests needs from the machine. On a user's machine a group that lacks something is skipped under a name that
 * says what and how to get it; in CI (CI=true) it fails.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, it } from 'vitest';

/** The command that brings each thing. */
const SOURCES: Readonly<Record<string, string>> = {
  root: 'run the tests as root',
  tun: 'modprobe tun',
  wg: 'apt-get install wireguard-tools',
  'wg-quick': 'apt-get install wireguard-tools',
  'iptables-legacy': 'apt-get install iptables',
  'iptables-nft': 'apt-get install iptables',
  'wireguard-go': 'apt-get install wireguard-go',
  ip: 'apt-get install iproute2',
  sysctl: 'apt-get install procps',
  ping: 'apt-get install iputils-ping',
  iperf3: 'apt-get install iperf3',
  tcpdump: 'apt-get install tcpdump',
  tshark: 'apt-get install tshark',
  nft: 'apt-get install nftables',
  go: 'apt-get install golang-go',
  unshare: 'apt-get install util-linux',
  setpriv: 'apt-get install util-linux',
  'systemd-analyze': 'apt-get install systemd',
  socat: 'apt-get install socat',
  python3: 'apt-get install python3',
  ss: 'apt-get install iproute2',
  'qemu-system-x86_64': 'apt-get install qemu-system-x86',
  bash: 'apt-get install bash',
  busybox: 'apt-get install busybox-static',
  modprobe: 'apt-get install kmod',
  rmmod: 'apt-get install kmod',
};

/** `describe`, skipped or failing when something is missing. */
export function describeWith(needs: readonly string[], name: string, body: () => void): void {
  const missing = needs.filter(need => !present(need));
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  const reason = missing.map(need => `${need} (${SOURCES[need] ?? 'see the README'})`).join(', ');
  if (process.env['CI'] === 'true') {
    it(`${name}: needs what this machine lacks`, () => {
      throw new Error(`missing: ${reason}`);
    });
  } else {
    describe.skipIf(true)(`${name} [skipped, missing: ${reason}]`, body);
  }
}

/** What every test with namespaces and a tunnel needs. */
export const NETWORK: readonly string[] = ['root', 'tun', 'ip', 'sysctl', 'ping', 'wg'];

function present(need: string): boolean {
  if (need === 'root') return process.getuid?.() === 0;
  if (need === 'tun') return existsSync('/dev/net/tun');
  const folders = (process.env['PATH'] ?? '').split(delimiter).concat('/usr/sbin', '/sbin');
  return folders.some(folder => existsSync(join(folder, need)));
}

/**
 * Overlay networks whose packets pass through a tunnel: TCP and UDP over VXLAN and Geneve arrive
 * intact, whatever offloads the kernel has, and counters show that packets were merged.
 *
 * @module-tag slow
 */
import { spawnSync } from 'node:child_process';
import { release } from 'node:os';
import { expect, it } from 'vitest';
import { HANG_MS } from '../support/patience.ts';
import { printed, until } from './command.ts';
import { PROGRAM, type StartOptions } from './device.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { kernelWithout } from './old-kernel.ts';
import { type Host, INNER_A, INNER_B, tunnelPair } from './pair.ts';
import { iperf, listenUdp, mustPing, sendUdp, transfer } from './traffic.ts';
import { uapi } from './uapi.ts';

const [OVER_A, OVER_B] = [
  { 4: '192.168.243.1', 6: 'fd00:43::1' },
  { 4: '192.168.243.2', 6: 'fd00:43::2' },
] as const;
const BYTES = 20e6;
const OVERLAYS = [
  ['VXLAN without checksums', 'type vxlan id 1 dstport 4789 noudpcsum', 4],
  ['VXLAN with checksums', 'type vxlan id 1 dstport 4789 udpcsum', 4],
  ['VXLAN over IPv6', 'type vxlan id 1 dstport 4789', 6],
  ['Geneve without checksums', 'type geneve id 1 noudpcsum', 4],
  ['Geneve with checksums', 'type geneve id 1 udpcsum', 4],
] as const;

/** TUN_F_UDP_TUNNEL_GSO and TUN_F_UDP_TUNNEL_GSO_CSUM, of Linux 6.17. */
const UDP_TUNNELS = 0x180;

/** Reports whether the kernel has a kind of device: not every kernel has Geneve. */
function isInKernel(kind: string): boolean {
  const link = ['ip', 'link', 'add', 'p', 'type', kind, 'id', '1', 'remote', '192.0.2.1'];
  const { stderr } = spawnSync('unshare', ['--net', ...link], { encoding: 'utf8' });
  return !/Unknown device type/.test(stderr);
}

/** Reports whether the kernel accepts merged packets in this tunnel, even without USO. */
function isMerged(overlay: string, outer: 4 | 6): boolean {
  const [major, minor] = release().split('.').map(Number) as [number, number];
  return overlay.includes('vxlan') && outer === 4 && (major > 6 || (major === 6 && minor >= 17));
}

async function counter(host: Host, name: string): Promise<number> {
  const answer = await uapi(host.device.socket, 'counters=1\n\n');
  return Number(new RegExp(`^${name.replace('.', '\\.')}=(\\d+)$`, 'm').exec(answer)?.[1] ?? 0);
}

/** Sends over an overlay between two devices. @param startA options of the first of them */
async function carries(lab: Lab, overlay: string, outer: 4 | 6, startA: StartOptions): Promise<void> {
  const { a, b } = await tunnelPair({ lab, startA });
  if (startA.env !== undefined) await printed(a.device.process!, 'no UDP tunnels in here');
  const ends = [
    [a, OVER_A, INNER_A, INNER_B],
    [b, OVER_B, INNER_B, INNER_A],
  ] as const;
  for (const [{ namespace }, over, own, other] of ends)
    await namespace.ip(
      `link add over ${overlay} remote ${other[outer]} ${overlay.includes('vxlan') ? `local ${own[outer]}` : ''}`,
      'link set over mtu 1340 addrgenmode none',
      ...[`addr add ${over[4]}/24 dev over`, `addr add ${over[6]}/64 dev over nodad`, 'link set over up'],
    );
  for (const inner of [4, 6] as const) {
    await mustPing(a.namespace, OVER_B[inner], { count: 2 });
    for (const [from, to, address] of [
      [a, b, OVER_B[inner]],
      [b, a, OVER_A[inner]],
    ] as const) {
      const before = await counter(to, 'tun.merged');
      const { sentDigest, receivedDigest, bytes } = await transfer(from.namespace, to.namespace, address, BYTES);
      expect([receivedDigest, bytes]).toEqual([sentDigest, BYTES]);
      // 14,925 packets without merging
      expect((await counter(to, 'tun.merged')) - before).toBeGreaterThan(5000);
    }
  }
  const listener = await listenUdp(b.namespace, OVER_B[4], 9000);
  const texts = ['first', 'x'.repeat(1200), 'y'.repeat(3000)];
  for (const text of texts) await sendUdp(a.namespace, OVER_B[4], 9000, text);
  await until('the datagrams', () => listener.received().length >= texts.length, HANG_MS);
  expect(listener.received().map(line => texts.some(text => line.includes(text)))).toEqual(texts.map(() => true));
  expect(await iperf(a.namespace, b.namespace, OVER_B[4], { udp: true, rate: '20M' })).toBeGreaterThan(10e6);
  for (const host of [a, b]) expect(await counter(host, 'tun.refused')).toBe(0);
}

describeWith([...NETWORK, 'cc', 'iperf3'], `overlay networks (${PROGRAM})`, () => {
  for (const [name, overlay, outer] of OVERLAYS.filter(([, overlay]) => isInKernel(overlay.split(' ')[1]!)))
    for (const way of ['', '--backend=pure', 'with Linux 6.16', ...(isMerged(overlay, outer) ? ['--no-uso'] : [])])
      it(`${name}${way === '' ? '' : `, ${way}`}`, async () => {
        const lab = new Lab();
        try {
          const isOld = way.startsWith('with');
          await carries(lab, overlay, outer, {
            ...(way.startsWith('--') && { args: [way] }),
            ...(isOld && { env: { LD_PRELOAD: kernelWithout(lab, UDP_TUNNELS, 'no UDP tunnels in here') } }),
          });
        } finally {
          await lab.close();
        }
      });
});

/**
 * Offloads that fail on a real path: ends that assume 1420 bytes where the path allows 1280, so the
 * kernel refuses every UDP_SEGMENT send that it sees is too large; and a kernel from before USO
 * (Linux 6.2). TCP must flow through intact, and counters must show why.
 *
 * @module-tag slow
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Family } from '../../src/base/family.ts';
import { printed } from './command.ts';
import { PROGRAM, startDevice } from './device.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { kernelWithout } from './old-kernel.ts';
import { endpoint, type Host, INNER_A, INNER_B, PORT_A, PORT_B, tunnelPair } from './pair.ts';
import { iperf, mustPing, transfer } from './traffic.ts';
import { errnoOf, uapi, valuesOf } from './uapi.ts';

const NARROW = 1280;
const BYTES = 20_000_000;
const A = { 4: '10.0.1.1', 6: 'fd00:1::1' } as const;
const B = { 4: '10.0.2.1', 6: 'fd00:2::1' } as const;

async function counter(host: Host, name: string): Promise<number> {
  const answer = await uapi(host.device.socket, 'counters=1\n\n');
  expect(errnoOf(answer)).toBe(0);
  return Number(valuesOf(answer, name)[0]);
}

/**
 * Builds a (1500) -- router -- (1280) b: b sees the narrow path at its own interface, a learns of
 * it from the router.
 */
async function narrowPath(lab: Lab): Promise<{ a: Host; b: Host; aim(outer: Family): Promise<void> }> {
  const [a, router, b] = await Promise.all([lab.namespace('a'), lab.namespace('r'), lab.namespace('b')]);
  await lab.cable(a, 'eth0', [`${A[4]}/24`, `${A[6]}/64`], router, 'toa', ['10.0.1.9/24', 'fd00:1::9/64']);
  await lab.cable(b, 'eth0', [`${B[4]}/24`, `${B[6]}/64`], router, 'tob', ['10.0.2.9/24', 'fd00:2::9/64']);
  await router.sysctl('net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
  await router.ip(`link set tob mtu ${NARROW}`);
  await b.ip(`link set eth0 mtu ${NARROW}`);
  for (const [namespace, subnet] of [
    [a, 1],
    [b, 2],
  ] as const)
    await namespace.ip(`route add default via 10.0.${subnet}.9`, `route add ::/0 via fd00:${subnet}::9`);
  const [deviceA, deviceB] = await Promise.all([startDevice(lab, a), startDevice(lab, b)]);
  const hostA: Host = { namespace: a, device: deviceA, keys: keyPair() };
  const hostB: Host = { namespace: b, device: deviceB, keys: keyPair() };
  for (const [mine, other, port, inner] of [
    [hostA, hostB, PORT_A, INNER_B],
    [hostB, hostA, PORT_B, INNER_A],
  ] as const)
    await mine.device.set({
      privateKey: mine.keys.privateKey,
      listenPort: port,
      peers: [{ publicKey: other.keys.publicKey, allowedIps: [`${inner[4]}/32`, `${inner[6]}/128`] }],
    });
  await deviceA.up([`${INNER_A[4]}/24`, `${INNER_A[6]}/64`], 1420);
  await deviceB.up([`${INNER_B[4]}/24`, `${INNER_B[6]}/64`], 1420);
  const aim = async (outer: Family): Promise<void> => {
    await deviceA.set({ peers: [{ publicKey: hostB.keys.publicKey, endpoint: endpoint(B[outer], PORT_B) }] });
    await deviceB.set({ peers: [{ publicKey: hostA.keys.publicKey, endpoint: endpoint(A[outer], PORT_A) }] });
    await mustPing(a, INNER_B[4]);
  };
  return { a: hostA, b: hostB, aim };
}

describeWith([...NETWORK, 'iperf3'], `a path MTU of ${NARROW} under a tunnel MTU of 1420 (${PROGRAM})`, () => {
  const lab = new Lab();
  let path: Awaited<ReturnType<typeof narrowPath>>;
  beforeAll(async () => {
    path = await narrowPath(lab);
  });
  afterAll(() => lab.close());

  for (const outer of [4, 6] as const)
    for (const inner of [4, 6] as const)
      it(`TCP flows both ways intact: IPv${inner} over IPv${outer}`, async () => {
        const { a, b, aim } = path;
        await aim(outer);
        const refused = await counter(b, 'udp.gsoFailed');
        const forth = await transfer(a.namespace, b.namespace, INNER_B[inner], BYTES);
        const back = await transfer(b.namespace, a.namespace, INNER_A[inner], BYTES);
        for (const moved of [forth, back]) {
          expect(moved.bytes).toBe(BYTES);
          expect(moved.receivedDigest).toBe(moved.sentDigest);
        }
        console.log(
          `IPv${inner} over IPv${outer}: ${[forth, back].map(rate).join(' there, ')} back; without UDP_SEGMENT ` +
            `${await counter(a, 'udp.gsoFailed')} and ${await counter(b, 'udp.gsoFailed')} messages`,
        );
        // Each full message fails at b's own interface.
        expect(await counter(b, 'udp.gsoFailed')).toBeGreaterThan(refused);
        for (const host of [a, b]) {
          expect(await counter(host, 'udp.gsoDisabled')).toBe(0);
          expect(await counter(host, 'sealRefused')).toBe(0);
        }
      });

  it('the end with the wide interface learns from the router (IPv6) and falls back too', async () => {
    const { a, b, aim } = path;
    await aim(6);
    const before = await counter(a, 'udp.gsoFailed');
    const moved = await transfer(a.namespace, b.namespace, INNER_B[4], BYTES);
    expect(moved.receivedDigest).toBe(moved.sentDigest);
    expect(await counter(a, 'udp.gsoFailed')).toBeGreaterThan(before);
  });

  it('full-size packets arrive both ways, as fragments', async () => {
    for (const outer of [4, 6] as const) {
      await path.aim(outer);
      await mustPing(path.a.namespace, INNER_B[4], { count: 20, size: 1420 - 28 });
      await mustPing(path.b.namespace, INNER_A[6], { count: 20, size: 1420 - 48 });
    }
  });

  it('uses UDP_SEGMENT again once the path is wide again', async () => {
    const { a, b, aim } = path;
    await aim(4);
    await b.namespace.ip('link set eth0 mtu 1500');
    const before = await counter(b, 'udp.gsoFailed');
    const moved = await transfer(b.namespace, a.namespace, INNER_A[4], BYTES);
    expect(moved.receivedDigest).toBe(moved.sentDigest);
    expect(await counter(b, 'udp.gsoFailed')).toBe(before);
  });
});

/** TUN_F_USO4 and TUN_F_USO6, of Linux 6.2. */
const USO = 0x60;

describeWith([...NETWORK, 'cc', 'iperf3'], `a kernel without USO (${PROGRAM})`, () => {
  it('TCP and UDP flow both ways, and TCP is still merged', async () => {
    const lab = new Lab();
    try {
      const env = { LD_PRELOAD: kernelWithout(lab, USO, 'no USO in here') };
      const { a, b } = await tunnelPair({ lab, startA: { env } });
      await printed(a.device.process!, 'no USO in here');
      for (const inner of [4, 6] as const) {
        const forth = await transfer(a.namespace, b.namespace, INNER_B[inner], BYTES);
        const back = await transfer(b.namespace, a.namespace, INNER_A[inner], BYTES);
        for (const moved of [forth, back]) expect(moved.receivedDigest).toBe(moved.sentDigest);
      }
      const merged = await counter(a, 'tun.merged');
      expect(merged).toBeGreaterThan(0);
      const udp = await iperf(b.namespace, a.namespace, INNER_A[4], { udp: true, rate: '20M' });
      expect(udp).toBeGreaterThan(15e6);
      expect(await iperf(a.namespace, b.namespace, INNER_B[4], { udp: true, rate: '20M' })).toBeGreaterThan(15e6);
      expect(await counter(a, 'tun.unmerged')).toBe(0);
      expect(await counter(a, 'tun.refused')).toBe(0);
    } finally {
      await lab.close();
    }
  });
});

function rate({ bytes, seconds }: { readonly bytes: number; readonly seconds: number }): string {
  return `${Math.round((bytes * 8) / seconds / 1e6)} Mbit/s`;
}

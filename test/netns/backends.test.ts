/**
 * Every backend and every offload switch moves the same bytes, against a peer with all of them.
 *
 * @module-tag slow
 */
import { expect, it } from 'vitest';
import { PROGRAM } from './device.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_B, tunnelPair } from './pair.ts';
import { iperf, mustPing, transfer } from './traffic.ts';

const TEN_MB = 10_000_000;
const WAYS: readonly (readonly string[])[] = [
  [],
  ['--backend=pure'],
  ['--aead=openssl'],
  ['--no-offload'],
  ['--no-tso'],
  ['--no-uso'],
  ['--no-udptnl'],
  ['--no-gso'],
  ['--no-gro'],
  ['--no-steer'],
];

describeWith([...NETWORK, 'iperf3'], `backends (${PROGRAM})`, () => {
  for (const args of WAYS)
    it(`${args.join(' ') || 'defaults'}: TCP and UDP over IPv4 and IPv6, to a peer with all offloads`, async () => {
      const pair = await tunnelPair({ startA: { args } });
      try {
        for (const inner of [4, 6] as const) {
          await mustPing(pair.a.namespace, INNER_B[inner], { count: 2 });
          const moved = await transfer(pair.a.namespace, pair.b.namespace, INNER_B[inner], TEN_MB);
          expect(moved.receivedDigest).toBe(moved.sentDigest);
        }
        const forth = await iperf(pair.a.namespace, pair.b.namespace, INNER_B[4]);
        const back = await iperf(pair.a.namespace, pair.b.namespace, INNER_B[4], { reverse: true });
        const udp = await iperf(pair.a.namespace, pair.b.namespace, INNER_B[6], { udp: true, rate: '50M' });
        console.log(
          `${args.join(' ') || 'as it comes'}: ${mega(forth)} out, ${mega(back)} in, UDP ${mega(udp)} of 50 Mbit/s`,
        );
        expect(Math.min(forth, back, udp)).toBeGreaterThan(1e6);
      } finally {
        await pair.close();
      }
    });
});

function mega(bits: number): string {
  return `${Math.round(bits / 1e6)} Mbit/s`;
}

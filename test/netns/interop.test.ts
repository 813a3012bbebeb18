/**
 * Interoperability: this program with itself and with wireguard-go, each as initiator, over IPv4
 * and IPv6 outside and inside, with and without a preshared key. Each cell pings both ways and
 * moves 100 MB over TCP with a checksum at both ends.
 *
 * @module-tag slow
 */
import { expect, it } from 'vitest';
import { PROGRAM, type Program } from './device.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_A, INNER_B, tunnelPair } from './pair.ts';
import { mustPing, transfer } from './traffic.ts';

const HUNDRED_MB = 100_000_000;

const PARTNERS: readonly (readonly [initiator: Program, responder: Program])[] = [
  [PROGRAM, PROGRAM],
  [PROGRAM, 'wireguard-go'],
  ['wireguard-go', PROGRAM],
];

describeWith([...NETWORK, 'wireguard-go'], 'interop', () => {
  for (const [initiator, responder] of PARTNERS) {
    for (const outer of [4, 6] as const) {
      for (const psk of [false, true]) {
        it(`${initiator} to ${responder}, IPv${outer} outside, ${psk ? 'with' : 'without'} PSK: ping and 100 MB over IPv4 and IPv6 inside`, async () => {
          const pair = await tunnelPair({ a: initiator, b: responder, outer, psk, initiator: 'a' });
          try {
            for (const inner of [4, 6] as const) {
              await mustPing(pair.a.namespace, INNER_B[inner], { count: 5 });
              await mustPing(pair.b.namespace, INNER_A[inner], { count: 5 });
              // One direction each, so a cell moves 100 MB both ways.
              const [from, to, address] =
                inner === 4
                  ? [pair.a.namespace, pair.b.namespace, INNER_B[4]]
                  : [pair.b.namespace, pair.a.namespace, INNER_A[6]];
              const moved = await transfer(from, to, address, HUNDRED_MB);
              expect(moved.bytes).toBe(HUNDRED_MB);
              expect(moved.receivedDigest).toBe(moved.sentDigest);
            }
            expect((await pair.a.device.peer()).latestHandshake).toBeGreaterThan(0);
            expect((await pair.b.device.peer()).latestHandshake).toBeGreaterThan(0);
          } finally {
            await pair.close();
          }
        });
      }
    }
  }
});

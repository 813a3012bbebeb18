/**
 * Packets whose message would not fit a UDP datagram: at MTU 65535, and as frames that a program
 * with CAP_NET_RAW injects at an ordinary MTU. They are dropped and counted, the sender gets an
 * error, and the program continues unharmed.
 *
 * @module-tag slow
 */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Family } from '../../src/base/family.ts';
import { sendFrames } from '../support/frames.ts';
import { HANG_MS } from '../support/patience.ts';
import { counting, superPacket } from '../support/super-packet.ts';
import { until } from './command.ts';
import { type Device, PROGRAM, type Program, ROOT } from './device.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_A, INNER_B, type Pair, tunnelPair } from './pair.ts';
import { mustPing, ping, transfer } from './traffic.ts';

const HEADERS = { 4: 28, 6: 48 } as const;
/**
 * Bytes of the largest inner packet, by outer family: a datagram's capacity, minus 32 for the
 * message, in whole blocks of 16.
 */
const LARGEST = { 4: 65_472, 6: 65_488 } as const;
const MOST_MEMORY = 96 << 20;
const PROGRAMS: readonly Program[] = PROGRAM === 'ours' ? ['ours', 'ours-pure'] : [PROGRAM];

/** Timeout in milliseconds: a busy machine starts a program in seconds. */
const TIMEOUT_MS = HANG_MS;
/** Bytes: many super-packets. */
const TRANSFER = 10_000_000;

async function oversized(device: Device): Promise<number> {
  const argv = [process.execPath, join(ROOT, 'dist/program/wgts.cjs'), 'show', device.name, '--json'];
  const { stdout } = await device.namespace.run(argv, { timeout: TIMEOUT_MS });
  return (JSON.parse(stdout) as { counters: Record<string, number> }).counters['oversized']!;
}

/** Checks that `wg show` answers, memory is as before, pings pass, and SIGTERM ends the program. */
async function isWell(pair: Pair, memoryBefore: number): Promise<void> {
  const { namespace, device } = pair.a;
  await namespace.run(['wg', 'show', device.name], { timeout: TIMEOUT_MS });
  expect((await device.residentBytes()) - memoryBefore).toBeLessThan(MOST_MEMORY);
  for (const inner of [4, 6] as const) await mustPing(namespace, INNER_B[inner]);
  const { code, signal } = await device.process!.stop('SIGTERM');
  expect({ code, signal }).toEqual({ code: 0, signal: null });
}

describeWith([...NETWORK, 'python3'], 'the largest packets', () => {
  for (const program of PROGRAMS)
    for (const outer of [4, 6] as const) {
      it(`${program}, MTU 65535 over IPv${outer}: packets that fit pass, larger ones are counted and their sender gets an error`, async () => {
        const pair = await tunnelPair({ a: program, b: program, outer });
        try {
          const { namespace, device } = pair.a;
          for (const inner of [4, 6] as const) await mustPing(namespace, INNER_B[inner]);
          await Promise.all([pair.a.device.mtu(65_535), pair.b.device.mtu(65_535)]);
          // Until both have seen their MTU they pad as before, which reduces what fits.
          const size = LARGEST[outer] - HEADERS[4];
          await until('the MTU', async () => (await ping(namespace, INNER_B[4], { size })).received === 1);
          const memory = await device.residentBytes();
          let count = await oversized(device);
          for (const inner of [4, 6] as const) {
            const most = LARGEST[outer] - HEADERS[inner];
            await mustPing(namespace, INNER_B[inner], { size: most });
            expect(await oversized(device)).toBe(count);
            expect((await ping(namespace, INNER_B[inner], { size: most + 1 })).received).toBe(0);
            await until('the counter', async () => (await oversized(device)) === count + 1, TIMEOUT_MS);
            count++;
            // The host learned the MTU and now fragments; so will the other, once its answer was
            // too large.
            await until('an answer', async () => (await ping(namespace, INNER_B[inner], { size: most + 1 })).received);
            expect(await oversized(device)).toBe(count);
          }
          await isWell(pair, memory);
        } finally {
          await pair.close();
        }
      });

      it(`${program}, MTU 65535 over IPv${outer}: TCP finds the size that passes`, async () => {
        const pair = await tunnelPair({ a: program, b: program, outer, mtu: 65_535 });
        try {
          const memory = await pair.a.device.residentBytes();
          for (const inner of [4, 6] as const) {
            const moved = await transfer(pair.a.namespace, pair.b.namespace, INNER_B[inner], TRANSFER);
            expect(moved.receivedDigest).toBe(moved.sentDigest);
          }
          await isWell(pair, memory);
        } finally {
          await pair.close();
        }
      });

      it(`${program}, MTU 1420 over IPv${outer}: drops and counts a frame of segments that fit no datagram`, async () => {
        const pair = await tunnelPair({ a: program, b: program, outer });
        try {
          const { namespace, device } = pair.a;
          for (const inner of [4, 6] as const) await mustPing(namespace, INNER_B[inner]);
          const memory = await device.residentBytes();
          const before = await oversized(device);
          const frames = [frame(4, 65_480), frame(6, 65_470)];
          expect(await sendFrames(namespace.inside([]), device.name, frames)).toBe(0);
          await until('the counter', async () => (await oversized(device)) === before + frames.length, TIMEOUT_MS);
          await isWell(pair, memory);
        } finally {
          await pair.close();
        }
      });
    }
});

/** Returns a TCP super-packet from a to b with this segment size. */
function frame(version: Family, gsoSize: number): Uint8Array {
  const bytes = superPacket({ version, payload: counting(version === 4 ? 65_495 : 65_475) }, gsoSize);
  if (version === 6) return bytes;
  for (const [at, address] of [[12, INNER_A[4]] as const, [16, INNER_B[4]] as const])
    bytes.set(address.split('.').map(Number), 10 + at);
  return bytes;
}

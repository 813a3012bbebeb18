/**
 * Compares sealing in C (native/cipher.c), with every AEAD that works on this machine, with its
 * reference in TypeScript (src/protocol/transport-twin.ts): the same messages byte for byte, and
 * the same refusals. support/seeded-cases.ts tells how to run more cases, or one again.
 */
import { expect, test } from 'vitest';
import { VNET_HEADER_SIZE } from '../../src/packet/batch.ts';
import { SplitPlan } from '../../src/packet/segments.ts';
import { TRANSPORT_OVERHEAD } from '../../src/packet/transport.ts';
import * as job from '../../src/protocol/transport-cipher.ts';
import { ipPacket } from '../support/ip-packet.ts';
import { between, SLACK, writeRange } from '../support/packet-shapes.ts';
import type { Random } from '../support/random.ts';
import { CASES_LIMIT, eachCase, mustEqual, mustEqualNumbers, reached } from '../support/seeded-cases.ts';
import { counting, rangeOf } from '../support/super-packet.ts';
import { anyHalf, lateHalf, NO_SLOTS, TWIN_SLOTS, twinCiphers } from '../support/twin-ciphers.ts';

const MTUS = [1420, 1420, 1420, 1280, 1500, 9000, 65_535, 0, 1, 15, 16, 17, -5, 0x7fffffff];
const INPUT = 1 << 18;
const OUTPUT = 1 << 20;
const MOST_JOBS = 6;
const SEAL_UNUSED = 11;

test('seal', sealCases, CASES_LIMIT);

test('all ciphers make the largest message of a UDP datagram, and none a larger one', () => {
  const output = new Uint8Array(1 << 18);
  for (const cipher of twinCiphers())
    for (const [bytes, expected] of [
      [65_488, 65_520],
      [65_489, 0],
      [65_535, 0],
    ] as const) {
      const range = rangeOf({}, ipPacket({ payload: counting(bytes - 40) }));
      const jobs = new Int32Array(job.SEAL_STRIDE);
      jobs[job.SEAL_LENGTH] = range.length;
      jobs[job.SEAL_KEY] = TWIN_SLOTS[0]!;
      jobs[job.SEAL_COUNT] = 1;
      jobs[job.SEAL_MTU] = 65_535;
      cipher.seal(range, output.fill(0), jobs, 1);
      expect([cipher.name, jobs[job.SEAL_OUT_LENGTH], output.some(byte => byte !== 0)]).toEqual([
        cipher.name,
        expected,
        expected > 0,
      ]);
    }
});

function sealCases(): void {
  const all = twinCiphers();
  const input = new Uint8Array(INPUT + 70_000 + SLACK);
  const outputs = all.map(() => new Uint8Array(OUTPUT));
  const jobs = all.map(() => new Int32Array(MOST_JOBS * job.SEAL_STRIDE));
  const plan = new SplitPlan();

  /** Fills one job. @returns the offset for the next one */
  function fill(random: Random, at: number, from: number, out: number): number {
    const mine = jobs[0]!;
    const most = random.pick([1, 2, 3, 4, 8, 64]);
    const length = random.chance(0.05) ? VNET_HEADER_SIZE : writeRange(random, input, from, most);
    const keepalive = length === VNET_HEADER_SIZE;
    const mtu = random.chance(0.9) ? random.pick(MTUS) : random.below(70_000);
    const count = keepalive ? 1 : plan.read(input, from, length);
    const total = keepalive ? TRANSPORT_OVERHEAD : plan.sealedSize(mtu);
    const wrap = random.next();
    mine[at + job.SEAL_OFFSET] = from;
    mine[at + job.SEAL_LENGTH] = length;
    mine[at + job.SEAL_KEY] = random.chance(0.97) ? random.pick(TWIN_SLOTS) : random.pick(NO_SLOTS);
    mine[at + job.SEAL_RECEIVER] = anyHalf(random);
    mine[at + job.SEAL_COUNTER_LOW] = wrap < 0.1 ? lateHalf(random) : anyHalf(random);
    mine[at + job.SEAL_COUNTER_HIGH] = wrap < 0.05 ? -1 : wrap < 0.5 ? 0 : anyHalf(random);
    // thousands of segments are sealed only occasionally, since the twin is slow
    const wrong = random.chance(count > 150 ? 0.95 : 0.03);
    mine[at + job.SEAL_COUNT] = wrong ? random.pick([count - 1, count + 1, 0, -1, 0x7fffffff]) : count;
    mine[at + job.SEAL_OUT_OFFSET] = out;
    mine[at + job.SEAL_MTU] = mtu;
    for (const unused of [job.SEAL_OUT_LENGTH, job.SEAL_OUT_SEGMENT, SEAL_UNUSED]) mine[at + unused] = anyHalf(random);
    if (random.chance(0.02))
      mine[at + job.SEAL_OUT_OFFSET] = random.pick([-1, OUTPUT - total + 1, OUTPUT, 0x7fffffff, -0x80000000]);
    if (random.chance(0.01)) mine[at + job.SEAL_OFFSET] = random.pick([-1, input.length - length + 1, 0x7fffffff]);
    if (random.chance(0.01)) mine[at + job.SEAL_LENGTH] = random.pick([-1, 0, 9, 0x7fffffff, -0x80000000]);
    return out + total + random.below(20);
  }

  const tally = eachCase('seal', random => {
    const count = random.chance(0.7) ? 1 : between(random, 2, MOST_JOBS);
    let out = random.below(64);
    for (let i = 0; i < count; i++) {
      const from = Math.floor((i * INPUT) / MOST_JOBS) + random.below(20);
      const end = fill(random, i * job.SEAL_STRIDE, from, out);
      // a job that would not fit gets an offset without any room
      if (end < OUTPUT - 64) out = end;
      else jobs[0]![i * job.SEAL_STRIDE + job.SEAL_OUT_OFFSET] = OUTPUT;
    }
    for (const copy of jobs.slice(1)) copy.set(jobs[0]!);
    const asked = random.chance(0.99) ? count : random.pick([0, -1, count + 1000]);
    const used = count * job.SEAL_STRIDE;
    all.forEach((cipher, c) => {
      cipher.seal(input, outputs[c]!, jobs[c]!.subarray(0, used), asked);
    });
    for (let c = 1; c < all.length; c++) {
      mustEqualNumbers(`jobs, ${all[c]!.name}`, jobs[0]!.subarray(0, used), jobs[c]!.subarray(0, used));
      mustEqual(`messages, ${all[c]!.name}`, outputs[0]!.subarray(0, out + 64), outputs[c]!.subarray(0, out + 64));
      mustEqual(`the end, ${all[c]!.name}`, outputs[0]!.subarray(-64), outputs[c]!.subarray(-64));
    }
    if (asked <= 0) return 'none asked';
    let messages = 0;
    let refused = false;
    for (let at = 0; at < used; at += job.SEAL_STRIDE)
      if (jobs[0]![at + job.SEAL_OUT_LENGTH] === 0) refused = true;
      else messages += jobs[0]![at + job.SEAL_COUNT]!;
    if (refused) return messages === 0 ? 'refused' : 'some refused';
    return messages === 1 ? 'one message' : messages <= 64 ? 'up to 64 messages' : 'more';
  });
  const wanted = ['refused', 'some refused', 'one message', 'up to 64 messages', 'more'];
  expect(reached(tally, wanted), JSON.stringify(tally)).toBe(true);
}

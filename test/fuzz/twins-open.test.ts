/**
 * Compares opening in C (native/cipher.c), with every AEAD that works on this machine, with its
 * reference in TypeScript (src/protocol/transport-twin.ts): the same packets byte for byte, and the
 * same refusals. support/seeded-cases.ts tells how to run more cases, or one again.
 */
import { expect, test } from 'vitest';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import { writeU32le } from '../../src/packet/byte-order.ts';
import { TRANSPORT_HEADER_SIZE, TRANSPORT_OVERHEAD } from '../../src/packet/transport.ts';
import * as job from '../../src/protocol/transport-cipher.ts';
import { between, randomPayload } from '../support/packet-shapes.ts';
import type { Random } from '../support/random.ts';
import { CASES_LIMIT, eachCase, mustEqual, mustEqualNumbers, reached } from '../support/seeded-cases.ts';
import { anyHalf, lateHalf, NO_SLOTS, TWIN_KEYS, TWIN_SLOTS, twinCiphers } from '../support/twin-ciphers.ts';

const MOST_MESSAGES = 70;

test('open', openCases, CASES_LIMIT);

function openCases(): void {
  const all = twinCiphers();
  const slabs = all.map(() => new Uint8Array(1 << 18));
  const slab = slabs[0]!;
  const jobs = all.map(() => new Int32Array(MOST_MESSAGES * job.OPEN_STRIDE));
  const keys = TWIN_KEYS.map(key => opensslPacketAead.makeKey(key));
  const nonce = new Uint8Array(12);

  /** Writes one message and its job; returns what follows it. */
  function fill(random: Random, at: number, from: number): number {
    const mine = jobs[0]!;
    const length = random.chance(0.8) ? 16 * random.below(12) : random.below(1500);
    const key = random.below(TWIN_KEYS.length);
    const [low, high] = [
      random.chance(0.1) ? lateHalf(random) : anyHalf(random),
      random.chance(0.5) ? 0 : anyHalf(random),
    ];
    slab.set(randomPayload(random, TRANSPORT_HEADER_SIZE + length), from);
    writeU32le(nonce, 4, low);
    writeU32le(nonce, 8, high);
    keys[key]!.seal(nonce, slab, from + TRANSPORT_HEADER_SIZE, length);
    mine[at + job.OPEN_OFFSET] = from;
    mine[at + job.OPEN_LENGTH] = length + TRANSPORT_OVERHEAD;
    mine[at + job.OPEN_KEY] = TWIN_SLOTS[key]!;
    mine[at + job.OPEN_COUNTER_LOW] = low;
    mine[at + job.OPEN_COUNTER_HIGH] = high;
    for (const other of [job.OPEN_RESULT, job.OPEN_USER, job.OPEN_USER2]) mine[at + other] = anyHalf(random);
    if (random.chance(0.2)) spoil(random, mine, at);
    return from + length + TRANSPORT_OVERHEAD;
  }

  function spoil(random: Random, mine: Int32Array, at: number): void {
    const [offset, length] = [mine[at + job.OPEN_OFFSET]!, mine[at + job.OPEN_LENGTH]!];
    switch (random.below(8)) {
      case 0:
        mine[at + job.OPEN_KEY] = random.pick([...TWIN_SLOTS, ...NO_SLOTS]);
        break;
      case 1:
        mine[at + job.OPEN_COUNTER_LOW]! ^= 1 << random.below(32);
        break;
      case 2:
        mine[at + job.OPEN_COUNTER_HIGH]! ^= 1 << random.below(32);
        break;
      case 3:
        mine[at + job.OPEN_LENGTH] = random.pick([length - 1, 31, 32, 0, -1, 0x7fffffff, -0x80000000]);
        break;
      case 4:
        mine[at + job.OPEN_OFFSET] = random.pick([-1, slab.length - length + 1, slab.length, 0x7fffffff]);
        break;
      case 5: // the engine checks the header
        slab[offset + random.below(TRANSPORT_HEADER_SIZE)]! ^= 1 << random.below(8);
        break;
      default:
        slab[offset + between(random, TRANSPORT_HEADER_SIZE, length - 1)]! ^= 1 << random.below(8);
    }
  }

  const tally = eachCase('open', random => {
    const count = random.chance(0.97) ? between(random, 1, 3) : between(random, 4, MOST_MESSAGES);
    let end = random.below(64);
    for (let i = 0; i < count; i++) end = fill(random, i * job.OPEN_STRIDE, end) + random.below(20);
    for (const copy of jobs.slice(1)) copy.set(jobs[0]!);
    for (const copy of slabs.slice(1)) copy.set(slab.subarray(0, end + 64));
    const used = count * job.OPEN_STRIDE;
    all.forEach((cipher, c) => {
      cipher.open(slabs[c]!, jobs[c]!.subarray(0, used), random.chance(0.01) ? count + 1000 : count);
    });
    let failed = 0;
    for (let at = 0; at < used; at += job.OPEN_STRIDE) if (jobs[0]![at + job.OPEN_RESULT] === -1) failed++;
    for (let c = 1; c < all.length; c++)
      mustEqualNumbers(`jobs, ${all[c]!.name}`, jobs[0]!.subarray(0, used), jobs[c]!.subarray(0, used));
    for (const copy of slabs) forget(copy, jobs[0]!, used);
    for (let c = 1; c < all.length; c++) {
      mustEqual(`the end, ${all[c]!.name}`, slab.subarray(-2048), slabs[c]!.subarray(-2048));
      mustEqual(`packets, ${all[c]!.name}`, slab.subarray(0, end + 64), slabs[c]!.subarray(0, end + 64));
    }
    return failed === 0 ? 'opened' : failed === count ? 'refused' : 'some refused';
  });
  expect(reached(tally, ['opened', 'refused', 'some refused']), JSON.stringify(tally)).toBe(true);
}

/**
 * Clears the bytes of messages with a wrong tag, which are undefined; the header and the bytes
 * around it are not.
 */
function forget(slab: Uint8Array, jobs: Int32Array, used: number): void {
  for (let at = 0; at < used; at += job.OPEN_STRIDE) {
    const [offset, length] = [jobs[at + job.OPEN_OFFSET]!, jobs[at + job.OPEN_LENGTH]!];
    const inside = offset >= 0 && length >= TRANSPORT_OVERHEAD && offset + length <= slab.length;
    if (jobs[at + job.OPEN_RESULT] === -1 && inside) slab.fill(0, offset + TRANSPORT_HEADER_SIZE, offset + length);
    // likewise the tag of an opened message
    else if (inside) slab.fill(0, offset + length - 16, offset + length);
  }
}

/**
 * Compares splitting in C (native/offload.c) with its reference in TypeScript
 * (src/packet/segments.ts, split.ts): the same segments byte for byte, and the same refusals.
 * support/seeded-cases.ts tells how to run more cases, or one again.
 */
import { expect, test } from 'vitest';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { SPLIT_CHECKSUM, SPLIT_COPY, SPLIT_TCP, SplitPlan, segmentCount } from '../../src/packet/segments.ts';
import { writeSegment } from '../../src/packet/split.ts';
import { between, SLACK, writeRange } from '../support/packet-shapes.ts';
import { CASES_LIMIT, eachCase, mustEqual, reached } from '../support/seeded-cases.ts';

const OUTCOMES = { [SPLIT_COPY]: 'copied', [SPLIT_CHECKSUM]: 'summed', [SPLIT_TCP]: 'TCP' } as const;
const slab = new Uint8Array(70_000 + SLACK);
const before = new Uint8Array(slab.length);
const outs = [new Uint8Array(1 << 23), new Uint8Array(1 << 23)] as const;
const plan = new SplitPlan();

/** Splits like native/offload-node.c. */
function split(offset: number, length: number, out: Uint8Array, stride: number): number {
  if (offset < 0 || length < 0 || offset + length > slab.length || plan.read(slab, offset, length) === 0) return 0;
  if (stride < plan.segmentLength(0) || stride * plan.count > out.length) return -1;
  for (let i = 0; i < plan.count; i++) writeSegment(slab, plan, i, out, i * stride);
  return plan.count;
}

test(
  'split',
  () => {
    const native = nativeBinding();
    const tally = eachCase('split', random => {
      const offset = random.below(64);
      let length = writeRange(random, slab, offset);
      if (random.chance(0.005)) length = random.pick([-1, 0x7fffffff, slab.length]);
      const count = length < 0 || length > 70_000 ? 0 : plan.read(slab, offset, length);
      // some room between the segments, so that writes past a segment are detected; sometimes too
      // little room
      let stride = count === 0 ? 2000 : plan.segmentLength(0) + between(random, 0, 20);
      if (random.chance(0.01)) stride -= between(random, 1, 100);
      const used = Math.min(count * stride + 64, outs[0].length);
      const input = Math.max(0, Math.min(length, 70_000)) + 128;
      before.set(slab.subarray(0, input));
      const ours = split(offset, length, outs[0], stride);
      const theirs = native.offloadSplit(slab, offset, length, outs[1], stride);
      if (ours !== theirs) throw new Error(`${ours} segments, and ${theirs} in C`);
      mustEqual('segments', outs[0].subarray(0, used), outs[1].subarray(0, used));
      mustEqual('input', before.subarray(0, input), slab.subarray(0, input));
      if (ours <= 0) return ours === 0 ? 'malformed' : 'no room';
      if (segmentCount(slab, offset, length) !== count) throw new Error('segmentCount() says something else');
      const action = OUTCOMES[plan.action as keyof typeof OUTCOMES] ?? 'UDP';
      if (plan.tunnel > 0) return `${action} in a tunnel`;
      return count > 64 ? `${action} beyond 64` : action;
    });
    const tunnels = ['TCP in a tunnel', 'UDP in a tunnel'];
    const plain = ['copied', 'summed', 'TCP', 'UDP', 'TCP beyond 64', 'UDP beyond 64'];
    const wanted = ['malformed', 'no room', ...plain, ...tunnels];
    expect(reached(tally, wanted), JSON.stringify(tally)).toBe(true);
  },
  CASES_LIMIT,
);

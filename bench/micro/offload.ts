/**
 * Times splitting super-packets and merging segments: native/offload.c and native/coalesce.c
 * against their JavaScript twins.
 */
import { nativeBinding } from '#dist/io/native-binding.js';
import { PACKET_LENGTH, PACKET_OFFSET, PACKET_STRIDE } from '#dist/packet/batch.js';
import { readU16be, writeU16be } from '#dist/packet/byte-order.js';
import { PROTOCOL_TCP, updateChecksum } from '#dist/packet/checksum.js';
import {
  Coalescer,
  GROUP_COUNT,
  GROUP_FIRST,
  GROUP_STRIDE,
  MERGE_TCP4,
  MERGE_TCP6,
  MERGE_UDP,
} from '#dist/packet/coalesce.js';
import { IPV4_HEADER_SIZE, IPV6_HEADER_SIZE } from '#dist/packet/ip-header.js';
import { SplitPlan, TCP_CHECKSUM, UDP_CHECKSUM } from '#dist/packet/segments.js';
import { writeSegment } from '#dist/packet/split.js';
import { type Contender, type Contest, concat, type Prepared, type Subject } from './contest.ts';
import { type Flow, MTU, type SuperPacket, superPacket, TCP4, TCP6, UDP4 } from './packets.ts';

const FLOWS: readonly Flow[] = [TCP4, TCP6, UDP4];
const ALLOWED = MERGE_TCP4 | MERGE_TCP6 | MERGE_UDP;
/** Bytes at the start of a packet that include all headers that merging changes. */
const HEADERS = 80;

export const offload: Subject = {
  name: 'offload',
  title: 'Splitting and merging, with checksums',
  unit: 'packet',
  contests: FLOWS.flatMap(flow => {
    const whole = superPacket(flow);
    const size = { units: whole.segments, bytes: whole.segments * MTU };
    return [
      { name: `split, ${flow.name}`, ...size, prepare: () => splitting(whole) },
      { name: `merge, ${flow.name}`, ...size, prepare: () => merging(flow, whole, false) },
      { name: `merge, ${flow.name}, two flows in turn`, ...size, prepare: () => merging(flow, whole, true) },
    ];
  }) satisfies readonly Contest[],
};

function splitting(whole: SuperPacket): Prepared {
  const binding = nativeBinding();
  const { bytes } = whole;
  return {
    contenders: [
      splitter('native', whole, out => binding.offloadSplit(bytes, 0, bytes.length, out, MTU)),
      splitter('twin', whole, out => splitTwin(bytes, out)),
    ],
  };
}

const plan = new SplitPlan();

function splitTwin(bytes: Uint8Array, out: Uint8Array): number {
  const count = plan.read(bytes, 0, bytes.length);
  for (let i = 0; i < count; i++) writeSegment(bytes, plan, i, out, i * MTU);
  return count;
}

function splitter(name: string, { segments }: SuperPacket, split: (out: Uint8Array) => number): Contender {
  const out = new Uint8Array(segments * MTU);
  let count = 0;
  return {
    name,
    run() {
      count = split(out);
    },
    result() {
      if (count !== segments) throw new Error(`${name} made ${count} segments, not ${segments}`);
      return out;
    },
  };
}

/** @param mixed whether packets of two flows alternate */
function merging(flow: Flow, whole: SuperPacket, mixed: boolean): Prepared {
  const slab = new Uint8Array(whole.segments * MTU);
  splitTwin(whole.bytes, slab);
  const count = mixed ? mixFlows(slab, flow, whole.segments) : whole.segments;
  const binding = nativeBinding();
  return {
    contenders: [
      merger('native', slab, count, (copy, desc, { groups, next }) =>
        binding.offloadMerge(copy, desc, count, ALLOWED, groups, next, 0, 0),
      ),
      merger('twin', slab, count, (copy, desc, coalescer) => coalescer.merge(copy, desc, count, ALLOWED)),
    ],
  };
}

/**
 * Turns one flow into two alternating flows: its first half, and its second half with another
 * source port. @returns the number of packets
 */
function mixFlows(slab: Uint8Array, { version, protocol }: Flow, segments: number): number {
  const upper = version === 4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE;
  const sum = upper + (protocol === PROTOCOL_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
  const from = slab.slice();
  const half = segments >> 1;
  for (let i = 0; i < half; i++) {
    const other = (2 * i + 1) * MTU;
    slab.set(from.subarray(i * MTU, (i + 1) * MTU), 2 * i * MTU);
    slab.set(from.subarray((i + half) * MTU, (i + half + 1) * MTU), other);
    const port = readU16be(slab, other + upper);
    writeU16be(slab, other + upper, port + 1);
    writeU16be(slab, other + sum, updateChecksum(readU16be(slab, other + sum), port, port + 1));
  }
  return half * 2;
}

type Merge = (slab: Uint8Array, desc: Int32Array, memory: Pick<Coalescer, 'groups' | 'next' | 'merge'>) => number;

function merger(name: string, original: Uint8Array, count: number, merge: Merge): Contender {
  const slab = original.slice();
  const desc = new Int32Array(count * PACKET_STRIDE);
  for (let i = 0; i < count; i++) {
    desc[i * PACKET_STRIDE + PACKET_OFFSET] = i * MTU;
    desc[i * PACKET_STRIDE + PACKET_LENGTH] = MTU;
  }
  const coalescer = new Coalescer(count);
  let groups = 0;
  /** Offsets of the packets that begin a group; merging changes their headers. */
  const heads = [0, MTU];
  const headers = heads.map(at => original.slice(at, at + HEADERS));
  return {
    name,
    run() {
      for (let i = 0; i < heads.length; i++) slab.set(headers[i]!, heads[i]!);
      groups = merge(slab, desc, coalescer);
    },
    result() {
      for (let g = 0; g < groups; g++) {
        const first = coalescer.groups[g * GROUP_STRIDE + GROUP_FIRST]!;
        if (coalescer.groups[g * GROUP_STRIDE + GROUP_COUNT] === 1 || !heads.includes(first * MTU))
          throw new Error(`${name} did not merge packet ${first}`);
      }
      const used = coalescer.groups.subarray(0, groups * GROUP_STRIDE);
      return concat([slab, asBytes(used), asBytes(coalescer.next.subarray(0, count))]);
    },
  };
}

function asBytes(numbers: Int32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/**
 * Compares merging in C (native/coalesce.c) with its reference in TypeScript (src/packet/flow.ts,
 * coalesce.ts): the same groups, and the same bytes in the slab afterwards. Splitting a merged
 * packet returns the original packets. support/seeded-cases.ts tells how to run more cases, or one
 * again.
 */
import { expect, test } from 'vitest';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { PACKET_LENGTH, PACKET_OFFSET, PACKET_STRIDE } from '../../src/packet/batch.ts';
import {
  Coalescer,
  GROUP_COUNT,
  GROUP_GSO_SIZE,
  GROUP_GSO_TYPE,
  GROUP_LENGTH,
  GROUP_STRIDE,
  NEXT_REFUSED,
} from '../../src/packet/coalesce.ts';
import { FlowPacket } from '../../src/packet/flow.ts';
import { VNET_GSO_UDP_L4, VNET_GSO_UDP_TUNNEL_IPV4 } from '../../src/packet/vnet-header.ts';
import { gather, MERGE_ALL } from '../support/packet-batch.ts';
import { MOST_PACKETS, makeRunSpace, writeRuns } from '../support/packet-runs.ts';
import { CASES_LIMIT, eachCase, mustEqual, mustEqualNumbers, reached } from '../support/seeded-cases.ts';
import { splitAll } from '../support/super-packet.ts';
import { OVERLAY } from '../support/vxlan-packet.ts';

const { slab, desc } = makeRunSpace();
const original = new Uint8Array(slab.length);
const copy = new Uint8Array(slab.length);
const coalescer = new Coalescer(MOST_PACKETS);
const groups = new Int32Array(MOST_PACKETS * GROUP_STRIDE);
const next = new Int32Array(MOST_PACKETS);

test(
  'merge',
  () => {
    const native = nativeBinding();
    const tally = eachCase('merge', random => {
      const count = writeRuns(random, { slab, desc });
      const used = usedBytes(count);
      copy.set(slab.subarray(0, used));
      const check = random.chance(0.05);
      if (check) original.set(slab.subarray(0, used));
      const allowed = random.chance(0.9) ? MERGE_ALL : random.below(16);
      const ours = coalescer.merge(slab, desc, count, allowed, OVERLAY);
      const theirs = native.offloadMerge(copy, desc, count, allowed, groups, next, OVERLAY.port, OVERLAY.address);
      if (ours !== theirs) throw new Error(`${ours} groups, and ${theirs} in C`);
      const fields = ours * GROUP_STRIDE;
      mustEqualNumbers('groups', coalescer.groups.subarray(0, fields), groups.subarray(0, fields));
      mustEqualNumbers('next', coalescer.next.subarray(0, count), next.subarray(0, count));
      mustEqual('slab', slab.subarray(0, used), copy.subarray(0, used));
      if (check && !repeats(count)) apartAgain(ours);
      return outcome(count, ours);
    });
    const wanted = [
      'nothing merged',
      'some merged',
      'all merged',
      'with refused',
      '64 packets',
      '65,535 bytes',
      'in VXLAN',
    ];
    expect(reached(tally, wanted), JSON.stringify(tally)).toBe(true);
  },
  CASES_LIMIT,
);

function usedBytes(count: number): number {
  let end = 0;
  for (let i = 0; i < count; i++) {
    const last = desc[i * PACKET_STRIDE + PACKET_OFFSET]! + Math.max(0, desc[i * PACKET_STRIDE + PACKET_LENGTH]!);
    if (last <= slab.length - 4096) end = Math.max(end, last);
  }
  return end + 64;
}

function outcome(count: number, made: number): string {
  let refused = 0;
  for (let i = 0; i < count; i++) if (next[i] === NEXT_REFUSED) refused++;
  if (refused > 0) return 'with refused';
  for (let at = 0; at < made * GROUP_STRIDE; at += GROUP_STRIDE) {
    if (groups[at + GROUP_COUNT] === 64) return '64 packets';
    if (groups[at + GROUP_LENGTH]! + groups[at + GROUP_GSO_SIZE]! > 65_535) return '65,535 bytes';
  }
  for (let at = 0; at < made * GROUP_STRIDE; at += GROUP_STRIDE)
    if (groups[at + GROUP_GSO_TYPE]! & VNET_GSO_UDP_TUNNEL_IPV4) return 'in VXLAN';
  if (made === count) return 'nothing merged';
  return made === 1 ? 'all merged' : 'some merged';
}

/** Reports whether a packet occurs twice in the batch: a change to it then shows twice. */
function repeats(count: number): boolean {
  const seen = new Set<number>();
  for (let i = 0; i < count; i++) seen.add(desc[i * PACKET_STRIDE + PACKET_OFFSET]!);
  return seen.size !== count;
}

function apartAgain(made: number): void {
  for (const { members, gsoType, range } of gather(slab, desc, groups, next, made)) {
    const packets = splitAll(range);
    if (members.length === 1) continue;
    if (packets.length !== members.length) throw new Error(`${members.length} packets came apart as ${packets.length}`);
    members.forEach((i, place) => {
      const offset = desc[i * PACKET_STRIDE + PACKET_OFFSET]!;
      const sent = original.slice(offset, offset + desc[i * PACKET_STRIDE + PACKET_LENGTH]!);
      mustEqual(`packet ${i}`, canonical(packets[place]!, gsoType), canonical(sent, gsoType));
    });
  }
}

/**
 * Clears the fields that merging may change: the ID if DF makes it meaningless, and checksums,
 * since ones' complement has two valid zeros.
 */
function canonical(packet: Uint8Array, gsoType: number): Uint8Array {
  const flow = new FlowPacket();
  flow.read(packet, 0, packet.length, gsoType & VNET_GSO_UDP_TUNNEL_IPV4 ? OVERLAY : undefined);
  if (!flow.sumsAreRight(packet)) throw new Error('a checksum is wrong');
  if (flow.version === 4) {
    if (packet[6]! & 0x40) packet.fill(0, 4, 6);
    packet.fill(0, 10, 12);
  }
  if (gsoType & VNET_GSO_UDP_TUNNEL_IPV4) {
    if (flow.innerVersion === 4) {
      if (packet[flow.inner + 6]! & 0x40) packet.fill(0, flow.inner + 4, flow.inner + 6);
      packet.fill(0, flow.inner + 10, flow.inner + 12);
    }
    packet.fill(0, 26, 28);
  }
  const field = flow.last + (gsoType === VNET_GSO_UDP_L4 ? 6 : 16);
  packet.fill(0, field, field + 2);
  return packet;
}

/**
 * Explicit Congestion Notification of a received message (RFC 6040, as the kernel's WireGuard):
 * only "congestion experienced" is copied to the packet inside, and only if that takes part.
 */
import { expect, test } from 'vitest';
import { MESSAGE_TRANSPORT } from '../../src/packet/message-type.ts';
import { session, swallow } from '../sim/pair.ts';
import { makePacket } from '../sim/payload.ts';
import { batchOf } from '../support/datagrams.ts';

const [NOT_ECT, ECT_1, ECT_0, CE] = [0, 1, 2, 3];
/** The second byte of an IPv4 header: a class of traffic, and ECN. */
const CLASS = 0x48;
const TOS = 1;

/** Returns the second byte of the packet that B delivers; undefined if it delivers none. */
function delivered(outer: number, inner: number): number | undefined {
  const { sim, a, b } = session();
  const packet = makePacket(a.index, b.index, 1, 40, false);
  packet[TOS] = CLASS | inner;
  const stop = swallow(sim, sent => sent.from === a);
  a.send([packet]);
  const { bytes, source } = sim.sentBy(a, MESSAGE_TRANSPORT).at(-1)!;
  stop();
  const batch = batchOf([{ to: source, bytes, tos: outer }]);
  b.engine.receive(batch, 0, sim.now);
  const { slab, desc, count } = b.engine.deliveries;
  return count === 0 ? undefined : slab[desc[0]! + TOS];
}

test.each([NOT_ECT, ECT_1, ECT_0])('a message without congestion (%i) changes nothing', outer => {
  for (const inner of [NOT_ECT, ECT_1, ECT_0, CE]) expect(delivered(outer, inner)).toBe(CLASS | inner);
});

test('a message that met congestion marks packets that take part, and no others', () => {
  expect(delivered(CE, ECT_0)).toBe(CLASS | CE);
  expect(delivered(CE, ECT_1)).toBe(CLASS | CE);
  expect(delivered(CE, CE)).toBe(CLASS | CE);
  expect(delivered(CE, NOT_ECT)).toBe(CLASS | NOT_ECT);
  // the class of the outer packet is not copied
  expect(delivered(0xb8 | CE, ECT_0)).toBe(CLASS | CE);
});

test.each([-1, -4])('a message whose TOS is not known (%i) changes nothing', outer => {
  expect(delivered(outer, ECT_0)).toBe(CLASS | ECT_0);
});

/** A batch so small that no flow stands behind it: a ping, a keepalive, an acknowledgement or two. */
import { PACKET_LENGTH } from '../packet/batch.ts';

const PACKETS = 2;
const BYTES = 3000;

/** Of packets or datagrams: the length is at the same place in either descriptor. */
export function isTrickle(desc: Int32Array, stride: number, count: number): boolean {
  if (count > PACKETS) return false;
  let bytes = 0;
  for (let i = 0; i < count; i++) bytes += desc[i * stride + PACKET_LENGTH]!;
  return bytes <= BYTES;
}

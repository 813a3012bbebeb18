/**
 * IP packets with TCP, UDP or other content, made and checked by code of the tests alone (RFC 791,
 * 8200, 9293, 768, 1071). It uses nothing of src/packet, so that it does not share its mistakes.
 */
import type { Family } from '../../src/base/family.ts';

export const TCP = 6;
export const UDP = 17;
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
export const ECE = 0x40;
export const CWR = 0x80;
export const DF = 0x4000;
export const MF = 0x2000;

/**
 * The content of the checksum field of TCP and UDP: the correct sum, the pseudo header's sum for an
 * offload to complete, or this number.
 */
type Sum = 'right' | 'partial' | number;

export interface IpShape {
  readonly version: Family;
  /** The protocol of the upper layer. */
  readonly protocol: number;
  /** The last byte of 10.0.0.x or fd00::x. */
  readonly source: number;
  readonly destination: number;
  readonly tos: number;
  readonly ttl: number;
  /** IPv4 only, like `fragment` and `ipOptions`. */
  readonly id: number;
  /** Flags and offset as in the header. */
  readonly fragment: number;
  readonly ipOptions: Uint8Array;
  /** IPv6 only: 20 bits. */
  readonly flowLabel: number;
  /**
   * IPv6 extension headers: their number, and their bytes without the first one, which is the
   * number of the next header.
   */
  readonly extensions: readonly (readonly [number, Uint8Array])[];
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  readonly window: number;
  readonly urgent: number;
  /** The four bits beside the TCP header's length. */
  readonly reserved: number;
  readonly tcpOptions: Uint8Array;
  readonly payload: Uint8Array;
  readonly sum: Sum;
}

const NOTHING = new Uint8Array(0);

/** A TCP segment without a payload and with only ACK set, which may not be fragmented. */
export const PLAIN: IpShape = {
  version: 4,
  protocol: TCP,
  source: 1,
  destination: 2,
  tos: 0,
  ttl: 64,
  id: 100,
  fragment: DF,
  ipOptions: NOTHING,
  flowLabel: 0,
  extensions: [],
  sourcePort: 1000,
  destinationPort: 2000,
  sequence: 5000,
  acknowledgement: 700,
  flags: ACK,
  window: 501,
  urgent: 0,
  reserved: 0,
  tcpOptions: NOTHING,
  payload: NOTHING,
  sum: 'right',
};

export function ipPacket(change: Partial<IpShape> = {}): Uint8Array {
  const shape = { ...PLAIN, ...change };
  const bytes = new Uint8Array(sizeOf(shape));
  writeIpPacket(bytes, 0, shape);
  return bytes;
}

/** Returns the size of the headers before the payload. */
export function headersOf(shape: IpShape): number {
  let size = shape.version === 4 ? 20 + shape.ipOptions.length : 40;
  if (shape.version === 6) for (const [, bytes] of shape.extensions) size += 1 + bytes.length;
  return size + (shape.protocol === TCP ? 20 + shape.tcpOptions.length : shape.protocol === UDP ? 8 : 0);
}

function sizeOf(shape: IpShape): number {
  return headersOf(shape) + shape.payload.length;
}

/** @returns the bytes written, sizeOf(shape) */
export function writeIpPacket(to: Uint8Array, at: number, shape: IpShape): number {
  const length = sizeOf(shape);
  to.fill(0, at, at + length);
  const upper = shape.version === 4 ? writeIpv4(to, at, shape, length) : writeIpv6(to, at, shape, length);
  to.set(shape.payload, at + length - shape.payload.length);
  if (shape.protocol === TCP) writeTcp(to, at + upper, shape);
  else if (shape.protocol === UDP) {
    put16(to, at + upper, shape.sourcePort);
    put16(to, at + upper + 2, shape.destinationPort);
    put16(to, at + upper + 4, length - upper);
  } else return length;
  const field = at + upper + (shape.protocol === TCP ? 16 : 6);
  const pseudo = pseudoSum(to, at, shape.version, shape.protocol, length - upper);
  if (shape.sum === 'right') {
    const sum = ~onesSum(to.subarray(at + upper, at + length), pseudo) & 0xffff;
    put16(to, field, sum === 0 && shape.protocol === UDP ? 0xffff : sum);
  } else put16(to, field, shape.sum === 'partial' ? pseudo : shape.sum);
  return length;
}

/**
 * Returns what is wrong with the lengths and checksums of a packet without IPv6 extension headers;
 * empty if nothing is.
 */
export function faults(packet: Uint8Array): string[] {
  const found: string[] = [];
  const version = packet[0]! >> 4;
  const upper = version === 4 ? (packet[0]! & 15) * 4 : 40;
  const claimed = version === 4 ? get16(packet, 2) : get16(packet, 4) + 40;
  if (claimed !== packet.length) found.push(`IP says ${claimed} bytes, there are ${packet.length}`);
  if (version === 4 && onesSum(packet.subarray(0, upper), 0) !== 0xffff) found.push('IPv4 header checksum');
  const protocol = packet[version === 4 ? 9 : 6]!;
  if (protocol === UDP && get16(packet, upper + 4) !== packet.length - upper) found.push('UDP length');
  const pseudo = pseudoSum(packet, 0, version, protocol, packet.length - upper);
  if (onesSum(packet.subarray(upper), pseudo) !== 0xffff) found.push('upper checksum');
  return found;
}

/** RFC 1071 literally: adds word by word, with each carry at once. */
export function onesSum(bytes: Uint8Array, start: number): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += (bytes[i]! << 8) | (i + 1 < bytes.length ? bytes[i + 1]! : 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

export function pseudoSum(bytes: Uint8Array, at: number, version: number, protocol: number, length: number): number {
  const addresses = version === 4 ? bytes.subarray(at + 12, at + 20) : bytes.subarray(at + 8, at + 40);
  const sum = onesSum(addresses, 0) + protocol;
  return onesSum(Uint8Array.of(length >> 24, length >> 16, length >> 8, length), sum > 0xffff ? sum - 0xffff : sum);
}

export function get16(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!;
}

export function get32(bytes: Uint8Array, at: number): number {
  return get16(bytes, at) * 65_536 + get16(bytes, at + 2);
}

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value / 256;
  bytes[at + 1] = value;
}

function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, value / 65_536);
  put16(bytes, at + 2, value % 65_536);
}

function writeIpv4(to: Uint8Array, at: number, shape: IpShape, length: number): number {
  const header = 20 + shape.ipOptions.length;
  to[at] = 0x40 | (header >> 2);
  to[at + 1] = shape.tos;
  put16(to, at + 2, length);
  put16(to, at + 4, shape.id);
  put16(to, at + 6, shape.fragment);
  to[at + 8] = shape.ttl;
  to[at + 9] = shape.protocol;
  to[at + 12] = 10;
  to[at + 15] = shape.source;
  to[at + 16] = 10;
  to[at + 19] = shape.destination;
  to.set(shape.ipOptions, at + 20);
  put16(to, at + 10, ~onesSum(to.subarray(at, at + header), 0) & 0xffff);
  return header;
}

function writeIpv6(to: Uint8Array, at: number, shape: IpShape, length: number): number {
  to[at] = 0x60 | (shape.tos >> 4);
  to[at + 1] = ((shape.tos & 15) << 4) | (shape.flowLabel >> 16);
  put16(to, at + 2, shape.flowLabel & 0xffff);
  put16(to, at + 4, length - 40);
  to[at + 7] = shape.ttl;
  to[at + 8] = to[at + 24] = 0xfd;
  to[at + 23] = shape.source;
  to[at + 39] = shape.destination;
  let next = 6;
  let upper = 40;
  for (const [number, bytes] of shape.extensions) {
    to[at + next] = number;
    next = upper;
    to.set(bytes, at + upper + 1);
    upper += 1 + bytes.length;
  }
  to[at + next] = shape.protocol;
  return upper;
}

function writeTcp(to: Uint8Array, at: number, shape: IpShape): void {
  put16(to, at, shape.sourcePort);
  put16(to, at + 2, shape.destinationPort);
  put32(to, at + 4, shape.sequence);
  put32(to, at + 8, shape.acknowledgement);
  to[at + 12] = ((20 + shape.tcpOptions.length) << 2) | shape.reserved;
  to[at + 13] = shape.flags;
  put16(to, at + 14, shape.window);
  put16(to, at + 18, shape.urgent);
  to.set(shape.tcpOptions, at + 20);
}

/**
 * An endpoint as a fixed record of bytes, so that the data path can compare and copy endpoints
 * without creating objects. A record accompanies each datagram. It holds the far address and, as in
 * the kernel's `struct endpoint`, the local address and interface on which the datagram arrived,
 * which the answer uses again ("sticky" source).
 *
 * Layout, ENDPOINT_SIZE bytes:
 *   0      family: 0 none, 4 or 6
 *   1      1 when a local address is present
 *   2-3    far port, network order
 *   4-19   far address (IPv4 in the first four bytes, rest zero)
 *   20-23  IPv6 scope id, little endian
 *   24-39  local address (same form)
 *   40-43  local interface index, little endian, 0 none
 *   44-47  zero
 */
import { formatAddress, parseAddress } from './address.ts';

/**
 * The size in bytes of an endpoint record: family, port and address of the far side, and the local
 * address on which a datagram arrived. Records are compared and copied as bytes; `makeEndpoint`,
 * `parseEndpoint` and `formatEndpoint` convert them.
 */
export const ENDPOINT_SIZE = 48;
/** The bytes that describe the far side; the bytes after them describe the local side. */
export const ENDPOINT_FAR_SIZE = 24;

export const ENDPOINT_FAMILY = 0;
export const ENDPOINT_HAS_LOCAL = 1;
export const ENDPOINT_PORT = 2;
export const ENDPOINT_ADDRESS = 4;
export const ENDPOINT_SCOPE = 20;
export const ENDPOINT_LOCAL = 24;
export const ENDPOINT_IFINDEX = 40;

/**
 * Returns an endpoint record for an address of 4 or 16 bytes and a UDP port, without a local
 * address.
 * @param scope IPv6 scope id; 0 for none
 * @throws RangeError for an address of another size
 */
export function makeEndpoint(address: Uint8Array, port: number, scope = 0): Uint8Array {
  if (address.length !== 4 && address.length !== 16)
    throw new RangeError(`an address has 4 or 16 bytes, not ${address.length}`);
  const record = new Uint8Array(ENDPOINT_SIZE);
  record[ENDPOINT_FAMILY] = address.length === 4 ? 4 : 6;
  record[ENDPOINT_PORT] = port >> 8;
  record[ENDPOINT_PORT + 1] = port & 0xff;
  record.set(address, ENDPOINT_ADDRESS);
  // byte by byte: a DataView would move the buffer of this small array out of V8's heap
  for (let i = 0; i < 4; i++) record[ENDPOINT_SCOPE + i] = scope >>> (8 * i);
  return record;
}

/**
 * Parses `192.0.2.1:51820` or `[2001:db8::1%3]:51820`. Here a zone must be a number;
 * config/zones.ts also reads names.
 * @returns a record, or undefined if the text is not a numeric endpoint
 */
export function parseEndpoint(text: string): Uint8Array | undefined {
  const match = /^(?:\[([^\]%]+)(?:%([0-9]{1,10}))?\]|([0-9.]+)):([0-9]{1,5})$/.exec(text);
  if (!match) return undefined;
  const address = parseAddress(match[1] ?? match[3]!);
  const port = Number(match[4]);
  if (!address || port > 65535 || (match[1] !== undefined) !== (address.length === 16)) return undefined;
  return makeEndpoint(address, port, Number(match[2] ?? 0));
}

/**
 * Formats the far side as `wg` prints it: `192.0.2.1:51820`, `[2001:db8::1]:51820`. If there is a
 * scope, `%N` follows the address.
 */
export function formatEndpoint(record: Uint8Array): string {
  const port = (record[ENDPOINT_PORT]! << 8) | record[ENDPOINT_PORT + 1]!;
  if (record[ENDPOINT_FAMILY] === 4)
    return `${formatAddress(record.subarray(ENDPOINT_ADDRESS, ENDPOINT_ADDRESS + 4))}:${port}`;
  const address = formatAddress(record.subarray(ENDPOINT_ADDRESS, ENDPOINT_ADDRESS + 16));
  const scope = new DataView(record.buffer, record.byteOffset).getUint32(ENDPOINT_SCOPE, true);
  return scope === 0 ? `[${address}]:${port}` : `[${address}%${scope}]:${port}`;
}

/** Reports whether the records at two offsets are equal in their first `length` bytes. */
export function sameEndpoint(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, length = ENDPOINT_SIZE): boolean {
  for (let i = 0; i < length; i++) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}

/** Reports whether two records have the same far side, regardless of their local sides. */
export function sameFarSide(a: Uint8Array, b: Uint8Array): boolean {
  return (
    a[ENDPOINT_FAMILY] === b[ENDPOINT_FAMILY] &&
    sameEndpoint(a, ENDPOINT_PORT, b, ENDPOINT_PORT, ENDPOINT_FAR_SIZE - ENDPOINT_PORT)
  );
}

/** Returns a copy without the local side. */
export function withoutLocal(record: Uint8Array): Uint8Array {
  const copy = new Uint8Array(ENDPOINT_SIZE);
  copy.set(record.subarray(0, ENDPOINT_FAR_SIZE));
  copy[ENDPOINT_HAS_LOCAL] = 0;
  return copy;
}

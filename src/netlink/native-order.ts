/** Reads and writes numbers in the machine's byte order, which netlink uses. */

const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @throws RangeError past the end, as do all functions of this file */
export function getU16(bytes: Uint8Array, at: number): number {
  return view(bytes).getUint16(at, LITTLE);
}

export function getU32(bytes: Uint8Array, at: number): number {
  return view(bytes).getUint32(at, LITTLE);
}

export function getI32(bytes: Uint8Array, at: number): number {
  return view(bytes).getInt32(at, LITTLE);
}

/** Exact up to 2^53. */
export function getU64(bytes: Uint8Array, at: number): number {
  return Number(view(bytes).getBigUint64(at, LITTLE));
}

export function setU16(bytes: Uint8Array, at: number, value: number): void {
  view(bytes).setUint16(at, value, LITTLE);
}

export function setU32(bytes: Uint8Array, at: number, value: number): void {
  view(bytes).setUint32(at, value, LITTLE);
}

export function setU64(bytes: Uint8Array, at: number, value: number): void {
  view(bytes).setBigUint64(at, BigInt(value), LITTLE);
}

export function setI32(bytes: Uint8Array, at: number, value: number): void {
  view(bytes).setInt32(at, value, LITTLE);
}

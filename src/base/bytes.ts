/** Arrays of bytes: comparison, and memory for secrets. */

/**
 * Reports whether two arrays hold the same bytes. The time depends on the lengths alone, not on
 * where the bytes differ, so that secrets can be compared.
 */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let bits = 0;
  for (let i = 0; i < a.length; i++) bits |= a[i]! ^ b[i]!;
  return bits === 0;
}

/**
 * Returns memory for bytes that must be erased later. V8 keeps small arrays in its own heap, moves
 * them, and leaves copies behind. An ArrayBuffer that is created first stays in its place, so
 * fill(0) overwrites the only copy. Strings cannot be erased at all.
 */
export function newSecret(size: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(size));
}

/** Returns a copy in erasable memory (newSecret). */
export function copySecret(bytes: Uint8Array): Uint8Array {
  const copy = newSecret(bytes.length);
  copy.set(bytes);
  return copy;
}

/**
 * Memory for what must be erased. V8 keeps small arrays in its own heap and moves them about, and leaves copies where they were; an
 * ArrayBuffer that is made first stays where it is, so that fill(0) overwrites the only one. Strings cannot be erased at all.
 */
export function newSecret(size: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(size));
}

/** A copy in such memory. */
export function copySecret(bytes: Uint8Array): Uint8Array {
  const copy = newSecret(bytes.length);
  copy.set(bytes);
  return copy;
}

/**
 * Memory for what must be erased. V8 keeps small arrays in its own heap and moves them about, and leaves copies where they were; an
 * ArrayBuffer that is made first stays where it is, so that fill(0) overwrites the only one.
 */
export function newSecret(size: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(size));
}

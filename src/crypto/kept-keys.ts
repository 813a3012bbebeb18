/**
 * What a library makes of a private key, which costs as much as using it, is kept for as long as the caller keeps its array: every
 * handshake uses the same arrays two or three times.
 */

import { copySecret } from '../base/key.ts';

interface Kept<T> {
  /** What the array held: it may have been overwritten since. */
  readonly bytes: Uint8Array;
  readonly made: T;
}

export class KeptKeys<T> {
  readonly #make: (privateKey: Uint8Array) => T;
  readonly #erase: (made: T) => void;
  /** By the array itself, so that nothing here outlives the caller's own copy of the secret, and there is no size to choose. */
  readonly #kept = new WeakMap<Uint8Array, Kept<T>>();

  /** @param erase overwrites what was made, where that can be done */
  constructor(make: (privateKey: Uint8Array) => T, erase: (made: T) => void = () => {}) {
    this.#make = make;
    this.#erase = erase;
  }

  get(privateKey: Uint8Array): T {
    const found = this.#kept.get(privateKey);
    if (found) {
      if (same(found.bytes, privateKey)) return found.made;
      this.#drop(found);
    }
    const made = this.#make(privateKey);
    this.#kept.set(privateKey, { bytes: copySecret(privateKey), made });
    return made;
  }

  /** Overwrites the caller's array too. */
  forget(privateKey: Uint8Array): void {
    const found = this.#kept.get(privateKey);
    this.#kept.delete(privateKey);
    if (found) this.#drop(found);
    privateKey.fill(0);
  }

  #drop({ bytes, made }: Kept<T>): void {
    bytes.fill(0);
    this.#erase(made);
  }
}

/** In a time that does not depend on where they differ. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  let bits = 0;
  for (let i = 0; i < a.length; i++) bits |= a[i]! ^ b[i]!;
  return bits === 0;
}

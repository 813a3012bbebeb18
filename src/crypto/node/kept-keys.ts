/**
 * Caches what a library prepares from a private key, for the lifetime of the caller's array.
 * Preparing a key costs as much as using it, and every handshake uses the same keys two or three
 * times. forget() erases the prepared key and the caller's array.
 */

import { copySecret, sameBytes } from '../../base/bytes.ts';

interface Kept<T> {
  /**
   * Copy of the array from when the key was prepared. The array may have been overwritten since.
   */
  readonly bytes: Uint8Array;
  readonly made: T;
}

export class KeptKeys<T> {
  readonly #make: (privateKey: Uint8Array) => T;
  readonly #erase: (made: T) => void;
  /**
   * The array itself is the map's key. So nothing here outlives the caller's copy of the secret,
   * and the cache needs no size limit.
   */
  readonly #kept = new WeakMap<Uint8Array, Kept<T>>();

  /** @param erase overwrites a prepared key if possible */
  constructor(make: (privateKey: Uint8Array) => T, erase: (made: T) => void = () => {}) {
    this.#make = make;
    this.#erase = erase;
  }

  get(privateKey: Uint8Array): T {
    const found = this.#kept.get(privateKey);
    if (found) {
      if (sameBytes(found.bytes, privateKey)) return found.made;
      this.#drop(found);
    }
    const made = this.#make(privateKey);
    this.#kept.set(privateKey, { bytes: copySecret(privateKey), made });
    return made;
  }

  /** Erases the prepared key and overwrites the caller's array. */
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

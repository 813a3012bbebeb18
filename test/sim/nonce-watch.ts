/**
 * Wraps the cipher of an engine and throws if a counter is used twice under a key, or decreases.
 */
import {
  SEAL_COUNT,
  SEAL_COUNTER_HIGH,
  SEAL_COUNTER_LOW,
  SEAL_KEY,
  SEAL_OUT_LENGTH,
  SEAL_STRIDE,
  type TransportCipher,
} from '../../src/protocol/transport-cipher.ts';

export class NonceWatch {
  /**
   * The next permitted counter of each key, keyed by its bytes, so that one key in two slots is
   * detected.
   */
  readonly #next = new Map<string, bigint>();

  watch(cipher: TransportCipher): TransportCipher {
    const keys = new Map<number, string>();
    return {
      name: cipher.name,
      setKey: (slot, key) => {
        keys.set(slot, Buffer.from(key).toString('hex'));
        cipher.setKey(slot, key);
      },
      eraseKey: slot => {
        keys.delete(slot);
        cipher.eraseKey(slot);
      },
      copyKey: (slot, into) => cipher.copyKey(slot, into),
      seal: (input, output, jobs, count) => {
        for (let i = 0; i < count; i++) this.#check(keys, jobs, i * SEAL_STRIDE);
        cipher.seal(input, output, jobs, count);
        for (let i = 0; i < count; i++)
          if (jobs[i * SEAL_STRIDE + SEAL_OUT_LENGTH] === 0) throw new Error('the cipher refused a job');
      },
      open: (slab, jobs, count) => cipher.open(slab, jobs, count),
    };
  }

  #check(keys: Map<number, string>, jobs: Int32Array, at: number): void {
    const key = keys.get(jobs[at + SEAL_KEY]!);
    if (key === undefined) throw new Error('sealing under an erased key');
    const counter = (BigInt(jobs[at + SEAL_COUNTER_HIGH]! >>> 0) << 32n) | BigInt(jobs[at + SEAL_COUNTER_LOW]! >>> 0);
    if (counter < (this.#next.get(key) ?? 0n)) throw new Error(`counter ${counter} used again under one key`);
    this.#next.set(key, counter + BigInt(jobs[at + SEAL_COUNT]!));
  }
}

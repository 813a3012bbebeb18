/**
 * A cipher whose work is done by lanes (native/lanes.c): each call lends one batch and waits for
 * it. The results that lanes want to know in advance come from the TypeScript twin.
 */
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import type { NativeBinding } from '../../src/io/native-binding.ts';
import type { NativeCipher } from '../../src/io/native-cipher.ts';
import { NativeLanes } from '../../src/io/native-lanes.ts';
import { makeDatagramBatch } from '../../src/packet/batch.ts';
import { OPEN_STRIDE, SEAL_STRIDE, type TransportCipher } from '../../src/protocol/transport-cipher.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';

export class LanesCipher implements TransportCipher {
  readonly name: string;
  readonly #cipher: NativeCipher;
  readonly #twin = new TwinCipher(opensslPacketAead);
  readonly #lanes: NativeLanes;
  /** Where the twin writes. */
  #scratch = new Uint8Array(0);

  constructor(binding: NativeBinding, cipher: NativeCipher, threads: number) {
    this.name = `${threads} lanes, ${cipher.provider}`;
    this.#cipher = cipher;
    this.#lanes = new NativeLanes(binding, cipher, threads);
  }

  setKey(slot: number, key: Uint8Array): void {
    this.#cipher.setKey(slot, key);
    this.#twin.setKey(slot, key);
  }

  eraseKey(slot: number): void {
    this.#cipher.eraseKey(slot);
    this.#twin.eraseKey(slot);
  }

  copyKey(slot: number, into: Uint8Array): boolean {
    return this.#cipher.copyKey(slot, into);
  }

  seal(input: Uint8Array, output: Uint8Array, jobs: Int32Array, count: number): void {
    if (this.#scratch.length !== output.length) this.#scratch = new Uint8Array(output.length);
    this.#twin.seal(input, this.#scratch, jobs, count);
    const fit = within(count, jobs.length / SEAL_STRIDE);
    const batch = { ...makeDatagramBatch(0, 0), slab: output };
    if (!this.#lanes.seal(undefined, input, jobs, fit, batch)) throw new Error('the queue is full');
    if (this.#finished().refused > 0) throw new Error('a result is not as the twin predicts');
  }

  open(slab: Uint8Array, jobs: Int32Array, count: number): void {
    if (!this.#lanes.open(slab, jobs, within(count, jobs.length / OPEN_STRIDE))) throw new Error('the queue is full');
    this.#finished();
  }

  #finished(): { refused: number } {
    this.#lanes.next();
    const { sealed, opened, refused } = this.#lanes.done();
    if (sealed + opened !== 1) throw new Error(`${sealed + opened} batches came back instead of one`);
    return { refused };
  }
}

/** A cipher takes the jobs that its array has, and lanes refuse more. */
const within = (count: number, room: number): number => Math.max(0, Math.min(count, Math.floor(room)));

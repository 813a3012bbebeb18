/**
 * The transport cipher of the addon (native/cipher.c): one call per batch. Its AEAD is fixed when
 * it is created: a named provider, or the fastest on this machine that passes its self-test.
 */
import type { TransportCipher } from '../protocol/transport-cipher.ts';
import { MAX_KEY_SLOTS } from '../protocol/transport-cipher.ts';

/**
 * The native half of a cipher. The addon erases its keys and frees it when the last reference is
 * gone.
 */
export type CipherHandle = object;

/** An AEAD provider and its state on this machine. */
export interface CipherProvider {
  /** 'ipsec-mb' or 'openssl'. */
  readonly name: string;
  /** Why it cannot be used on this machine; undefined if it can. */
  readonly problem: string | undefined;
  /** Nanoseconds to seal a packet of 1424 bytes; undefined if there is a problem. */
  readonly nanoseconds: number | undefined;
}

/** The functions that native/cipher.c exports. */
export interface CipherBinding {
  cipherCreate(provider: string): CipherHandle | undefined;
  cipherProviders(): CipherProvider[];
  cipherSetKey(cipher: CipherHandle, slot: number, key: Uint8Array): boolean;
  cipherEraseKey(cipher: CipherHandle, slot: number): void;
  /** Copies a key into exactly 32 bytes. Returns false for an empty slot or another size. */
  cipherCopyKey(cipher: CipherHandle, slot: number, into: Uint8Array): boolean;
  cipherSeal(cipher: CipherHandle, input: Uint8Array, output: Uint8Array, jobs: Int32Array, count: number): void;
  cipherOpen(cipher: CipherHandle, slab: Uint8Array, jobs: Int32Array, count: number): void;
  /**
   * Splits a super-packet into segments, which it writes `stride` bytes apart. Returns their
   * number, 0 if the packet is malformed, -1 if they do not fit into `out`. For tests and
   * benchmarks.
   */
  offloadSplit(slab: Uint8Array, offset: number, length: number, out: Uint8Array, stride: number): number;
  /**
   * Merges packets as Coalescer.merge() of packet/coalesce.ts does, into two arrays of the caller.
   * The last two numbers are its overlay. For tests and benchmarks.
   */
  offloadMerge(
    slab: Uint8Array,
    desc: Int32Array,
    count: number,
    allowed: number,
    groups: Int32Array,
    next: Int32Array,
    port: number,
    address: number,
  ): number;
}

/**
 * Makes a cipher.
 * @param provider the name of an AEAD provider; undefined for the fastest
 * @returns undefined if no provider was named and none works here: use the TypeScript twin
 * @throws Error that says why a named provider cannot be used
 */
export function createNativeCipher(binding: CipherBinding, provider?: string): NativeCipher | undefined {
  const all = binding.cipherProviders();
  const usable = all.filter(p => p.problem === undefined);
  const chosen =
    provider === undefined
      ? usable.sort((a, b) => (a.nanoseconds ?? Infinity) - (b.nanoseconds ?? Infinity))[0]
      : usable.find(p => p.name === provider);
  const handle = chosen && binding.cipherCreate(chosen.name);
  if (chosen && handle) return new NativeCipher(binding, handle, chosen.name);
  if (provider === undefined) return undefined;
  const problem = all.find(p => p.name === provider)?.problem ?? 'there is no such provider';
  throw new Error(`AEAD provider '${provider}' cannot be used: ${problem}; choose from ${usable.map(p => p.name)}`);
}

export class NativeCipher implements TransportCipher {
  readonly name: string;
  /** The AEAD provider: 'ipsec-mb' or 'openssl'. */
  readonly provider: string;
  readonly #binding: CipherBinding;
  readonly #handle: CipherHandle;

  constructor(binding: CipherBinding, handle: CipherHandle, provider: string) {
    this.name = `native, ${provider}`;
    this.provider = provider;
    this.#binding = binding;
    this.#handle = handle;
  }

  /** For lanes (native-lanes.ts). */
  get handle(): CipherHandle {
    return this.#handle;
  }

  /** Returns another cipher with the same provider and no keys. @throws Error if memory is short */
  another(): NativeCipher {
    const handle = this.#binding.cipherCreate(this.provider);
    if (!handle) throw new Error(`no second cipher of ${this.provider}`);
    return new NativeCipher(this.#binding, handle, this.provider);
  }

  setKey(slot: number, key: Uint8Array): void {
    if (!Number.isInteger(slot) || slot < 0 || slot >= MAX_KEY_SLOTS)
      throw new RangeError(`a key slot is a number from 0 to ${MAX_KEY_SLOTS - 1}, not ${slot}`);
    if (key.length !== 32) throw new RangeError(`a key has 32 bytes, not ${key.length}`);
    if (!this.#binding.cipherSetKey(this.#handle, slot, key)) throw new Error('out of memory for packet keys');
  }

  eraseKey(slot: number): void {
    this.#binding.cipherEraseKey(this.#handle, slot);
  }

  copyKey(slot: number, into: Uint8Array): boolean {
    if (into.length !== 32) throw new RangeError(`a key has 32 bytes, not ${into.length}`);
    return this.#binding.cipherCopyKey(this.#handle, slot, into);
  }

  seal(input: Uint8Array, output: Uint8Array, jobs: Int32Array, count: number): void {
    this.#binding.cipherSeal(this.#handle, input, output, jobs, count);
  }

  open(slab: Uint8Array, jobs: Int32Array, count: number): void {
    this.#binding.cipherOpen(this.#handle, slab, jobs, count);
  }
}

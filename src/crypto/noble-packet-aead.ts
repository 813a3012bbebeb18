/**
 * Wraps the ChaCha20-Poly1305 of @noble/ciphers. It is the reference for the other implementations.
 */
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { copySecret } from '../base/bytes.ts';
import { AEAD_TAG_SIZE, type PacketAead, type PacketKey } from './packet-aead.ts';

/**
 * ChaCha20-Poly1305 for packets in pure JavaScript, which runs anywhere. A packet of 1420 bytes
 * takes about 11 us.
 */
export const noblePacketAead: PacketAead = {
  name: 'noble',
  makeKey: key => new NoblePacketKey(key),
};

class NoblePacketKey implements PacketKey {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    this.#key = copySecret(key);
  }

  seal(nonce: Uint8Array, bytes: Uint8Array, at: number, length: number): void {
    const output = bytes.subarray(at, at + length + AEAD_TAG_SIZE);
    chacha20poly1305(this.#key, nonce).encrypt(output.subarray(0, length), output);
  }

  open(nonce: Uint8Array, bytes: Uint8Array, at: number, length: number): boolean {
    try {
      const input = bytes.subarray(at, at + length + AEAD_TAG_SIZE);
      chacha20poly1305(this.#key, nonce).decrypt(input, input.subarray(0, length));
      return true;
    } catch {
      return false;
    }
  }

  copy(into: Uint8Array): void {
    into.set(this.#key);
  }

  erase(): void {
    this.#key.fill(0);
  }
}

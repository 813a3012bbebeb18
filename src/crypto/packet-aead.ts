/**
 * ChaCha20-Poly1305 (RFC 8439) for the TypeScript data path. It works in place in the caller's
 * buffer, without associated data. A key is prepared once and used for millions of packets.
 * Handshakes use crypto/provider.ts.
 */

export const AEAD_KEY_SIZE = 32;
export const AEAD_NONCE_SIZE = 12;
export const AEAD_TAG_SIZE = 16;

/** One prepared key. The caller must never repeat a nonce (12 bytes). */
export interface PacketKey {
  /** Encrypts `length` bytes at `at` in place and writes the 16-byte tag after them. */
  seal(nonce: Uint8Array, bytes: Uint8Array, at: number, length: number): void;
  /**
   * Decrypts `length` bytes at `at` in place; the tag follows them.
   * @returns false if the tag is wrong; the bytes are then unchanged
   */
  open(nonce: Uint8Array, bytes: Uint8Array, at: number, length: number): boolean;
  /** Copies the 32 bytes of the key into an array of the caller, who erases it. */
  copy(into: Uint8Array): void;
  /** Overwrites the key as far as possible. Do not use the key afterwards. */
  erase(): void;
}

/** A provider of ChaCha20-Poly1305 (RFC 8439) for packets; {@link TwinCipher} uses one. */
export interface PacketAead {
  /** The provider's name, for messages. */
  readonly name: string;
  /** Prepares a key for many packets. Copies the 32 bytes. */
  makeKey(key: Uint8Array): PacketKey;
}

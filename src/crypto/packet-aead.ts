/**
 * ChaCha20-Poly1305 (RFC 8439) for the TypeScript data path: in place in the caller's buffer,
 * without associated data, under a key that is prepared once and used for millions of packets.
 * Handshakes use crypto/provider.ts.
 */

export const AEAD_KEY_SIZE = 32;
export const AEAD_NONCE_SIZE = 12;
export const AEAD_TAG_SIZE = 16;

/**
 * One prepared key. It works in place, without associated data; the caller never repeats a nonce
 * (12 bytes).
 */
export interface PacketKey {
  /** Encrypts `length` bytes at `at` in place and writes the 16-byte tag after them. */
  seal(nonce: Uint8Array, bytes: Uint8Array, at: number, length: number): void;
  /**
   * Decrypts `length` bytes at `at` in place; the tag follows them.
   * @returns false if the tag is wrong; the bytes are then unchanged
   */
  open(nonce: Uint8Array, bytes: Uint8Array, at: number, length: number): boolean;
  /** Overwrites the key as far as possible. It must not be used afterwards. */
  erase(): void;
}

/** A provider of ChaCha20-Poly1305 (RFC 8439) for packets, which a {@link TwinCipher} runs on. */
export interface PacketAead {
  /** The provider's name, for messages. */
  readonly name: string;
  /** Returns a key that is prepared for many packets. The 32 bytes are copied. */
  makeKey(key: Uint8Array): PacketKey;
}

/**
 * ChaCha20-Poly1305 (RFC 8439) as the TypeScript data path wants it: in place, in somebody else's buffer, without associated
 * data, under a key that is prepared once and used for millions of packets. Handshakes use crypto/provider.ts.
 */

export const AEAD_KEY_SIZE = 32;
export const AEAD_NONCE_SIZE = 12;
export const AEAD_TAG_SIZE = 16;

/**
 * One prepared key. It works in place, without associated data; the caller never repeats a nonce
 * (12 bytes).
 */
export interface PacketKey {
  /** Encrypts `length` bytes at `at` in place and writes the 16 bytes of tag behind them. */
  seal(nonce: Uint8Array, bytes: Uint8Array, at: number, length: number): void;
  /**
   * Decrypts `length` bytes at `at` in place; the tag stands behind them.
   * @returns false if the tag is wrong; the bytes are then as they were.
   */
  open(nonce: Uint8Array, bytes: Uint8Array, at: number, length: number): boolean;
  /** Overwrites what can be overwritten. The key must not be used afterwards. */
  erase(): void;
}

/** A provider of ChaCha20-Poly1305 (RFC 8439) for packets, which a {@link TwinCipher} runs on. */
export interface PacketAead {
  /** The provider's name, for messages. */
  readonly name: string;
  /** Returns a key that is prepared for many packets. The 32 bytes are copied. */
  makeKey(key: Uint8Array): PacketKey;
}

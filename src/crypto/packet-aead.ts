/**
 * ChaCha20-Poly1305 (RFC 8439) as the TypeScript data path wants it: in place, in somebody else's buffer, without associated
 * data, under a key that is prepared once and used for millions of packets. Handshakes use crypto/provider.ts.
 */

export const AEAD_KEY_SIZE = 32;
export const AEAD_NONCE_SIZE = 12;
export const AEAD_TAG_SIZE = 16;

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

export interface PacketAead {
  readonly name: string;
  /** Copies the 32 bytes. */
  makeKey(key: Uint8Array): PacketKey;
}

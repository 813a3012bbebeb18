/**
 * The primitives that WireGuard is made of (whitepaper section 5.4), behind one interface. Providers: noble.ts (the
 * specification), openssl.ts (node:crypto), native.ts (the addon). One contract suite runs them all. These are the calls
 * of the slow path: handshakes and cookies. Packets go through protocol/transport-cipher.ts, in batches.
 */
export interface CryptoProvider {
  readonly name: string;
  /** BLAKE2s-256 of the parts one after another; 32 bytes. */
  hash(...parts: readonly Uint8Array[]): Uint8Array;
  /** Keyed BLAKE2s with a 16 byte output (RFC 7693 keyed mode); the key has 1 to 32 bytes. */
  mac(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** HMAC-BLAKE2s-256 (RFC 2104); 32 bytes. */
  hmac(key: Uint8Array, data: Uint8Array): Uint8Array;
  /**
   * X25519 (RFC 7748). 32 bytes, or undefined when the result is all zero: a low order point was given, and the message
   * that carried it must be dropped. Whoever uses a private key again passes the same array: what is costly to prepare is kept with it.
   */
  dh(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
  /** The public key of a private key; 32 bytes. */
  publicKey(privateKey: Uint8Array): Uint8Array;
  /** ChaCha20-Poly1305 (RFC 8439): 12 byte nonce; ciphertext with the 16 byte tag behind it. */
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array;
  /** undefined if the tag is wrong or the input shorter than a tag. */
  open(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array | undefined;
  /** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): 24 byte nonce. */
  xseal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array;
  xopen(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array | undefined;
  /** Whether two byte strings of one length are equal, in a time that does not depend on where they differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}

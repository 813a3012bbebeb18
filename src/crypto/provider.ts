/**
 * The primitives that WireGuard is made of (whitepaper section 5.4), behind one interface.
 * Providers: noble.ts (the reference), openssl.ts (node:crypto), native.ts (the addon). One
 * contract suite tests them all. This is the slow path, handshakes and cookies: packets go through
 * a {@link TransportCipher} (protocol/transport-cipher.ts) in batches.
 */
export interface CryptoProvider {
  /** The provider's name, for messages. */
  readonly name: string;
  /** BLAKE2s-256 of the parts one after another; 32 bytes. */
  hash(...parts: readonly Uint8Array[]): Uint8Array;
  /** Keyed BLAKE2s with a 16 byte output (RFC 7693 keyed mode); the key has 1 to 32 bytes. */
  mac(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** HMAC-BLAKE2s-256 (RFC 2104); 32 bytes. */
  hmac(key: Uint8Array, data: Uint8Array): Uint8Array;
  /**
   * The whitepaper's Kdf_n: from a chaining key of 32 bytes and an input, one to three keys of 32
   * bytes (kdf.ts).
   */
  kdf(chainingKey: Uint8Array, input: Uint8Array, keys: 1 | 2 | 3): Uint8Array[];
  /**
   * X25519 (RFC 7748). A caller that uses a private key again passes the same array: what is costly
   * to prepare is kept with it.
   * @returns 32 bytes, or undefined when the result is all zero: the public key is a point of low
   * order, and the message that carried it must be dropped
   */
  dh(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
  /** The public key of a private key; 32 bytes. */
  publicKey(privateKey: Uint8Array): Uint8Array;
  /**
   * Overwrites a private key and everything that was prepared from it. Ends the life of each key
   * that was used for dh() or publicKey().
   */
  forget(privateKey: Uint8Array): void;
  /** dh() of one private key with each of many public keys. A provider may use several cores. */
  dhMany(privateKey: Uint8Array, publicKeys: readonly Uint8Array[]): (Uint8Array | undefined)[];
  /**
   * dh() for many private keys that are used once, of which nothing is kept. Each job has the same
   * number of public keys.
   */
  dhEphemeral(jobs: readonly EphemeralJob[]): EphemeralKeys[];
  /**
   * ChaCha20-Poly1305 (RFC 8439) with a 12-byte nonce. Returns the ciphertext followed by the
   * 16-byte tag.
   */
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array;
  /**
   * The inverse of {@link CryptoProvider.seal}.
   * @returns undefined if the tag is wrong or the input is shorter than a tag
   */
  open(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array | undefined;
  /** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a 24-byte nonce. */
  xseal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array;
  /**
   * The inverse of {@link CryptoProvider.xseal}.
   * @returns undefined if the tag is wrong or the input is shorter than a tag
   */
  xopen(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array | undefined;
  /** Compares two byte strings in constant time; strings of different lengths differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}

/** One private key that is used once, for {@link CryptoProvider.dhEphemeral}. */
export interface EphemeralJob {
  /** 32 bytes. */
  readonly privateKey: Uint8Array;
  /** 32 bytes each. */
  readonly publicKeys: readonly Uint8Array[];
}

/** The result of one {@link EphemeralJob}. */
export interface EphemeralKeys {
  /** The public key of the private key; 32 bytes. */
  readonly publicKey: Uint8Array;
  /** dh() with each of the job's public keys; undefined for a point of low order. */
  readonly shared: readonly (Uint8Array | undefined)[];
}

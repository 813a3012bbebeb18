/**
 * WireGuard's cryptographic primitives (whitepaper section 5.4) behind one interface. Providers:
 * noble.ts (the reference), openssl.ts (node:crypto), native.ts (the addon). One contract suite
 * tests them all. Only the slow path uses them, for handshakes and cookies. Packets go through a
 * {@link TransportCipher} (protocol/transport-cipher.ts) in batches.
 */
export interface CryptoProvider {
  /** The provider's name, for messages. */
  readonly name: string;
  /** Returns BLAKE2s-256 of the concatenated parts; 32 bytes. */
  hash(...parts: readonly Uint8Array[]): Uint8Array;
  /** Returns keyed BLAKE2s with an output of 16 bytes (RFC 7693); the key has 1 to 32 bytes. */
  mac(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** Returns HMAC-BLAKE2s-256 (RFC 2104); 32 bytes. */
  hmac(key: Uint8Array, data: Uint8Array): Uint8Array;
  /**
   * Derives one to three keys of 32 bytes from a chaining key of 32 bytes and an input: the
   * whitepaper's Kdf_n (kdf.ts).
   */
  kdf(chainingKey: Uint8Array, input: Uint8Array, keys: 1 | 2 | 3): Uint8Array[];
  /**
   * Computes X25519 (RFC 7748). To use a private key again, pass the same array: the provider keeps
   * what is costly to prepare with that array.
   * @returns 32 bytes, or undefined when the result is all zero. In that case the public key is a
   * point of low order, and the message that carried it must be dropped.
   */
  dh(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
  /** Returns the public key of a private key; 32 bytes. */
  publicKey(privateKey: Uint8Array): Uint8Array;
  /**
   * Overwrites a private key and everything that was prepared from it. The caller must call this
   * once for each key that it used for dh() or publicKey().
   */
  forget(privateKey: Uint8Array): void;
  /** Computes dh() of one private key with many public keys. A provider may use several cores. */
  dhMany(privateKey: Uint8Array, publicKeys: readonly Uint8Array[]): (Uint8Array | undefined)[];
  /**
   * Computes dh() for many private keys that are used once, and keeps nothing of them. All jobs
   * have the same number of public keys.
   */
  dhEphemeral(jobs: readonly EphemeralJob[]): EphemeralKeys[];
  /**
   * Encrypts with ChaCha20-Poly1305 (RFC 8439) and a 12-byte nonce. Returns the ciphertext followed
   * by the 16-byte tag.
   */
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array;
  /**
   * Decrypts what {@link CryptoProvider.seal} returned.
   * @returns undefined if the tag is wrong or the input is shorter than a tag
   */
  open(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array | undefined;
  /** Encrypts with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) and a 24-byte nonce. */
  xseal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array;
  /**
   * Decrypts what {@link CryptoProvider.xseal} returned.
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
  /** dh() with each of the job's public keys; undefined if that key is a point of low order. */
  readonly shared: readonly (Uint8Array | undefined)[];
}

/**
 * Noise_IKpsk2 over any CryptoProvider (Noise specification, revision 34, sections 5, 7.5 and 9;
 * whitepaper section 5.4). Generic on purpose: prologue and payloads are arguments, so that the
 * official Noise vectors test the same code that makes WireGuard's handshakes. The
 * WireGuard-specific parts (timestamps, indices, macs) are in handshake.ts.
 */
import { copySecret } from '../base/bytes.ts';
import type { CryptoProvider, EphemeralKeys } from '../crypto/provider.ts';

const EMPTY = new Uint8Array(0);
/** Every key of the handshake seals exactly once, so its nonce is always zero. */
const NONCE_ZERO = new Uint8Array(12);

export interface NoiseStatic {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/**
 * The symmetric state: chaining key and transcript hash. Owned by one handshake; erase() it when
 * done.
 */
export class SymmetricState {
  readonly #crypto: CryptoProvider;
  chainingKey: Uint8Array;
  hash: Uint8Array;
  #key: Uint8Array = EMPTY;

  private constructor(crypto: CryptoProvider, chainingKey: Uint8Array, hash: Uint8Array) {
    this.#crypto = crypto;
    this.chainingKey = chainingKey;
    this.hash = hash;
  }

  /**
   * Initialises the state from a protocol name (more than 32 bytes of ASCII), a prologue, and the
   * responder's static key, which both sides know.
   */
  static start(
    crypto: CryptoProvider,
    construction: Uint8Array,
    prologue: Uint8Array,
    responder: Uint8Array,
  ): SymmetricState {
    const chainingKey = crypto.hash(construction);
    const state = new SymmetricState(crypto, chainingKey, crypto.hash(chainingKey, prologue));
    state.mixHash(responder);
    return state;
  }

  /** Continues as the initiator that has written message one. Copies both values. */
  static resume(crypto: CryptoProvider, chainingKey: Uint8Array, hash: Uint8Array): SymmetricState {
    return new SymmetricState(crypto, copySecret(chainingKey), copySecret(hash));
  }

  clone(): SymmetricState {
    const copy = new SymmetricState(this.#crypto, copySecret(this.chainingKey), Uint8Array.from(this.hash));
    copy.#key = copySecret(this.#key);
    return copy;
  }

  mixHash(data: Uint8Array): void {
    this.hash = this.#crypto.hash(this.hash, data);
  }

  /** Mixes a DH result into chaining key and message key, and erases the result. */
  mixKey(secret: Uint8Array): void {
    const [chainingKey, key] = this.#crypto.kdf(this.chainingKey, secret, 2);
    this.#replace(chainingKey!, key!);
    secret.fill(0);
  }

  /**
   * Mixes an ephemeral public key into the chaining key, as the psk modifier requires; the
   * resulting message key is never used.
   */
  mixEphemeral(ephemeral: Uint8Array): void {
    this.mixHash(ephemeral);
    const [chainingKey] = this.#crypto.kdf(this.chainingKey, ephemeral, 1);
    this.#replace(chainingKey!, EMPTY);
  }

  mixPresharedKey(psk: Uint8Array): void {
    const [chainingKey, tau, key] = this.#crypto.kdf(this.chainingKey, psk, 3);
    this.#replace(chainingKey!, key!);
    this.mixHash(tau!);
    tau!.fill(0);
  }

  seal(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.#crypto.seal(this.#key, NONCE_ZERO, plaintext, this.hash);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** Opens a ciphertext. @returns undefined if the tag is wrong; the state is then unusable */
  open(ciphertext: Uint8Array): Uint8Array | undefined {
    const plaintext = this.#crypto.open(this.#key, NONCE_ZERO, ciphertext, this.hash);
    if (plaintext) this.mixHash(ciphertext);
    return plaintext;
  }

  /** Returns the two transport keys: initiator to responder, responder to initiator. */
  split(): [Uint8Array, Uint8Array] {
    const [toResponder, toInitiator] = this.#crypto.kdf(this.chainingKey, EMPTY, 2);
    return [toResponder!, toInitiator!];
  }

  erase(): void {
    this.chainingKey.fill(0);
    this.hash.fill(0);
    this.#key.fill(0);
  }

  #replace(chainingKey: Uint8Array, key: Uint8Array): void {
    this.chainingKey.fill(0);
    this.#key.fill(0);
    this.chainingKey = chainingKey;
    this.#key = key;
  }
}

export interface MessageOne {
  readonly ephemeral: Uint8Array;
  readonly static: Uint8Array;
  readonly payload: Uint8Array;
}

export interface MessageTwo {
  readonly ephemeral: Uint8Array;
  readonly payload: Uint8Array;
}

/**
 * Writes message one: -> e, es, s, ss. The returned state continues the handshake.
 * @param staticShared DH of both static keys, computed once per peer; not erased here
 * @returns undefined if a DH result is zero: the responder's key is of low order
 */
export function writeMessageOne(
  crypto: CryptoProvider,
  state: SymmetricState,
  own: NoiseStatic,
  ephemeralPrivate: Uint8Array,
  responder: Uint8Array,
  staticShared: Uint8Array,
  payload: Uint8Array,
): MessageOne | undefined {
  const ephemeral = crypto.publicKey(ephemeralPrivate);
  state.mixEphemeral(ephemeral);
  const es = crypto.dh(ephemeralPrivate, responder);
  if (!es) return undefined;
  state.mixKey(es);
  const sealedStatic = state.seal(own.publicKey);
  state.mixKey(copySecret(staticShared));
  return { ephemeral, static: sealedStatic, payload: state.seal(payload) };
}

/**
 * Reads message one as the responder, in two steps, since the caller must identify the initiator
 * between them.
 * @param es the DH of our static key and the ephemeral, if precomputed in a batch
 * @returns the initiator's static public key, or undefined if the message is not for us or a DH
 *   result is zero
 */
export function readMessageOneStatic(
  crypto: CryptoProvider,
  state: SymmetricState,
  own: NoiseStatic,
  ephemeral: Uint8Array,
  sealedStatic: Uint8Array,
  es: Uint8Array | undefined = crypto.dh(own.privateKey, ephemeral),
): Uint8Array | undefined {
  if (!es) return undefined;
  state.mixEphemeral(ephemeral);
  state.mixKey(es);
  return state.open(sealedStatic);
}

export function readMessageOnePayload(
  state: SymmetricState,
  staticShared: Uint8Array,
  sealedPayload: Uint8Array,
): Uint8Array | undefined {
  state.mixKey(copySecret(staticShared));
  return state.open(sealedPayload);
}

/**
 * Writes message two: <- e, ee, se, psk.
 * @param keys the ephemeral's public key and its DH with the initiator's two keys, if precomputed
 *   in a batch
 */
export function writeMessageTwo(
  crypto: CryptoProvider,
  state: SymmetricState,
  ephemeralPrivate: Uint8Array,
  initiatorEphemeral: Uint8Array,
  initiatorStatic: Uint8Array,
  psk: Uint8Array,
  payload: Uint8Array,
  keys: EphemeralKeys = ephemeralKeys(crypto, ephemeralPrivate, initiatorEphemeral, initiatorStatic),
): MessageTwo | undefined {
  const { publicKey: ephemeral, shared } = keys;
  const [ee, se] = shared;
  if (!ee || !se) return undefined;
  state.mixEphemeral(ephemeral);
  state.mixKey(ee);
  state.mixKey(se);
  state.mixPresharedKey(psk);
  return { ephemeral, payload: state.seal(payload) };
}

function ephemeralKeys(crypto: CryptoProvider, privateKey: Uint8Array, ...publicKeys: Uint8Array[]): EphemeralKeys {
  return crypto.dhEphemeral([{ privateKey, publicKeys }])[0]!;
}

/**
 * Reads message two as the initiator.
 * @returns the payload, or undefined if the message does not answer ours
 */
export function readMessageTwo(
  crypto: CryptoProvider,
  state: SymmetricState,
  own: NoiseStatic,
  ephemeralPrivate: Uint8Array,
  responderEphemeral: Uint8Array,
  psk: Uint8Array,
  sealedPayload: Uint8Array,
): Uint8Array | undefined {
  state.mixEphemeral(responderEphemeral);
  const ee = crypto.dh(ephemeralPrivate, responderEphemeral);
  if (!ee) return undefined;
  state.mixKey(ee);
  const se = crypto.dh(own.privateKey, responderEphemeral);
  if (!se) return undefined;
  state.mixKey(se);
  state.mixPresharedKey(psk);
  return state.open(sealedPayload);
}

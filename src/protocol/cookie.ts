/**
 * mac1, mac2 and cookies (whitepaper sections 5.4.4, 5.4.7, 5.3; kernel cookie.c). mac1 proves that
 * a message was made for our public key. mac2 proves that its sender can receive at its source
 * address: its key is the cookie that the receiver sent to that address. A cookie is bound to
 * address and port.
 */
import { copySecret, newSecret } from '../base/bytes.ts';
import { ENDPOINT_ADDRESS, ENDPOINT_FAMILY, ENDPOINT_PORT } from '../base/endpoint.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { writeU32le } from '../packet/byte-order.ts';
import {
  COOKIE_REPLY_COOKIE,
  COOKIE_REPLY_NONCE,
  COOKIE_REPLY_NONCE_SIZE,
  COOKIE_REPLY_RECEIVER,
} from '../packet/cookie-reply.ts';
import { MESSAGE_COOKIE_REPLY } from '../packet/message-type.ts';
import { ascii, COOKIE_SECRET_LATENCY, COOKIE_SECRET_MAX_AGE, LABEL_COOKIE, LABEL_MAC1 } from './constants.ts';
import type { CookieJarState, IdentityState } from './engine-state.ts';

export const MAC_SIZE = 16;
const LABEL_MAC1_BYTES = ascii(LABEL_MAC1);
const LABEL_COOKIE_BYTES = ascii(LABEL_COOKIE);
const NO_MAC = new Uint8Array(MAC_SIZE);

/**
 * The responder's half: verifies the macs of received messages and writes cookie replies. It is
 * bound to our own public key.
 */
export class CookieChecker {
  readonly #crypto: CryptoProvider;
  readonly #random: (bytes: Uint8Array) => void;
  readonly #nonces: (bytes: Uint8Array) => void;
  readonly #mac1Key: Uint8Array;
  readonly #cookieKey: Uint8Array;
  readonly #secret = newSecret(32);
  #secretBorn = Number.NEGATIVE_INFINITY;
  /**
   * The address and port for which #lastCookie was computed. Verifying a message's mac2 and
   * answering the message need the same cookie.
   */
  readonly #source = new Uint8Array(18);
  #sourceLength = 0;
  #lastCookie: Uint8Array = NO_MAC;

  /** @param nonces fills an array with random bytes for the public nonces of replies */
  constructor(
    crypto: CryptoProvider,
    random: (bytes: Uint8Array) => void,
    publicKey: Uint8Array,
    nonces: (bytes: Uint8Array) => void = random,
  ) {
    this.#crypto = crypto;
    this.#random = random;
    this.#nonces = nonces;
    this.#mac1Key = crypto.hash(LABEL_MAC1_BYTES, publicKey);
    this.#cookieKey = crypto.hash(LABEL_COOKIE_BYTES, publicKey);
  }

  /** @param message a complete initiation or response; its macs are the last 32 bytes */
  validMac1(message: Uint8Array): boolean {
    const at = message.length - 2 * MAC_SIZE;
    const mac = this.#crypto.mac(this.#mac1Key, message.subarray(0, at));
    return this.#crypto.equal(mac, message.subarray(at, at + MAC_SIZE));
  }

  /**
   * Reports whether mac2 was made with the cookie of the source, an endpoint record at an offset.
   */
  validMac2(message: Uint8Array, endpoints: Uint8Array, at: number, now: number): boolean {
    const macAt = message.length - MAC_SIZE;
    // fast path: nearly every message of a flood has a zero mac2, and a real MAC is zero once in
    // 2^128
    if (isZero(message, macAt)) return false;
    const cookie = this.#cookie(endpoints, at, now);
    const mac = this.#crypto.mac(cookie, message.subarray(0, macAt));
    return this.#crypto.equal(mac, message.subarray(macAt));
  }

  /** Writes the 64-byte cookie reply to a message. @param sender the message's sender index */
  writeReply(
    out: Uint8Array,
    message: Uint8Array,
    sender: number,
    endpoints: Uint8Array,
    at: number,
    now: number,
  ): void {
    writeU32le(out, 0, MESSAGE_COOKIE_REPLY);
    writeU32le(out, COOKIE_REPLY_RECEIVER, sender);
    const nonce = out.subarray(COOKIE_REPLY_NONCE, COOKIE_REPLY_NONCE + COOKIE_REPLY_NONCE_SIZE);
    this.#nonces(nonce);
    const mac1At = message.length - 2 * MAC_SIZE;
    const cookie = this.#cookie(endpoints, at, now);
    const sealed = this.#crypto.xseal(this.#cookieKey, nonce, cookie, message.subarray(mac1At, mac1At + MAC_SIZE));
    out.set(sealed, COOKIE_REPLY_COOKIE);
  }

  /** Returns a copy of the secret of our cookies, with the time of its birth. */
  save(): Pick<IdentityState, 'cookieSecret' | 'cookieSecretBorn'> {
    return { cookieSecret: copySecret(this.#secret), cookieSecretBorn: this.#secretBorn };
  }

  restore(state: Pick<IdentityState, 'cookieSecret' | 'cookieSecretBorn'>): void {
    this.#secret.set(state.cookieSecret);
    this.#secretBorn = state.cookieSecretBorn;
    this.#sourceLength = 0;
  }

  /** Overwrites the secret. */
  erase(): void {
    this.#secret.fill(0);
    this.#secretBorn = Number.NEGATIVE_INFINITY;
    this.#sourceLength = 0;
  }

  #cookie(endpoints: Uint8Array, at: number, now: number): Uint8Array {
    if (now - this.#secretBorn >= COOKIE_SECRET_MAX_AGE) {
      this.#random(this.#secret);
      this.#secretBorn = now;
      this.#sourceLength = 0;
    }
    const source = this.#source;
    const bytes = endpoints[at + ENDPOINT_FAMILY] === 4 ? 4 : 16;
    let same = this.#sourceLength === bytes + 2;
    for (let i = 0; i < bytes + 2; i++) {
      const byte = endpoints[at + (i < bytes ? ENDPOINT_ADDRESS + i : ENDPOINT_PORT + i - bytes)]!;
      same &&= source[i] === byte;
      source[i] = byte;
    }
    if (!same) {
      this.#sourceLength = bytes + 2;
      this.#lastCookie = this.#crypto.mac(this.#secret, source.subarray(0, bytes + 2));
    }
    return this.#lastCookie;
  }
}

/**
 * The initiator's half, one per peer: adds macs to our messages and stores the cookies received in
 * answer.
 */
export class CookieJar {
  readonly #crypto: CryptoProvider;
  readonly #mac1Key: Uint8Array;
  readonly #cookieKey: Uint8Array;
  #cookie: Uint8Array | undefined;
  #cookieBorn = 0;
  readonly #lastMac1 = new Uint8Array(MAC_SIZE);
  #awaiting = false;

  /** @param publicKey the peer's public key */
  constructor(crypto: CryptoProvider, publicKey: Uint8Array) {
    this.#crypto = crypto;
    this.#mac1Key = crypto.hash(LABEL_MAC1_BYTES, publicKey);
    this.#cookieKey = crypto.hash(LABEL_COOKIE_BYTES, publicKey);
  }

  /** Writes the macs, the last 32 bytes of an initiation or response. */
  addMacs(message: Uint8Array, now: number): void {
    const at = message.length - 2 * MAC_SIZE;
    const mac1 = this.#crypto.mac(this.#mac1Key, message.subarray(0, at));
    message.set(mac1, at);
    this.#lastMac1.set(mac1);
    this.#awaiting = true;
    const fresh = this.#cookie && now - this.#cookieBorn < COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY;
    message.set(fresh ? this.#crypto.mac(this.#cookie!, message.subarray(0, at + MAC_SIZE)) : NO_MAC, at + MAC_SIZE);
  }

  /**
   * Stores the cookie of a reply.
   * @returns false if the reply does not open with the mac1 of our last message
   */
  takeReply(reply: Uint8Array, now: number): boolean {
    if (!this.#awaiting) return false;
    const nonce = reply.subarray(COOKIE_REPLY_NONCE, COOKIE_REPLY_NONCE + COOKIE_REPLY_NONCE_SIZE);
    const cookie = this.#crypto.xopen(this.#cookieKey, nonce, reply.subarray(COOKIE_REPLY_COOKIE), this.#lastMac1);
    if (!cookie) return false;
    this.#cookie = cookie;
    this.#cookieBorn = now;
    this.#awaiting = false;
    return true;
  }

  save(): CookieJarState {
    return {
      cookie: this.#cookie && copySecret(this.#cookie),
      cookieBorn: this.#cookieBorn,
      lastMac1: Uint8Array.from(this.#lastMac1),
      awaiting: this.#awaiting,
    };
  }

  restore(state: CookieJarState): void {
    this.#cookie = state.cookie && copySecret(state.cookie);
    this.#cookieBorn = state.cookieBorn;
    this.#lastMac1.set(state.lastMac1);
    this.#awaiting = state.awaiting;
  }

  /** Overwrites the cookie. */
  erase(): void {
    this.#cookie?.fill(0);
    this.#cookie = undefined;
  }
}

function isZero(bytes: Uint8Array, from: number): boolean {
  let any = 0;
  for (let i = from; i < bytes.length; i++) any |= bytes[i]!;
  return any === 0;
}

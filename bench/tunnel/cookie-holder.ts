/**
 * Holds the cookie of a responder under load, for an initiator with many messages in flight.
 * (protocol/cookie.ts allows one message in flight per peer; here one source address sends the
 * initiations of thousands of peers.)
 */
import { opensslCrypto } from '#dist/crypto/node/openssl.js';
import { COOKIE_REPLY_COOKIE, COOKIE_REPLY_NONCE, COOKIE_REPLY_NONCE_SIZE } from '#dist/packet/cookie-reply.js';
import { INITIATION_MAC1, INITIATION_MAC2 } from '#dist/packet/initiation.js';
import { COOKIE_SECRET_LATENCY, COOKIE_SECRET_MAX_AGE, LABEL_COOKIE } from '#dist/protocol/constants.js';

const COOKIE_LIFE_S = COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY;

export class CookieHolder {
  readonly #key: Uint8Array;
  #cookie: Uint8Array | undefined;
  #born = 0;

  /** @param responder the public key of the responder */
  constructor(responder: Uint8Array) {
    this.#key = opensslCrypto.hash(Buffer.from(LABEL_COOKIE, 'latin1'), responder);
  }

  /** Accepts a cookie reply. @returns false if the reply does not belong to the initiation */
  take(reply: Uint8Array, initiation: Uint8Array, now: number): boolean {
    const nonce = reply.subarray(COOKIE_REPLY_NONCE, COOKIE_REPLY_NONCE + COOKIE_REPLY_NONCE_SIZE);
    const mac1 = initiation.subarray(INITIATION_MAC1, INITIATION_MAC2);
    const cookie = opensslCrypto.xopen(this.#key, nonce, reply.subarray(COOKIE_REPLY_COOKIE), mac1);
    if (!cookie) return false;
    this.#cookie = cookie;
    this.#born = now;
    return true;
  }

  /** Fills in mac2 if the cookie has not expired. */
  addMac2(initiation: Uint8Array, now: number): void {
    if (this.#cookie && now - this.#born < COOKIE_LIFE_S)
      initiation.set(opensslCrypto.mac(this.#cookie, initiation.subarray(0, INITIATION_MAC2)), INITIATION_MAC2);
  }
}

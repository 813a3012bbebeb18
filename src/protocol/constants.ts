/**
 * The constants of the protocol: first the whitepaper's (sections 6 and 5.4), then the choices of
 * the implementation, which match the kernel's (messages.h, timers.h, cookie.h, ratelimiter.c).
 * Times are in milliseconds. The whitepaper's constants keep their names, which contain no unit.
 */

export const CONSTRUCTION = 'Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s';
export const IDENTIFIER = 'WireGuard v1 zx2c4 Jason@zx2c4.com';
export const LABEL_MAC1 = 'mac1----';
export const LABEL_COOKIE = 'cookie--';

/** Returns the bytes of an ASCII label. Pure folders must not use TextEncoder. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, character => character.charCodeAt(0));
}

export const REKEY_AFTER_TIME = 120_000;
export const REJECT_AFTER_TIME = 180_000;
const REKEY_ATTEMPT_TIME = 90_000;
export const REKEY_TIMEOUT = 5_000;
export const KEEPALIVE_TIMEOUT = 10_000;
/** REKEY_AFTER_MESSAGES, 2^60: the high word of a 64-bit counter. */
export const REKEY_AFTER_MESSAGES_HIGH = 2 ** 28;
/** REJECT_AFTER_MESSAGES, 2^64 - 2^13 - 1: both words of a 64-bit counter. */
export const REJECT_AFTER_MESSAGES_HIGH = 0xffffffff;
export const REJECT_AFTER_MESSAGES_LOW = 0xffffffff - 2 ** 13;

export const COOKIE_SECRET_MAX_AGE = 120_000;
/** A received cookie expires this much earlier than the responder's secret. */
export const COOKIE_SECRET_LATENCY = 5_000;

/**
 * Upper bound of the random time added to REKEY_TIMEOUT, so that two peers do not retry in step.
 */
export const REKEY_TIMEOUT_JITTER = 333;
/** Retries of an initiation before giving up. */
export const MAX_TIMER_HANDSHAKES = REKEY_ATTEMPT_TIME / REKEY_TIMEOUT;
export const INITIATIONS_PER_SECOND = 50;
/** Keys are erased after this long without a new session. */
export const ZERO_KEY_TIME = 3 * REJECT_AFTER_TIME;
export const MAX_STAGED_PACKETS = 128;
/** A limit of this project: a staged super-packet may have 64 KiB, and there may be many peers. */
export const MAX_STAGED_BYTES = 1 << 20;
/** The default of what the staged packets of all peers may hold together. */
export const DEFAULT_STAGED_BYTES = 256 << 20;
export const MAX_QUEUED_HANDSHAKES = 4096;
/** The device is under load when this many handshakes are queued. */
export const UNDER_LOAD_HANDSHAKES = MAX_QUEUED_HANDSHAKES / 8;
/** The device stays under load for this long after the queue last had that many. */
export const UNDER_LOAD_TIME = 1_000;

export const RATELIMIT_PER_SECOND = 20;
export const RATELIMIT_BURST = 5;
export const RATELIMIT_MAX_ENTRIES = 1 << 16;

/** The TOS byte of handshake messages: AF41, not ECN-capable (kernel messages.h HANDSHAKE_DSCP). */
export const HANDSHAKE_TOS = 0x88;

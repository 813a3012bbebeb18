/**
 * Cookie reply, a responder under load (whitepaper section 5.4.7; kernel messages.h, message_handshake_cookie).
 * Offsets and sizes in bytes from the start of the message. It has no macs of its own. A file of its own, as every message.
 */

export const COOKIE_REPLY_SIZE = 64;

/** u32, little endian: the sender index of the message that is answered. */
export const COOKIE_REPLY_RECEIVER = 4;
/** Of XChaCha20-Poly1305, 24 bytes. */
export const COOKIE_REPLY_NONCE = 8;
export const COOKIE_REPLY_NONCE_SIZE = 24;
/** The cookie, sealed with the answered message's mac1 as associated data: 16 + 16 bytes. */
export const COOKIE_REPLY_COOKIE = 32;
export const COOKIE_REPLY_COOKIE_SIZE = 32;

/**
 * The cookie reply, which a responder sends under load (whitepaper section 5.4.7; kernel
 * messages.h, message_handshake_cookie). Offsets count from the start of the message. Offsets and
 * sizes are bytes. The message has no mac1 and mac2. Each message type has its own file.
 */

export const COOKIE_REPLY_SIZE = 64;

/** u32, little endian: the sender index of the answered message. */
export const COOKIE_REPLY_RECEIVER = 4;
/** The nonce of XChaCha20-Poly1305, 24 bytes. */
export const COOKIE_REPLY_NONCE = 8;
export const COOKIE_REPLY_NONCE_SIZE = 24;
/** The sealed cookie, with the answered message's mac1 as associated data: 16 + 16 bytes. */
export const COOKIE_REPLY_COOKIE = 32;

/**
 * The cookie reply, which a responder sends under load (whitepaper section 5.4.7; kernel
 * messages.h, message_handshake_cookie). Offsets from the start of the message, and sizes, in
 * bytes. It carries no macs. Each message has its own file.
 */

export const COOKIE_REPLY_SIZE = 64;

/** u32, little endian: the sender index of the answered message. */
export const COOKIE_REPLY_RECEIVER = 4;
/** The nonce of XChaCha20-Poly1305, 24 bytes. */
export const COOKIE_REPLY_NONCE = 8;
export const COOKIE_REPLY_NONCE_SIZE = 24;
/** The sealed cookie, with the answered message's mac1 as associated data: 16 + 16 bytes. */
export const COOKIE_REPLY_COOKIE = 32;

/**
 * Handshake response, the second message (whitepaper section 5.4.3; kernel messages.h, message_handshake_response).
 * Offsets and sizes in bytes from the start of the message.
 */

export const RESPONSE_SIZE = 92;

/** u32, little endian: the responder's index. */
export const RESPONSE_SENDER = 4;
/** u32, little endian: the index that the initiation carried as its sender. */
export const RESPONSE_RECEIVER = 8;
/** X25519 public key, 32 bytes. */
export const RESPONSE_EPHEMERAL = 12;
/** Nothing, sealed: 16 bytes of tag. */
export const RESPONSE_EMPTY = 44;
export const RESPONSE_EMPTY_SIZE = 16;
/** Over everything before it. */
export const RESPONSE_MAC1 = 60;
/** Over everything before it, mac1 included; zero without a cookie. */
export const RESPONSE_MAC2 = 76;

/**
 * Handshake response, the second message (whitepaper section 5.4.3; kernel messages.h,
 * message_handshake_response). Offsets count from the start of the message. Offsets and sizes are
 * bytes.
 */

export const RESPONSE_SIZE = 92;

/** u32, little endian: the responder's index. */
export const RESPONSE_SENDER = 4;
/** u32, little endian: the sender index of the initiation. */
export const RESPONSE_RECEIVER = 8;
/** X25519 public key, 32 bytes. */
export const RESPONSE_EPHEMERAL = 12;
/** A sealed empty payload: the 16-byte tag. */
export const RESPONSE_EMPTY = 44;
export const RESPONSE_EMPTY_SIZE = 16;
// mac1 at 60 covers all bytes before it. mac2 at 76 also covers mac1, and is zero without a cookie.

/**
 * Handshake initiation, the first message (whitepaper section 5.4.2; kernel messages.h, message_handshake_initiation).
 * Offsets and sizes in bytes from the start of the message; what they hold is the handshake's business.
 */

export const INITIATION_SIZE = 148;

/** u32, little endian: the initiator's index. */
export const INITIATION_SENDER = 4;
/** X25519 public key, 32 bytes. */
export const INITIATION_EPHEMERAL = 8;
/** The initiator's static public key, sealed: 32 + 16 bytes. */
export const INITIATION_STATIC = 40;
export const INITIATION_STATIC_SIZE = 48;
/** TAI64N, sealed: 12 + 16 bytes. */
export const INITIATION_TIMESTAMP = 88;
export const INITIATION_TIMESTAMP_SIZE = 28;
/** Over everything before it. */
export const INITIATION_MAC1 = 116;
/** Over everything before it, mac1 included; zero without a cookie. */
export const INITIATION_MAC2 = 132;

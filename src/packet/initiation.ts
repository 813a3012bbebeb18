/**
 * Handshake initiation, the first message (whitepaper section 5.4.2; kernel messages.h,
 * message_handshake_initiation). Offsets count from the start of the message. Offsets and sizes are
 * bytes. handshake.ts interprets the fields.
 */

export const INITIATION_SIZE = 148;

/** u32, little endian: the initiator's index. */
export const INITIATION_SENDER = 4;
/** X25519 public key, 32 bytes. */
export const INITIATION_EPHEMERAL = 8;
/** The sealed static public key of the initiator: 32 + 16 bytes. */
export const INITIATION_STATIC = 40;
export const INITIATION_STATIC_SIZE = 48;
/** The sealed TAI64N timestamp: 12 + 16 bytes. */
export const INITIATION_TIMESTAMP = 88;
export const INITIATION_TIMESTAMP_SIZE = 28;
/** The MAC over everything before it. */
export const INITIATION_MAC1 = 116;
/** The MAC over everything before it, including mac1; zero without a cookie. */
export const INITIATION_MAC2 = 132;

/**
 * The layout of seal and open jobs, and the interface of the ciphers that run them. Two
 * implementations pass the same suite: the TypeScript twin (transport-twin.ts), which is the
 * reference, and the native addon (io/native-cipher.ts).
 */

/**
 * A seal job: a packet from the TUN, preceded by its vnet header, becomes one or more consecutive
 * transport messages at SEAL_OUT_OFFSET. All except the last have SEAL_OUT_SEGMENT bytes.
 */
export const SEAL_OFFSET = 0;
/**
 * Bytes of the vnet header and the packet. VNET_HEADER_SIZE alone means a keepalive: one message of
 * 32 bytes (SEAL_COUNT must be 1).
 */
export const SEAL_LENGTH = 1;
export const SEAL_KEY = 2;
/** The other side's index for this keypair (u32 as i32). */
export const SEAL_RECEIVER = 3;
/** Counter of the first segment; the others count up from it. */
export const SEAL_COUNTER_LOW = 4;
export const SEAL_COUNTER_HIGH = 5;
/**
 * Number of reserved counters. The cipher must make exactly that many messages. If its own count
 * differs, it makes none and reports 0 bytes: otherwise a nonce could be used twice.
 */
export const SEAL_COUNT = 6;
export const SEAL_OUT_OFFSET = 7;
/** MTU of the interface, which padding never exceeds (kernel send.c, calculate_skb_padding). */
export const SEAL_MTU = 8;
/**
 * Result: bytes written; 0 if the packet was refused, for example because a message would exceed
 * any UDP datagram.
 */
export const SEAL_OUT_LENGTH = 9;
/** Result: bytes of every message except the last. */
export const SEAL_OUT_SEGMENT = 10;
export const SEAL_STRIDE = 12;

/**
 * An open job: a transport message, decrypted in place. The plaintext begins at OPEN_OFFSET + 16.
 */
export const OPEN_OFFSET = 0;
/** Bytes of the message with header and tag, at least 32. */
export const OPEN_LENGTH = 1;
export const OPEN_KEY = 2;
export const OPEN_COUNTER_LOW = 3;
export const OPEN_COUNTER_HIGH = 4;
/**
 * Result: bytes of plaintext with its padding, or -1 if the tag is wrong (the bytes are then
 * undefined).
 */
export const OPEN_RESULT = 5;
/** Lets the engine match results to datagrams; the cipher does not read it. */
export const OPEN_USER = 6;
export const OPEN_USER2 = 7;
export const OPEN_STRIDE = 8;

/**
 * Turns packets into transport messages and back, in batches (whitepaper section 5.4.6). The engine
 * chooses the key, the counters and the receiver index; the cipher splits, pads, seals and opens.
 * Pass a {@link TwinCipher} to an engine: the layout of jobs is internal and may change in any
 * version.
 */
export interface TransportCipher {
  /** Names the implementation and its AEAD, for messages. */
  readonly name: string;
  /**
   * Stores a key in a slot. The 32 bytes are copied.
   * @param slot a number from 0 to 524,287 that the caller chooses
   */
  setKey(slot: number, key: Uint8Array): void;
  /** Overwrites the key in a slot. A job that still names the slot fails (0 bytes, -1). */
  eraseKey(slot: number): void;
  /**
   * Copies the key in a slot into 32 bytes of the caller, who erases them. For the hand-over of a
   * device ({@link Engine.freeze}) only. The cipher keeps the key.
   * @returns false if the slot is empty; `into` is then unchanged
   */
  copyKey(slot: number, into: Uint8Array): boolean;
  /**
   * Seals `count` jobs from `input` into `output`, two arrays that do not overlap. Results are
   * written into `jobs`.
   */
  seal(input: Uint8Array, output: Uint8Array, jobs: Int32Array, count: number): void;
  /** Opens `count` transport messages in place. Results are written into `jobs`. */
  open(slab: Uint8Array, jobs: Int32Array, count: number): void;
}

/**
 * Enough for three keypairs of two keys for each of 2^16 peers. The native table grows as slots are
 * used.
 */
export const MAX_KEY_SLOTS = 1 << 19;

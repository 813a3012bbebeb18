/**
 * What turns packets into transport messages and back, in batches (whitepaper section 5.4.6). The engine chooses the
 * key, the counters and the receiver index; this splits, pads, seals and opens, and knows nothing of peers.
 * Two implementations have this shape and pass the same suite: the TypeScript twin (transport-twin.ts), which is the
 * specification, and the native addon (io/native-cipher.ts).
 */

/**
 * One job to seal: one packet from the TUN, vnet header in front, becomes one or more transport messages, placed one
 * after another at SEAL_OUT_OFFSET. All but the last have SEAL_OUT_SEGMENT bytes.
 */
export const SEAL_OFFSET = 0;
/**
 * Bytes of the vnet header and the packet. Exactly VNET_HEADER_SIZE, a header without a packet, is a keepalive: it becomes one
 * message of 32 bytes (SEAL_COUNT must be 1).
 */
export const SEAL_LENGTH = 1;
export const SEAL_KEY = 2;
/** The other side's index for this keypair (u32 as i32). */
export const SEAL_RECEIVER = 3;
/** Counter of the first segment; the others follow. */
export const SEAL_COUNTER_LOW = 4;
export const SEAL_COUNTER_HIGH = 5;
/**
 * How many counters are reserved. The cipher must make exactly as many messages; if its own count differs it makes none
 * and reports 0 bytes: a disagreement here would be a nonce used twice.
 */
export const SEAL_COUNT = 6;
export const SEAL_OUT_OFFSET = 7;
/** MTU of the interface: padding to 16 never goes past it (kernel send.c, calculate_skb_padding). */
export const SEAL_MTU = 8;
/** Result: bytes written, 0 if the packet was refused. A message that fits into no UDP datagram of either family is refused. */
export const SEAL_OUT_LENGTH = 9;
/** Result: bytes of each message but the last. */
export const SEAL_OUT_SEGMENT = 10;
export const SEAL_STRIDE = 12;

/** One job to open: one transport message, decrypted in place: the plaintext stands at OPEN_OFFSET + 16. */
export const OPEN_OFFSET = 0;
/** Bytes of the message with header and tag, at least 32. */
export const OPEN_LENGTH = 1;
export const OPEN_KEY = 2;
export const OPEN_COUNTER_LOW = 3;
export const OPEN_COUNTER_HIGH = 4;
/** Result: bytes of plaintext with its padding, or -1 if the tag is wrong (the bytes are then undefined). */
export const OPEN_RESULT = 5;
/** The engine's own: what it needs to find its way back after opening; not read by the cipher. */
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
   * Seals `count` jobs from `input` into `output`, two arrays that do not overlap. Results are
   * written into `jobs`.
   */
  seal(input: Uint8Array, output: Uint8Array, jobs: Int32Array, count: number): void;
  /** Opens `count` transport messages in place. Results are written into `jobs`. */
  open(slab: Uint8Array, jobs: Int32Array, count: number): void;
}

/** Three keypairs of two keys for each of 2^16 peers fit; the native table grows as slots are used. */
export const MAX_KEY_SLOTS = 1 << 19;

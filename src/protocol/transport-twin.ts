/**
 * The transport cipher in TypeScript, which native/cipher.c must match byte for byte (whitepaper
 * section 5.4.6, kernel send.c and receive.c). It is the reference of the differential fuzz and
 * runs without the addon. The caller chooses the AEAD.
 */
import { AEAD_KEY_SIZE, AEAD_NONCE_SIZE, type PacketAead, type PacketKey } from '../crypto/packet-aead.ts';
import { VNET_HEADER_SIZE } from '../packet/batch.ts';
import { writeU32le } from '../packet/byte-order.ts';
import { SplitPlan } from '../packet/segments.ts';
import { writeSegment } from '../packet/split.ts';
import {
  LARGEST_DATAGRAM_IPV6,
  paddedLength,
  TRANSPORT_HEADER_SIZE,
  TRANSPORT_OVERHEAD,
  writeTransportHeader,
} from '../packet/transport.ts';
import {
  MAX_KEY_SLOTS,
  OPEN_COUNTER_HIGH,
  OPEN_COUNTER_LOW,
  OPEN_KEY,
  OPEN_LENGTH,
  OPEN_OFFSET,
  OPEN_RESULT,
  OPEN_STRIDE,
  SEAL_COUNT,
  SEAL_COUNTER_HIGH,
  SEAL_COUNTER_LOW,
  SEAL_KEY,
  SEAL_LENGTH,
  SEAL_MTU,
  SEAL_OFFSET,
  SEAL_OUT_LENGTH,
  SEAL_OUT_OFFSET,
  SEAL_OUT_SEGMENT,
  SEAL_RECEIVER,
  SEAL_STRIDE,
  type TransportCipher,
} from './transport-cipher.ts';

/**
 * The transport cipher in TypeScript (whitepaper section 5.4.6, kernel send.c and receive.c). Its
 * output equals that of native/cipher.c byte for byte. Runs anywhere, with any {@link PacketAead}.
 */
export class TwinCipher implements TransportCipher {
  /** Names the implementation and its AEAD, for messages. */
  readonly name: string;
  readonly #aead: PacketAead;
  readonly #keys: (PacketKey | undefined)[] = [];
  readonly #plan = new SplitPlan();
  readonly #nonce = new Uint8Array(AEAD_NONCE_SIZE);

  /**
   * Makes a cipher without keys.
   * @param aead seals and opens: `noblePacketAead` anywhere, `opensslPacketAead` in Node
   */
  constructor(aead: PacketAead) {
    this.name = `typescript, ${aead.name}`;
    this.#aead = aead;
  }

  /**
   * Stores a key in a slot. The 32 bytes are copied.
   * @throws RangeError for a slot or a key of the wrong size
   */
  setKey(slot: number, key: Uint8Array): void {
    if (!Number.isInteger(slot) || slot < 0 || slot >= MAX_KEY_SLOTS)
      throw new RangeError(`a key slot is a number from 0 to ${MAX_KEY_SLOTS - 1}, not ${slot}`);
    if (key.length !== AEAD_KEY_SIZE) throw new RangeError(`a key has ${AEAD_KEY_SIZE} bytes, not ${key.length}`);
    this.#keys[slot]?.erase();
    this.#keys[slot] = this.#aead.makeKey(key);
  }

  /** Overwrites the key in a slot. A job that still names the slot fails. */
  eraseKey(slot: number): void {
    this.#keys[slot]?.erase();
    this.#keys[slot] = undefined;
  }

  /**
   * Copies the key in a slot into 32 bytes of the caller, who erases them.
   * @returns false if the slot is empty
   * @throws RangeError if `into` has another size
   */
  copyKey(slot: number, into: Uint8Array): boolean {
    if (into.length !== AEAD_KEY_SIZE) throw new RangeError(`a key has ${AEAD_KEY_SIZE} bytes, not ${into.length}`);
    const key = this.#keys[slot];
    key?.copy(into);
    return key !== undefined;
  }

  /**
   * Seals `count` jobs from `input` into `output`, two arrays that do not overlap. Results are
   * written into `jobs`.
   */
  seal(input: Uint8Array, output: Uint8Array, jobs: Int32Array, count: number): void {
    const apart = !overlap(input, output);
    for (let i = 0; i < count && (i + 1) * SEAL_STRIDE <= jobs.length; i++) {
      const at = i * SEAL_STRIDE;
      jobs[at + SEAL_OUT_LENGTH] = 0;
      jobs[at + SEAL_OUT_SEGMENT] = 0;
      if (apart) this.#sealJob(input, output, jobs, at);
    }
  }

  /** Opens `count` transport messages in place. Results are written into `jobs`. */
  open(slab: Uint8Array, jobs: Int32Array, count: number): void {
    for (let i = 0; i < count && (i + 1) * OPEN_STRIDE <= jobs.length; i++) {
      const at = i * OPEN_STRIDE;
      jobs[at + OPEN_RESULT] = -1;
      const offset = jobs[at + OPEN_OFFSET]!;
      const length = jobs[at + OPEN_LENGTH]!;
      const key = this.#keys[jobs[at + OPEN_KEY]!];
      if (!key || length < TRANSPORT_OVERHEAD || !inside(slab, offset, length)) continue;
      this.#setNonce(jobs[at + OPEN_COUNTER_LOW]!, jobs[at + OPEN_COUNTER_HIGH]!);
      const text = length - TRANSPORT_OVERHEAD;
      if (key.open(this.#nonce, slab, offset + TRANSPORT_HEADER_SIZE, text)) jobs[at + OPEN_RESULT] = text;
    }
  }

  #sealJob(input: Uint8Array, output: Uint8Array, jobs: Int32Array, at: number): void {
    const offset = jobs[at + SEAL_OFFSET]!;
    const length = jobs[at + SEAL_LENGTH]!;
    const mtu = jobs[at + SEAL_MTU]!;
    const key = this.#keys[jobs[at + SEAL_KEY]!];
    if (!key || length < VNET_HEADER_SIZE || !inside(input, offset, length)) return;
    const keepalive = length === VNET_HEADER_SIZE;
    const plan = this.#plan;
    const count = keepalive ? 1 : plan.read(input, offset, length);
    const total = keepalive ? TRANSPORT_OVERHEAD : plan.sealedSize(mtu);
    const start = jobs[at + SEAL_OUT_OFFSET]!;
    if (count === 0 || count !== jobs[at + SEAL_COUNT] || !inside(output, start, total)) return;
    if (!keepalive && plan.messageSize(mtu) > LARGEST_DATAGRAM_IPV6) return;
    let low = jobs[at + SEAL_COUNTER_LOW]! >>> 0;
    let high = jobs[at + SEAL_COUNTER_HIGH]! >>> 0;
    if (high === 0xffffffff && low + count > 0x100000000) return; // the counter would wrap to zero
    const receiver = jobs[at + SEAL_RECEIVER]!;
    let out = start;
    for (let index = 0; index < count; index++) {
      const text = out + TRANSPORT_HEADER_SIZE;
      const bare = keepalive ? 0 : writeSegment(input, plan, index, output, text);
      const padded = paddedLength(bare, mtu);
      output.fill(0, text + bare, text + padded);
      writeTransportHeader(output, out, receiver, low, high);
      this.#setNonce(low, high);
      key.seal(this.#nonce, output, text, padded);
      if (index === 0) jobs[at + SEAL_OUT_SEGMENT] = TRANSPORT_OVERHEAD + padded;
      out += TRANSPORT_OVERHEAD + padded;
      low = (low + 1) >>> 0;
      if (low === 0) high = (high + 1) >>> 0;
    }
    jobs[at + SEAL_OUT_LENGTH] = out - start;
  }

  /** Writes the nonce: four zero bytes and the counter (whitepaper section 5.4). */
  #setNonce(low: number, high: number): void {
    writeU32le(this.#nonce, 4, low);
    writeU32le(this.#nonce, 8, high);
  }
}

/** Reports whether a range of unchecked numbers lies in the slab. */
function inside(slab: Uint8Array, offset: number, length: number): boolean {
  return offset >= 0 && length >= 0 && offset + length <= slab.length;
}

function overlap(a: Uint8Array, b: Uint8Array): boolean {
  return a.buffer === b.buffer && a.byteOffset < b.byteOffset + b.length && b.byteOffset < a.byteOffset + a.length;
}

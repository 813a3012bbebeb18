/**
 * A TUN without a kernel: the program puts packets in and takes packets out. For tests and for
 * embedding.
 */
import {
  MAX_BATCH,
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  type PacketBatch,
  VNET_HEADER_SIZE,
} from '../../packet/batch.ts';
import type { Tun, TunStatus, Wake } from '../ports.ts';

const ALIGNMENT = 16;

/**
 * Runs a wake-up soon, but not within this call. A program with its own event loop passes a
 * function that schedules the wake-up on that loop.
 */
export type WakeSchedule = (wake: Wake) => void;

export const WAKE_SOON: WakeSchedule = wake => void setImmediate(() => wake());

/**
 * A TUN device without a kernel: the program puts packets in and takes them out. For tests and for
 * embedding.
 */
export class MemoryTun implements Tun {
  readonly offloads: readonly string[] = [];
  /** Packets that were written to the device, oldest first. The program takes them from here. */
  readonly written: Uint8Array[] = [];
  #status: TunStatus | undefined;
  readonly #waiting: Uint8Array[] = [];
  readonly #schedule: WakeSchedule;
  #wake: Wake | undefined;
  #changed: (() => void) | undefined;
  #woken = false;
  #malformed = 0;

  /**
   * Makes a device with an initial status; {@link MemoryTun.change} replaces it.
   * @param schedule schedules the callbacks; default: setImmediate
   */
  constructor(status: TunStatus, schedule: WakeSchedule = WAKE_SOON) {
    this.#schedule = schedule;
    this.#status = status;
  }

  /**
   * Sends a packet as the host would.
   * @param packet a bare IP packet
   * @param vnet the virtio_net_hdr in front of it; default: all zero
   */
  put(packet: Uint8Array, vnet = new Uint8Array(VNET_HEADER_SIZE)): void {
    const whole = new Uint8Array(VNET_HEADER_SIZE + packet.length);
    whole.set(vnet);
    whole.set(packet, VNET_HEADER_SIZE);
    this.#waiting.push(whole);
    this.#wakeSoon();
  }

  /** Changes the device's state; undefined deletes the interface. */
  change(status: TunStatus | undefined): void {
    this.#status = status;
    this.#changed?.();
    if (!status) this.#wakeSoon();
  }

  read(batch: PacketBatch, most = MAX_BATCH): number {
    batch.count = 0;
    if (!this.#status) return -1;
    let at = 0;
    while (this.#waiting.length > 0 && batch.count < most && (batch.count + 1) * PACKET_STRIDE <= batch.desc.length) {
      const next = this.#waiting[0]!;
      if (at + next.length > batch.slab.length && next.length <= batch.slab.length) break;
      this.#waiting.shift();
      if (next.length > batch.slab.length) {
        // drop a packet larger than any batch: it would block the queue
        this.#malformed++;
        continue;
      }
      batch.slab.set(next, at);
      batch.desc[batch.count * PACKET_STRIDE + PACKET_OFFSET] = at;
      batch.desc[batch.count * PACKET_STRIDE + PACKET_LENGTH] = next.length;
      batch.count++;
      at += Math.ceil(next.length / ALIGNMENT) * ALIGNMENT;
    }
    if (this.#waiting.length > 0) this.#wakeSoon();
    return batch.count;
  }

  write(batch: PacketBatch): number {
    if (!this.#status) return -1;
    let dropped = 0;
    for (let i = 0; i < batch.count; i++) {
      const offset = batch.desc[i * PACKET_STRIDE + PACKET_OFFSET]!;
      const length = batch.desc[i * PACKET_STRIDE + PACKET_LENGTH]!;
      const fits = offset >= 0 && length > 0 && offset + length <= batch.slab.length;
      if (this.#status.up && fits) this.written.push(batch.slab.slice(offset, offset + length));
      else dropped++;
    }
    return dropped;
  }

  status(): TunStatus | undefined {
    return this.#status;
  }

  onReadable(callback: Wake): void {
    this.#wake = callback;
    if (this.#waiting.length > 0) this.#wakeSoon();
  }

  onStatus(callback: () => void): void {
    this.#changed = callback;
  }

  pause(): void {
    this.#wake = undefined;
    this.#changed = undefined;
  }

  counters(): Readonly<Record<string, number>> {
    return { malformed: this.#malformed };
  }

  close(): void {
    this.#status = undefined;
    this.pause();
  }

  #wakeSoon(): void {
    if (this.#woken) return;
    this.#woken = true;
    this.#schedule(waited => {
      this.#woken = false;
      this.#wake?.(waited);
    });
  }
}

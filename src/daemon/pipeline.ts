/**
 * The batches of a device that are with its lanes (io/lanes.ts), and the slabs that are free. Each
 * queue returns its batches in their order. Without lanes, or without a reason to share, every
 * batch is done at once, in this thread.
 */
import { collectSoon } from '../crypto/node/collect.ts';
import type { Lanes } from '../io/lanes.ts';
import type { Tun, Udp } from '../io/ports.ts';
import {
  DATAGRAM_STRIDE,
  type DatagramBatch,
  datagramsIn,
  makeDatagramBatch,
  makePacketBatch,
  PACKET_STRIDE,
  type PacketBatch,
} from '../packet/batch.ts';
import { MAX_DELIVERIES } from '../protocol/device.ts';
import type { Engine } from '../protocol/engine.ts';
import { Incoming } from '../protocol/incoming.ts';
import type { Losses, Opened, PipelineOptions, Sealed, ThreadCount, Written } from './pipeline-parts.ts';
import { Slabs } from './slabs.ts';
import { ThreadChoice } from './thread-choice.ts';

const RECEIVE_MESSAGES = 16;
const RECEIVE_BYTES = RECEIVE_MESSAGES * 65_536;
const TUN_PACKETS = 256;
const TUN_BYTES = 14 * 65_632;
/** A batch with fewer bytes is not worth the hand-over, unless it must wait for others anyway. */
const WORTH = 128 * 1024;
/** Slabs of each kind. */
const MOST_SLABS = 4;
/** Extra slabs are freed after this long without lanes at work. */
const SHRINK_MS = 10_000;

export class Pipeline {
  readonly #engine: Engine;
  readonly #tun: Tun;
  readonly #losses: Losses;
  readonly #lanes: Lanes | undefined;
  readonly #drain: () => void;
  readonly #shareAlways: boolean;
  readonly #choice = new ThreadChoice();
  readonly #times = new Float64Array(2);
  /** Read from the TUN and the sockets. */
  #bytes = 0;
  readonly #packets = new Slabs<PacketBatch>(() => makePacketBatch(TUN_BYTES, TUN_PACKETS), MOST_SLABS);
  readonly #datagrams = new Slabs<DatagramBatch>(() => makeDatagramBatch(RECEIVE_BYTES, RECEIVE_MESSAGES), MOST_SLABS);
  readonly #sealing: Sealed[] = [];
  readonly #opening: Opened[] = [];
  readonly #writing: Written[] = [];
  readonly #incoming: Incoming[] = [];
  /** Batches of #opening that are opened and not judged yet. */
  #opened = 0;
  #lastLent = Number.POSITIVE_INFINITY;

  constructor(options: PipelineOptions) {
    this.#engine = options.engine;
    this.#tun = options.tun;
    this.#losses = options.losses;
    this.#drain = options.drain;
    this.#shareAlways = options.shareAlways === true;
    this.#lanes = options.makeLanes?.(options.engine.device.cipher);
    this.#lanes?.onOpened(options.onOpened);
  }

  /** The threads of the device. */
  get threads(): ThreadCount {
    const most = this.#lanes?.threads ?? 1;
    return { most, now: this.#isSharing ? most : 1, begun: this.#choice.begun };
  }

  /** Begins a turn: takes back what lanes have done, and sometimes measures the use of threads. */
  begin(now: number, waited?: number): void {
    const lanes = this.#lanes;
    if (!lanes) return;
    this.#collect(now);
    if (waited === undefined || !this.#choice.isDue(now)) return;
    lanes.times(this.#times);
    this.#choice.look(now, { waited, own: this.#times[0]!, others: this.#times[1]!, bytes: this.#bytes });
  }

  /** Ends a turn: helps, and asks for a call when what others open is ready. */
  finish(now: number): void {
    const lanes = this.#lanes;
    while (lanes && !this.isEmpty) {
      const did = lanes.help();
      this.#collect(now);
      if (!did && (this.#opening.length === 0 || lanes.watch())) return;
    }
  }

  /** Waits for everything that is lent. */
  settle(now: number): void {
    while (!this.isEmpty) this.#wait(now);
  }

  /** Frees the extra slabs, once they have not been used for long. Call it now and then. */
  shrink(now: number): void {
    if (now - this.#lastLent < SHRINK_MS || !this.isEmpty) return;
    this.#lastLent = Number.POSITIVE_INFINITY;
    this.#packets.shrink();
    this.#datagrams.shrink();
    this.#incoming.length = 0;
    this.#engine.device.output.shrink();
    collectSoon();
  }

  /** Whether nothing is lent. */
  get isEmpty(): boolean {
    return this.#sealing.length + this.#opening.length + this.#writing.length === 0;
  }

  /** Ends the lanes. The engine and the devices are closed after it. */
  close(): void {
    this.#lanes?.close();
  }

  /** Returns the slab for packets from the TUN. */
  packets(now: number): PacketBatch {
    return this.#slab(this.#packets, now);
  }

  /** Returns the slab for received datagrams. */
  datagrams(now: number): DatagramBatch {
    return this.#slab(this.#datagrams, now);
  }

  /** Passes packets from the TUN to the engine. */
  send(batch: PacketBatch, now: number): void {
    const isLater = this.#isWorth(batch.desc, PACKET_STRIDE, batch.count) || this.#sealing.length > 0;
    const before = this.#sealing.at(-1);
    for (let taken = 0; taken < batch.count; ) {
      taken = this.#engine.send(batch, taken, now, isLater);
      this.#drain();
    }
    const last = this.#sealing.at(-1);
    if (last === undefined || last === before) return;
    last.packets = batch;
    this.#packets.lend();
  }

  /** Sends what the engine has to send: at once, or by lanes if some of it is with them. */
  transmit(udp: Udp, now: number): void {
    const { output } = this.#engine.device;
    const { input, jobs, jobCount, batch } = output.outgoing;
    const mayLend = this.#sealing.length > 0 || jobCount > 0;
    if (mayLend && this.#lend(this.#sealing, now, lanes => lanes.seal(udp, input, jobs, jobCount, batch))) {
      this.#sealing.push({ outgoing: output.lendOutgoing(), packets: undefined });
      return;
    }
    output.outgoing.seal(this.#engine.device.cipher);
    this.#losses.sendErrors += udp.send(batch);
  }

  /** Passes received datagrams to the engine. */
  receive(batch: DatagramBatch, now: number): void {
    if (this.#isWorth(batch.desc, DATAGRAM_STRIDE, batch.count) || this.#opening.length > 0) {
      if (datagramsIn(batch) <= MAX_DELIVERIES) {
        this.#open(batch, now);
        return;
      }
      // what was received first is judged first
      while (this.#opening.length > 0) this.#wait(now);
    }
    const before = this.#writing.at(-1);
    for (let taken = 0; taken < batch.count; ) {
      taken = this.#engine.receive(batch, taken, now);
      this.#drain();
    }
    if (this.#keep(batch, before)) this.#datagrams.lend();
  }

  /** Writes the packets that the engine delivers: at once, or by lanes behind others. */
  deliver(now: number): void {
    const { output } = this.#engine.device;
    const { deliveries } = output;
    const mayLend = this.#writing.length > 0 || this.#isSharing;
    if (mayLend && this.#lend(this.#writing, now, lanes => lanes.write(this.#tun, deliveries)))
      this.#writing.push({ deliveries: output.lendDeliveries(), datagrams: undefined });
    else this.write(deliveries);
  }

  /** Writes packets at once. */
  write(batch: PacketBatch): void {
    const dropped = this.#tun.write(batch);
    // -1 means that the device is gone, which the next read reports
    this.#losses.tunDropped += dropped < 0 ? batch.count : dropped;
  }

  get #isSharing(): boolean {
    return this.#lanes !== undefined && (this.#shareAlways || this.#choice.isSharing);
  }

  /**
   * Counts the bytes of a batch, by descriptors in which the length comes second, and reports
   * whether to lend it.
   */
  #isWorth(desc: Int32Array, stride: number, count: number): boolean {
    if (!this.#lanes) return false;
    let bytes = 0;
    for (let at = 1; at < count * stride; at += stride) bytes += desc[at]!;
    this.#bytes += bytes;
    return this.#shareAlways || (bytes >= WORTH && this.#choice.isSharing);
  }

  #slab<T extends { count: number }>(slabs: Slabs<T>, now: number): T {
    for (;;) {
      const { current } = slabs;
      if (current) return current;
      this.#wait(now);
    }
  }

  /**
   * Lends a batch behind those of its queue, once there is room.
   * @returns false if there are no lanes, or they are closed
   */
  #lend(queue: readonly unknown[], now: number, lend: (lanes: Lanes) => boolean): boolean {
    const lanes = this.#lanes;
    if (!lanes) return false;
    while (!lend(lanes)) {
      if (queue.length === 0) return false;
      lanes.next();
      this.#reclaim();
    }
    this.#lastLent = now;
    return true;
  }

  /** Lends datagrams to be opened. */
  #open(batch: DatagramBatch, now: number): void {
    const incoming = this.#incoming.pop() ?? new Incoming();
    this.#engine.receiveLater(batch, 0, now, incoming);
    this.#drain();
    if (incoming.count === 0) return void this.#incoming.push(incoming);
    this.#datagrams.lend();
    // there are fewer slabs than a queue has places, so this waits for none
    if (this.#lend(this.#opening, now, lanes => lanes.open(batch.slab, incoming.jobs, incoming.count))) {
      this.#opening.push({ datagrams: batch, incoming });
      return;
    }
    this.#engine.device.cipher.open(batch.slab, incoming.jobs, incoming.count);
    this.#judge({ datagrams: batch, incoming }, now);
  }

  /** Lets the engine judge what was opened, and writes what it delivers. */
  #judge({ datagrams, incoming }: Opened, now: number): void {
    const before = this.#writing.at(-1);
    this.#engine.accept(datagrams, incoming, now);
    incoming.keypairs.length = 0;
    this.#incoming.push(incoming);
    this.#drain();
    if (!this.#keep(datagrams, before)) this.#datagrams.back(datagrams);
  }

  /** Keeps the slab of what was lent to be written since `before`. @returns false if nothing was */
  #keep(datagrams: DatagramBatch, before: Written | undefined): boolean {
    const last = this.#writing.at(-1);
    if (last === undefined || last === before) return false;
    last.datagrams = datagrams;
    return true;
  }

  /** Waits until something comes back. Only between inputs of the engine. */
  #wait(now: number): void {
    this.#lanes!.next();
    this.#collect(now);
  }

  #collect(now: number): void {
    this.#reclaim();
    while (this.#opened > 0) {
      this.#opened--;
      this.#judge(this.#opening.shift()!, now);
    }
  }

  /** Takes back slabs, and counts what was opened. */
  #reclaim(): void {
    if (!this.#lanes || this.isEmpty) return;
    const { sealed, opened, written, sendErrors, dropped, refused } = this.#lanes.done();
    const { output } = this.#engine.device;
    this.#losses.sendErrors += sendErrors + refused;
    this.#losses.tunDropped += dropped;
    this.#opened += opened;
    for (let i = 0; i < sealed; i++) {
      const { outgoing, packets } = this.#sealing.shift()!;
      output.outgoingBack(outgoing);
      if (packets) this.#packets.back(packets);
    }
    for (let i = 0; i < written; i++) {
      const { deliveries, datagrams } = this.#writing.shift()!;
      output.deliveriesBack(deliveries);
      if (datagrams) this.#datagrams.back(datagrams);
    }
  }
}

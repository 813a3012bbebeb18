/**
 * Moves batches between TUN, engine and UDP sockets, in turns with a budget, so that timers, the
 * other direction and clients get their turn. device-loop.ts decides when.
 */
import type { Tun } from '../io/ports.ts';
import {
  type DatagramBatch,
  datagramsIn,
  MAX_BATCH,
  makeDatagramBatch,
  makePacketBatch,
  type PacketBatch,
} from '../packet/batch.ts';
import type { Engine } from '../protocol/engine.ts';
import { describeEvent } from './describe-event.ts';
import type { DeviceSockets } from './device-sockets.ts';
import type { Log } from './log.ts';
import type { SessionGuard } from './session-guard.ts';

/** Batches read per direction in one wake-up before the event loop gets its turn: about 10 ms. */
const ROUNDS_PER_WAKE = 8;
const RECEIVE_MESSAGES = 16;
const RECEIVE_BYTES = RECEIVE_MESSAGES * 65_536;
const TUN_PACKETS = 256;
const TUN_BYTES = 16 * 65_536;
/** Size limit in bytes of a packet that may be the only one waiting; a super-packet is larger. */
const LONE_PACKET = 2048;
/**
 * After the event loop has waited this long for a packet, the next packet is likely to come alone.
 */
const LONE_AFTER_MS = 1;
/** After that many wake-ups for lone packets, so is the next one after any silence. */
const LONE_RUN = 4;
/**
 * A wake-up ends after this many handshakes; datagrams that the kernel joined count individually.
 * The limit is half the number that the engine answers with cookies in one turn.
 */
const HANDSHAKES_PER_WAKE = 128;

export interface DevicePumpOptions {
  readonly engine: Engine;
  readonly tun: Tun;
  readonly sockets: DeviceSockets;
  /** Tells the time, and ends sessions that the machine's sleep outdated. */
  readonly guard: SessionGuard;
  readonly log: Log;
}

export class DevicePump {
  /** A hand-over that failed replaces it. */
  engine: Engine;
  /** Datagrams that could not be sent, and packets that the TUN did not take. */
  sendErrors = 0;
  tunDropped = 0;
  readonly #tun: Tun;
  readonly #sockets: DeviceSockets;
  readonly #guard: SessionGuard;
  readonly #log: Log;
  readonly #packets: PacketBatch = makePacketBatch(TUN_BYTES, TUN_PACKETS);
  readonly #datagrams: DatagramBatch = makeDatagramBatch(RECEIVE_BYTES, RECEIVE_MESSAGES);
  #lastWake = 0;
  /** The waiting time that the last wake-up for a packet reported (Wake). */
  #waited = 0;
  /** How many wake-ups in a row brought one small packet of the host or of a session. */
  #lone = 0;
  /** Whether the datagrams that were read last held a packet of a session. */
  #hasDelivered = false;
  /** How likely the host answers a lone datagram at once: 0 to 3, and from 2 on it is expected. */
  #answers = 3;
  /** Whether the last wake-up did not look for the host's answer to a lone datagram. */
  #isUnread = false;

  constructor({ engine, tun, sockets, guard, log }: DevicePumpOptions) {
    this.engine = engine;
    this.#tun = tun;
    this.#sockets = sockets;
    this.#guard = guard;
    this.#log = log;
  }

  /** When a packet last woke the device. */
  get lastWake(): number {
    return this.#lastWake;
  }

  /** Whether the last wake-up brought one small packet of the host or of a session. */
  get wasLone(): boolean {
    return this.#lone > 0;
  }

  /** Reads a bounded number of handshakes. The event loop then polls for packets. */
  takeHandshakes(): void {
    const now = this.#guard.now();
    this.#lastWake = now;
    for (let left = HANDSHAKES_PER_WAKE; left > 0; left -= datagramsIn(this.#datagrams)) {
      if (!this.#sockets.udp?.receiveHandshakes(this.#datagrams)) break;
      this.#feed(now);
    }
  }

  /**
   * Serves both directions in turn, starting with the one that caused the wake-up: the host often
   * answers received packets at once. After a silence, a single small packet is assumed to be the
   * only one, and after some lone packets so is the next one that the event loop waited for: later
   * packets wake the loop again, and a read that finds nothing costs some 15 us with cold caches.
   * For the same reason a lone datagram's answer is looked for only if the host gave such answers
   * at once lately. Only the time that the event loop waited with nothing to read counts as
   * silence, not the time of our own work.
   * @returns false if the TUN is gone
   */
  pump(first: 'tun' | 'udp', waited: number | undefined): boolean {
    let now = this.#guard.now();
    const silence = waited === undefined ? 0 : waited - this.#waited;
    let most = silence > LONE_AFTER_MS || (silence > 0 && this.#lone >= LONE_RUN) ? 1 : MAX_BATCH;
    this.#waited = waited ?? this.#waited;
    this.#lastWake = now;
    if (this.#isUnread && first === 'tun' && silence === 0) this.#expectAnswers(true);
    this.#isUnread = false;
    for (let round = 0; round < ROUNDS_PER_WAKE; round++) {
      const received = round === 0 && first === 'tun' ? 0 : this.#takeDatagrams(most, now);
      // others may send anything at all: only a session's packet foretells the next one
      const isLone = received === 1 && this.#hasDelivered && !many(received, this.#datagrams.desc);
      this.#isUnread = isLone && most === 1 && this.#answers < 2;
      const read = this.#isUnread ? 0 : this.#takePackets(most, now);
      if (read < 0) return false;
      if (isLone && most === 1 && !this.#isUnread) this.#expectAnswers(read > 0);
      if (!many(received, this.#datagrams.desc) && !many(read, this.#packets.desc)) {
        this.#lone = isLone || (received === 0 && read === 1) ? this.#lone + 1 : 0;
        break;
      }
      // the last round of this wake-up, which finds little, makes it 0
      this.#lone = -1;
      most = MAX_BATCH;
      now = this.#guard.now();
    }
    return true;
  }

  #expectAnswers(came: boolean): void {
    this.#answers = came ? Math.min(this.#answers + 1, 3) : Math.max(this.#answers - 1, 0);
  }

  #takeDatagrams(most: number, now: number): number {
    if (!this.#sockets.udp) return 0;
    this.#sockets.udp.receive(this.#datagrams, most);
    return this.#feed(now);
  }

  /** Passes the received datagrams to the engine. @returns their number */
  #feed(now: number): number {
    const { count } = this.#datagrams;
    this.#hasDelivered = false;
    for (let taken = 0; taken < count; ) {
      taken = this.engine.receive(this.#datagrams, taken, now);
      this.#hasDelivered ||= this.engine.deliveries.count > 0;
      this.drain();
    }
    return count;
  }

  #takePackets(most: number, now: number): number {
    const count = this.#tun.read(this.#packets, most);
    for (let taken = 0; taken < count; ) {
      taken = this.engine.send(this.#packets, taken, now);
      this.drain();
    }
    return count;
  }

  /** Takes all output of the engine to where it belongs. */
  drain(): void {
    const engine = this.engine;
    const { udp } = this.#sockets;
    if (engine.transmits.count > 0 && udp) this.sendErrors += udp.send(engine.transmits);
    if (engine.deliveries.count > 0) this.#deliver(engine.deliveries);
    if (engine.locals.count > 0) this.#deliver(engine.locals);
    for (const event of engine.events) this.#log.verbose(describeEvent(event));
    engine.drained();
  }

  #deliver(batch: PacketBatch): void {
    // -1 means that the device is gone, which the next read reports
    const dropped = this.#tun.write(batch);
    this.tunDropped += dropped < 0 ? batch.count : dropped;
  }
}

/**
 * Reports whether a batch has more than one small packet. In the descriptors of both kinds of
 * batch, the length comes second.
 */
function many(count: number, desc: Int32Array): boolean {
  return count > 1 || (count === 1 && desc[1]! > LONE_PACKET);
}

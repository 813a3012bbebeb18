/**
 * Moves batches between TUN, engine and UDP sockets, in turns with a budget, so that timers, the
 * other direction and clients get their turn. device-loop.ts decides when.
 */
import type { Tun } from '../io/ports.ts';
import { datagramsIn, MAX_BATCH } from '../packet/batch.ts';
import type { Engine } from '../protocol/engine.ts';
import { describeEvent } from './describe-event.ts';
import type { DeviceSockets } from './device-sockets.ts';
import type { Log } from './log.ts';
import { Pipeline } from './pipeline.ts';
import type { Losses, PipelineOptions, ThreadCount } from './pipeline-parts.ts';
import type { SessionGuard } from './session-guard.ts';

/** Batches read per direction in one wake-up before the event loop gets its turn: about 10 ms. */
const ROUNDS_PER_WAKE = 8;
/** Size limit in bytes of a packet that may be the only one waiting; a super-packet is larger. */
const LONE_PACKET = 2048;
/**
 * After the event loop has waited this long for a packet, the next packet is likely to come alone.
 */
const LONE_AFTER_MS = 1;
/** What a read found: the device is gone, or nothing, one small packet, or more than that. */
const GONE = -1;
const NOTHING = 0;
const FEW = 1;
const MANY = 2;
type Found = typeof GONE | typeof NOTHING | typeof FEW | typeof MANY;
/** After that many wake-ups for lone packets, so is the next one after any silence. */
const LONE_RUN = 4;
/**
 * A wake-up ends after this many handshakes; datagrams that the kernel joined count individually.
 * The limit is half the number that the engine answers with cookies in one turn.
 */
const HANDSHAKES_PER_WAKE = 128;

export interface DevicePumpOptions extends Pick<PipelineOptions, 'makeLanes' | 'shareAlways' | 'onOpened'> {
  readonly engine: Engine;
  readonly tun: Tun;
  readonly sockets: DeviceSockets;
  /** Tells the time, and ends sessions that the machine's sleep outdated. */
  readonly guard: SessionGuard;
  readonly log: Log;
}

export class DevicePump {
  readonly losses: Losses = { sendErrors: 0, tunDropped: 0 };
  readonly #options: DevicePumpOptions;
  #engine: Engine;
  #pipeline: Pipeline;
  readonly #tun: Tun;
  readonly #sockets: DeviceSockets;
  readonly #guard: SessionGuard;
  readonly #log: Log;
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

  constructor(options: DevicePumpOptions) {
    this.#options = options;
    this.#engine = options.engine;
    this.#tun = options.tun;
    this.#sockets = options.sockets;
    this.#guard = options.guard;
    this.#log = options.log;
    this.#pipeline = this.#makePipeline();
  }

  get engine(): Engine {
    return this.#engine;
  }

  /** A hand-over that failed replaces the engine. */
  set engine(engine: Engine) {
    this.#pipeline.close();
    this.#engine = engine;
    this.#pipeline = this.#makePipeline();
  }

  /** The threads of the device. */
  get threads(): ThreadCount {
    return this.#pipeline.threads;
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
    this.#pipeline.begin(now);
    for (let left = HANDSHAKES_PER_WAKE; left > 0; ) {
      const batch = this.#pipeline.datagrams(now);
      if (!this.#sockets.udp?.receiveHandshakes(batch)) break;
      left -= datagramsIn(batch);
      this.#pipeline.receive(batch, now);
    }
    this.#pipeline.finish(now);
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
    this.#pipeline.begin(now, waited);
    if (this.#isUnread && first === 'tun' && silence === 0) this.#expectAnswers(true);
    this.#isUnread = false;
    for (let round = 0; round < ROUNDS_PER_WAKE; round++) {
      const received = round === 0 && first === 'tun' ? NOTHING : this.#takeDatagrams(most, now);
      // others may send anything at all: only a session's packet foretells the next one
      const isLone = received === FEW && this.#hasDelivered;
      this.#isUnread = isLone && most === 1 && this.#answers < 2;
      const read = this.#isUnread ? NOTHING : this.#takePackets(most, now);
      if (read === GONE) return false;
      if (isLone && most === 1 && !this.#isUnread) this.#expectAnswers(read !== NOTHING);
      if (received !== MANY && read !== MANY) {
        this.#lone = isLone || (received === NOTHING && read === FEW) ? this.#lone + 1 : 0;
        break;
      }
      // the last round of this wake-up, which finds little, makes it 0
      this.#lone = -1;
      most = MAX_BATCH;
      now = this.#guard.now();
      this.#pipeline.begin(now);
    }
    this.#pipeline.finish(now);
    return true;
  }

  #expectAnswers(came: boolean): void {
    this.#answers = came ? Math.min(this.#answers + 1, 3) : Math.max(this.#answers - 1, 0);
  }

  /** Judges and writes what lanes have opened. */
  takeOpened(): void {
    const now = this.#guard.now();
    this.#pipeline.begin(now);
    this.#pipeline.finish(now);
  }

  /** Waits until nothing is with other threads. */
  settle(): void {
    this.#pipeline.settle(this.#guard.now());
  }

  /** Gives memory back that traffic needed, once it has ended. */
  shrink(): void {
    this.#pipeline.shrink(this.#guard.now());
  }

  /** Ends the other threads. */
  close(): void {
    this.#pipeline.close();
  }

  #takeDatagrams(most: number, now: number): Found {
    const { udp } = this.#sockets;
    if (!udp) return NOTHING;
    const batch = this.#pipeline.datagrams(now);
    const found = foundIn(udp.receive(batch, most), batch.desc);
    this.#hasDelivered = false;
    if (found !== NOTHING) this.#pipeline.receive(batch, now);
    return found;
  }

  #takePackets(most: number, now: number): Found {
    const batch = this.#pipeline.packets(now);
    const found = foundIn(this.#tun.read(batch, most), batch.desc);
    if (found > NOTHING) this.#pipeline.send(batch, now);
    return found;
  }

  /** Takes all output of the engine to where it belongs. */
  drain(): void {
    const engine = this.#engine;
    const { udp } = this.#sockets;
    const now = this.#lastWake;
    if (engine.transmits.count > 0 && udp) this.#pipeline.transmit(udp, now);
    if (engine.deliveries.count > 0) {
      this.#hasDelivered = true;
      this.#pipeline.deliver(now);
    }
    if (engine.locals.count > 0) this.#pipeline.write(engine.locals);
    for (const event of engine.events) this.#log.verbose(describeEvent(event));
    engine.drained();
  }

  #makePipeline(): Pipeline {
    const { makeLanes, shareAlways, onOpened } = this.#options;
    const [engine, tun, { losses }] = [this.#engine, this.#tun, this];
    return new Pipeline({ engine, tun, losses, makeLanes, shareAlways, onOpened, drain: () => this.drain() });
  }
}

/**
 * Tells what a read found, by its result. In the descriptors of both kinds of batch, the length
 * comes second.
 */
function foundIn(count: number, desc: Int32Array): Found {
  if (count <= 0) return count < 0 ? GONE : NOTHING;
  return count > 1 || desc[1]! > LONE_PACKET ? MANY : FEW;
}

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
/** What a read of the TUN found. */
const GONE = -1;
const FEW = 0;
const MANY = 1;
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
   * only one: later packets wake the loop again, and a read that finds nothing costs some 15 us
   * with cold caches. Only the time that the event loop waited with nothing to read counts as
   * silence, not the time of our own work.
   * @returns false if the TUN is gone
   */
  pump(first: 'tun' | 'udp', waited: number | undefined): boolean {
    let now = this.#guard.now();
    let most = waited !== undefined && waited - this.#waited > LONE_AFTER_MS ? 1 : MAX_BATCH;
    this.#waited = waited ?? this.#waited;
    this.#lastWake = now;
    this.#pipeline.begin(now, waited);
    for (let round = 0; round < ROUNDS_PER_WAKE; round++) {
      const hasMore = round === 0 && first === 'tun' ? false : this.#takeDatagrams(most, now);
      const read = this.#takePackets(most, now);
      if (read === GONE) return false;
      if (!hasMore && read !== MANY) break;
      most = MAX_BATCH;
      now = this.#guard.now();
      this.#pipeline.begin(now);
    }
    this.#pipeline.finish(now);
    return true;
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

  /** Ends the other threads. */
  close(): void {
    this.#pipeline.close();
  }

  /** @returns whether there may be more */
  #takeDatagrams(most: number, now: number): boolean {
    const { udp } = this.#sockets;
    if (!udp) return false;
    const batch = this.#pipeline.datagrams(now);
    const received = udp.receive(batch, most);
    const hasMore = many(received, batch.desc);
    if (received > 0) this.#pipeline.receive(batch, now);
    return hasMore;
  }

  #takePackets(most: number, now: number): typeof GONE | typeof FEW | typeof MANY {
    const batch = this.#pipeline.packets(now);
    const read = this.#tun.read(batch, most);
    if (read < 0) return GONE;
    const result = many(read, batch.desc) ? MANY : FEW;
    if (read > 0) this.#pipeline.send(batch, now);
    return result;
  }

  /** Takes all output of the engine to where it belongs. */
  drain(): void {
    const engine = this.#engine;
    const { udp } = this.#sockets;
    const now = this.#lastWake;
    if (engine.transmits.count > 0 && udp) this.#pipeline.transmit(udp, now);
    if (engine.deliveries.count > 0) this.#pipeline.deliver(now);
    if (engine.locals.count > 0) {
      const dropped = this.#tun.write(engine.locals);
      this.losses.tunDropped += dropped < 0 ? engine.locals.count : dropped;
    }
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
 * Reports whether a batch has more than one small packet. In the descriptors of both kinds of
 * batch, the length comes second.
 */
function many(count: number, desc: Int32Array): boolean {
  return count > 1 || (count === 1 && desc[1]! > LONE_PACKET);
}

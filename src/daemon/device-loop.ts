/**
 * Connects an engine to a TUN and UDP sockets: moves batches between them, and opens,
 * reopens and closes the sockets when the interface or its port changes (configure, #up, #down).
 */
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import type { Clock, Tun } from '../io/ports.ts';
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
import type { DeviceLoopOptions } from './device-loop-options.ts';
import { DeviceSockets } from './device-sockets.ts';
import type { Log } from './log.ts';
import { PortRetry } from './port-retry.ts';
import { type SessionEnd, SessionGuard } from './session-guard.ts';
import { WakeTimer } from './wake-timer.ts';

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
/**
 * A wake-up ends after this many handshakes; datagrams that the kernel joined count individually.
 * The limit is half the number that the engine answers with cookies in one turn.
 */
const HANDSHAKES_PER_WAKE = 128;

/**
 * Runs an engine as a device: reads the TUN and the UDP sockets in batches, feeds the engine,
 * drains its output and arms one timer. Each wake-up has a budget, so that timers, the other
 * direction and clients get their turn.
 */
export class DeviceLoop {
  readonly #engine: Engine;
  readonly #tun: Tun;
  readonly #sockets: DeviceSockets;
  readonly #retry: PortRetry;
  readonly #timer: WakeTimer;
  readonly #clock: Clock;
  readonly #guard: SessionGuard;
  readonly #log: Log;
  readonly #onGone: () => void;
  readonly #packets: PacketBatch = makePacketBatch(TUN_BYTES, TUN_PACKETS);
  readonly #datagrams: DatagramBatch = makeDatagramBatch(RECEIVE_BYTES, RECEIVE_MESSAGES);
  #sendErrors = 0;
  #tunDropped = 0;
  #lastWake = 0;
  /** The waiting time that the last wake-up for a packet reported (Wake). */
  #waited = 0;
  #closed = false;
  #stopWatching = () => {};

  /** Makes a loop, which owns engine and TUN from now on. It does nothing before start(). */
  constructor(options: DeviceLoopOptions) {
    this.#engine = options.engine;
    this.#tun = options.tun;
    this.#sockets = new DeviceSockets(options.openUdp, {
      onReadable: waited => this.#pump('udp', waited),
      onHandshakes: () => this.#handshakesReadable(),
      onRoutesChanged: () => this.#engine.routesChanged(),
    });
    this.#clock = options.clock;
    this.#guard = new SessionGuard(options);
    this.#log = options.log;
    this.#onGone = options.onGone;
    this.#timer = new WakeTimer(
      () => this.#clock.now(),
      () => this.#timeout(),
    );
    this.#retry = new PortRetry({
      sockets: this.#sockets,
      log: options.log,
      now: () => this.#clock.now(),
      onDue: () => this.#checkStatus(),
    });
  }

  /** Begins to read the TUN. Sockets open when the interface is up. */
  start(): void {
    this.#tun.onStatus(() => this.#checkStatus());
    this.#tun.onReadable(waited => this.#tunReadable(waited));
    // after a resume, an idle device erases its keys at once and not with the next packet
    this.#stopWatching = this.#clock.onDisturbed?.(() => this.#timeout()) ?? this.#stopWatching;
    this.#checkStatus();
  }

  /**
   * Applies a configuration. Opens sockets first: if that fails, nothing has changed.
   * @throws Error with `code` (EADDRINUSE, EACCES, ...)
   */
  configure(config: DeviceConfig): void {
    const sockets = this.#sockets;
    const port = config.listenPort ?? sockets.port;
    const mark = config.fwmark ?? sockets.mark;
    const isUp = sockets.udp !== undefined || this.#tun.status()?.up === true;
    if (config.listenPort !== undefined && (sockets.wouldMove(port) || (isUp && !sockets.udp))) {
      sockets.open(port, mark);
      this.#engine.routesChanged();
    } else {
      // while the device is down, try the port now: otherwise the error would come when it is set
      // up
      if (!isUp && (config.listenPort || config.fwmark)) sockets.attempt(port, mark);
      if (sockets.configure(port, mark)) this.#engine.routesChanged();
    }
    this.#retry.reset();
    // the path to a new endpoint may be a different one
    if (config.peers?.some(peer => peer.endpoint)) sockets.udp?.networkChanged?.();
    this.#engine.configure(config, this.#guard.now());
    if (isUp && !this.#engine.running) this.#checkStatus();
    this.#settle();
  }

  /** Returns a copy of configuration, state and counters. Overwrite its secrets after use. */
  status(): DeviceStatus {
    return { ...this.#engine.status(), listenPort: this.#sockets.port, fwmark: this.#sockets.mark };
  }

  /**
   * Erases all sessions and unfinished handshakes: the machine is about to sleep, or is a copy of
   * another one. The loop notices by itself that the machine slept.
   */
  forgetSessions(why: SessionEnd): void {
    if (this.#closed) return;
    this.#guard.forgetSessions(why);
    this.#settle();
  }

  /** Returns the milliseconds since a packet last woke the loop. */
  quietFor(): number {
    return this.#clock.now() - this.#lastWake;
  }

  /**
   * Returns every counter by name: the protocol's, the sockets' (`udp.`) and the TUN's (`tun.`).
   */
  counters(): Record<string, number> {
    return {
      ...this.#engine.counters,
      sendErrors: this.#sendErrors,
      tunDropped: this.#tunDropped,
      ...prefixed('forgotten', this.#guard.counters()),
      ...prefixed('udp', this.#sockets.counters()),
      ...prefixed('tun', this.#tun.counters()),
    };
  }

  /** Erases all keys and closes sockets and TUN. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopWatching();
    this.#retry.close();
    this.#timer.clear();
    this.#engine.close();
    this.#sockets.close();
    this.#tun.close();
  }

  #checkStatus(): void {
    if (this.#closed) return;
    const status = this.#tun.status();
    if (!status) {
      this.#gone();
      return;
    }
    this.#engine.mtu = status.mtu;
    if (status.up === this.#engine.running) return;
    if (status.up) this.#up();
    else this.#down();
  }

  #up(): void {
    if (!this.#retry.open()) return;
    this.#engine.routesChanged();
    this.#engine.up(this.#guard.now());
    (this.#log.notice ?? this.#log.verbose)(`interface up, UDP port ${this.#sockets.port}`);
    this.#settle();
  }

  #down(): void {
    this.#engine.down();
    this.#sockets.close();
    (this.#log.notice ?? this.#log.verbose)('interface down');
    this.#settle();
  }

  #gone(): void {
    this.#log.verbose('interface is gone');
    this.close();
    this.#onGone();
  }

  #tunReadable(waited: number | undefined): void {
    // a device in another namespace sends no notice that it is up, but its packets show it
    if (!this.#engine.running && this.#retry.isDue) this.#checkStatus();
    this.#pump('tun', waited);
  }

  /** Reads a bounded number of handshakes. The event loop then polls for packets. */
  #handshakesReadable(): void {
    const now = this.#guard.now();
    this.#lastWake = now;
    for (let left = HANDSHAKES_PER_WAKE; left > 0; left -= datagramsIn(this.#datagrams)) {
      if (!this.#sockets.udp?.receiveHandshakes(this.#datagrams)) break;
      this.#feed(now);
    }
    this.#settle();
  }

  /**
   * Serves both directions in turn, starting with the one that caused the wake-up: the host often
   * answers received packets at once. After a silence, a single small packet is assumed to be the
   * only one: later packets wake the loop again, and a read that finds nothing costs some 15 us
   * with cold caches. Only the time that the event loop waited with nothing to read counts as
   * silence, not the time of our own work.
   */
  #pump(first: 'tun' | 'udp', waited: number | undefined): void {
    let now = this.#guard.now();
    let most = waited !== undefined && waited - this.#waited > LONE_AFTER_MS ? 1 : MAX_BATCH;
    this.#waited = waited ?? this.#waited;
    this.#lastWake = now;
    for (let round = 0; round < ROUNDS_PER_WAKE && !this.#closed; round++) {
      const received = round === 0 && first === 'tun' ? 0 : this.#takeDatagrams(most, now);
      const read = this.#takePackets(most, now);
      if (read < 0) {
        this.#gone();
        return;
      }
      if (!many(received, this.#datagrams.desc) && !many(read, this.#packets.desc)) break;
      most = MAX_BATCH;
      now = this.#guard.now();
    }
    this.#settle();
  }

  #takeDatagrams(most: number, now: number): number {
    if (!this.#sockets.udp) return 0;
    this.#sockets.udp.receive(this.#datagrams, most);
    return this.#feed(now);
  }

  /** Passes the received datagrams to the engine. @returns their number */
  #feed(now: number): number {
    const { count } = this.#datagrams;
    for (let taken = 0; taken < count; ) {
      taken = this.#engine.receive(this.#datagrams, taken, now);
      this.#drain();
    }
    return count;
  }

  #takePackets(most: number, now: number): number {
    const count = this.#tun.read(this.#packets, most);
    for (let taken = 0; taken < count; ) {
      taken = this.#engine.send(this.#packets, taken, now);
      this.#drain();
    }
    return count;
  }

  #drain(): void {
    const engine = this.#engine;
    const { udp } = this.#sockets;
    if (engine.transmits.count > 0 && udp) this.#sendErrors += udp.send(engine.transmits);
    if (engine.deliveries.count > 0) this.#deliver(engine.deliveries);
    if (engine.locals.count > 0) this.#deliver(engine.locals);
    for (const event of engine.events) this.#log.verbose(describeEvent(event));
    engine.drained();
  }

  #deliver(batch: PacketBatch): void {
    // -1 means that the device is gone, which the next read reports
    const dropped = this.#tun.write(batch);
    this.#tunDropped += dropped < 0 ? batch.count : dropped;
  }

  /**
   * Ends every turn that had input: drains the output, and arms the timer for the next deadline.
   */
  #settle(): void {
    if (this.#closed) return;
    this.#drain();
    this.#timer.arm(this.#engine.nextDeadline());
  }

  #timeout(): void {
    this.#engine.timeout(this.#guard.now());
    this.#settle();
  }
}

/**
 * Reports whether a batch has more than one small packet. In the descriptors of both kinds of
 * batch, the length comes second.
 */
function many(count: number, desc: Int32Array): boolean {
  return count > 1 || (count === 1 && desc[1]! > LONE_PACKET);
}

function prefixed(prefix: string, counters: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counters).map(([name, value]) => [`${prefix}.${name}`, value]));
}

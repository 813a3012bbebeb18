/** The loop that joins an engine to a TUN and UDP sockets. */
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

/** Batches taken of each direction in one wake-up before the event loop has its turn: some 10 ms of work at most. */
const ROUNDS_PER_WAKE = 8;
const RECEIVE_MESSAGES = 16;
const RECEIVE_BYTES = RECEIVE_MESSAGES * 65_536;
const TUN_PACKETS = 256;
const TUN_BYTES = 16 * 65_536;
/** Bytes of the largest packet that by itself is no sign of more to come: a super-packet is longer. */
const LONE_PACKET = 2048;
/** Milliseconds that the event loop has waited for events since the last packet, after which the next is likely to come alone. */
const LONE_AFTER_MS = 1;
/** So many handshakes end a wake-up, those counted one by one that the kernel joined: half of what a turn of the engine answers with cookies. */
const HANDSHAKES_PER_WAKE = 128;
/** WireGuard's timers are seconds; with thousands of peers those of a few milliseconds are done together (the kernel's are as coarse). */
const SHORTEST_SLEEP = 5;
const LONGEST_SLEEP = 2 ** 30; // setTimeout's own limit is 2^31 ms

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
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onGone: () => void;
  readonly #packets: PacketBatch = makePacketBatch(TUN_BYTES, TUN_PACKETS);
  readonly #datagrams: DatagramBatch = makeDatagramBatch(RECEIVE_BYTES, RECEIVE_MESSAGES);
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #armedFor = Number.POSITIVE_INFINITY;
  #sendErrors = 0;
  #tunDropped = 0;
  #lastWake = 0;
  /** As the last packet's wake-up said (Wake). */
  #waited = 0;
  #closed = false;

  /** Makes a loop, which does nothing before start(). It owns engine and TUN from now on. */
  constructor(options: DeviceLoopOptions) {
    this.#engine = options.engine;
    this.#tun = options.tun;
    this.#sockets = new DeviceSockets(options.openUdp, {
      onReadable: waited => this.#pump('udp', waited),
      onHandshakes: () => this.#handshakesReadable(),
      onRoutesChanged: () => this.#engine.routesChanged(),
    });
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onGone = options.onGone;
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
    this.#checkStatus();
  }

  /**
   * Applies a configuration. Sockets are opened first, so nothing has changed when that fails.
   * @throws Error with `code` (EADDRINUSE, EACCES, ...)
   */
  configure(config: DeviceConfig): void {
    const sockets = this.#sockets;
    const port = config.listenPort ?? sockets.port;
    const mark = config.fwmark ?? sockets.mark;
    const isUp = sockets.udp !== undefined || this.#tun.status()?.up === true;
    if (config.listenPort !== undefined && (sockets.wouldMove(port) || (isUp && !sockets.udp))) this.#bind(port, mark);
    else {
      // a device that is down says now what it would come up to
      if (!isUp && (config.listenPort || config.fwmark)) sockets.attempt(port, mark);
      if (sockets.keep(port, mark)) this.#engine.routesChanged();
    }
    this.#retry.reset();
    // another endpoint may be behind another path
    if (config.peers?.some(peer => peer.endpoint)) sockets.udp?.networkChanged?.();
    this.#engine.configure(config, this.#clock.now());
    if (isUp && !this.#engine.running) this.#checkStatus();
    this.#settle();
  }

  /**
   * Returns what the device has and has counted. A copy, with secrets: overwrite them after use.
   */
  status(): DeviceStatus {
    return { ...this.#engine.status(), listenPort: this.#sockets.port, fwmark: this.#sockets.mark };
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
      ...prefixed('udp', this.#sockets.counters()),
      ...prefixed('tun', this.#tun.counters()),
    };
  }

  /** Erases all keys and closes sockets and TUN. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#retry.close();
    this.#disarm();
    this.#engine.close();
    this.#sockets.close();
    this.#tun.close();
  }

  #bind(port: number, mark: number): void {
    this.#sockets.open(port, mark);
    this.#engine.routesChanged();
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
    this.#engine.up(this.#clock.now());
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
    // a device that was moved to another namespace came up, and its first packet is the first to say so; each that follows asks again
    if (!this.#engine.running && this.#retry.isDue) this.#checkStatus();
    this.#pump('tun', waited);
  }

  /** A bounded number at a time: between two such turns the event loop asks for packets. */
  #handshakesReadable(): void {
    const now = this.#clock.now();
    this.#lastWake = now;
    for (let left = HANDSHAKES_PER_WAKE; left > 0; left -= datagramsIn(this.#datagrams)) {
      if (!this.#sockets.udp?.receiveHandshakes(this.#datagrams)) break;
      this.#feed(now);
    }
    this.#settle();
  }

  /**
   * Both directions in turn, the one that woke us first: what comes in often makes the host answer at once. After a silence a lone small
   * packet is taken to be all: what came meanwhile wakes us again, and a call for nothing costs some 15 us of cold caches. Silence is
   * what the event loop measured while it waited, with nothing to read; time that passed in our own work says nothing.
   */
  #pump(first: 'tun' | 'udp', waited: number | undefined): void {
    let now = this.#clock.now();
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
      now = this.#clock.now();
    }
    this.#settle();
  }

  #takeDatagrams(most: number, now: number): number {
    if (!this.#sockets.udp) return 0;
    this.#sockets.udp.receive(this.#datagrams, most);
    return this.#feed(now);
  }

  /** Gives the engine the datagrams that were received. @returns how many */
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
    // a device that is gone is noticed by the next read
    const dropped = this.#tun.write(batch);
    this.#tunDropped += dropped < 0 ? batch.count : dropped;
  }

  /** After any input: what it left is drained, and the timer set for what comes next. */
  #settle(): void {
    if (this.#closed) return;
    this.#drain();
    const deadline = this.#engine.nextDeadline();
    if (deadline >= this.#armedFor) return;
    this.#armedFor = deadline;
    this.#disarm();
    const wait = Math.ceil(deadline - this.#clock.now());
    // setTimeout has no less than a millisecond; what is due at once still lets the sockets have their turn first
    if (wait <= 0) this.#immediate = setImmediate(() => this.#timeout());
    else this.#timer = setTimeout(() => this.#timeout(), Math.min(Math.max(wait, SHORTEST_SLEEP), LONGEST_SLEEP));
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  #timeout(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    this.#engine.timeout(this.#clock.now());
    this.#settle();
  }
}

/** More than one small packet; the length stands second in a descriptor of either batch. */
function many(count: number, desc: Int32Array): boolean {
  return count > 1 || (count === 1 && desc[1]! > LONE_PACKET);
}

function prefixed(prefix: string, counters: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counters).map(([name, value]) => [`${prefix}.${name}`, value]));
}

/**
 * Connects an engine to a TUN and UDP sockets: moves batches between them, and opens,
 * reopens and closes the sockets when the interface or its port changes (configure, #up, #down).
 */
import { codedError } from '../base/coded-error.ts';
import { type DeviceConfig, type DeviceStatus, eraseStatus } from '../config/model.ts';
import { type Clock, type Tun, WAKE_DONE, WAKE_LONE } from '../io/ports.ts';
import type { Engine } from '../protocol/engine.ts';
import { unprefixed } from './counter-names.ts';
import type { DeviceLoopOptions } from './device-loop-options.ts';
import { DevicePump } from './device-pump.ts';
import { DeviceSockets } from './device-sockets.ts';
import type { DeviceState } from './device-state.ts';
import { givenParts, whyBound } from './given-parts.ts';
import { HeardLog } from './heard-log.ts';
import { LoopCounters } from './loop-counters.ts';
import type { MemoryShares } from './memory-shares.ts';
import { PlaceLog } from './place-log.ts';
import { PortRetry } from './port-retry.ts';
import { type SessionEnd, SessionGuard } from './session-guard.ts';
import { WakeTimer } from './wake-timer.ts';

/**
 * Runs an engine as a device: reads the TUN and the UDP sockets in batches, feeds the engine,
 * drains its output and arms one timer. Each wake-up has a budget, so that timers, the other
 * direction and clients get their turn.
 */
export class DeviceLoop {
  readonly #pump: DevicePump;
  readonly #tun: Tun;
  readonly #sockets: DeviceSockets;
  readonly #retry: PortRetry;
  readonly #timer: WakeTimer;
  readonly #clock: Clock;
  readonly #guard: SessionGuard;
  readonly #log: HeardLog;
  readonly #place: PlaceLog;
  readonly #onGone: () => void;
  #closed = false;
  /** Since freeze(): the device may move to another process. */
  #isFrozen = false;
  #stopWatching = () => {};
  readonly #counters: LoopCounters;

  /** Makes a loop, which owns engine and TUN from now on. It does nothing before start(). */
  constructor(options: DeviceLoopOptions) {
    this.#tun = options.tun;
    this.#sockets = new DeviceSockets(options.openUdp, {
      onReadable: waited => this.#readable('udp', waited),
      onHandshakes: () => {
        this.#pump.takeHandshakes();
        this.#settle();
      },
      onRoutesChanged: () => this.#engine.routesChanged(),
    });
    this.#clock = options.clock;
    const log = new HeardLog(options.log);
    this.#log = log;
    this.#guard = new SessionGuard({ ...options, log });
    const onOpened = () => this.#opened();
    this.#pump = new DevicePump({ ...options, log, sockets: this.#sockets, guard: this.#guard, onOpened });
    this.#place = new PlaceLog(log);
    this.#onGone = options.onGone;
    const now = () => this.#clock.now();
    this.#timer = new WakeTimer(now, () => this.#timeout());
    const onDue = () => this.#checkStatus();
    this.#retry = new PortRetry({ sockets: this.#sockets, log, now, onDue });
    const { state, udp } = options.taken ?? {};
    const counters = state?.counters ?? {};
    const [tun, sockets, guard, pump] = [this.#tun, this.#sockets, this.#guard, this.#pump];
    this.#counters = new LoopCounters({ tun, sockets, guard, pump }, counters);
    if (state) sockets.adopt(udp, state.port, state.mark, unprefixed('udp', counters));
  }

  /**
   * Begins to read the TUN, and sockets that were taken over. New sockets open when the interface
   * is up. Also goes on after freeze() and thaw() of its engine.
   */
  start(): void {
    if (this.#closed) return;
    this.#tun.onStatus(() => this.#checkStatus());
    this.#tun.onReadable(waited => this.#tunReadable(waited));
    this.#sockets.read();
    this.#stopWatching();
    // after a resume, an idle device erases its keys at once and not with the next packet
    this.#stopWatching = this.#clock.onDisturbed?.(() => this.#timeout()) ?? this.#stopWatching;
    this.#checkStatus();
    this.#settle();
  }

  /** Why the device cannot be handed over to another process; undefined if it can. @internal */
  get boundBy(): string | undefined {
    return whyBound(this.#tun, this.#sockets.udp);
  }

  /**
   * Stops reading and freezes the engine, so that another process can go on. What arrives waits in
   * the queues of TUN and sockets. Continue with thaw() or restart(), or close(). @internal
   * @returns the state, and the open descriptors: TUN, then the open sockets
   */
  freeze(): { readonly state: Pick<DeviceState, 'engine' | 'loop'>; readonly descriptors: readonly number[] } {
    this.#isFrozen = true;
    // a suspend until now is noticed here; a later one, by the next process
    this.#guard.now();
    this.#tun.pause?.();
    this.#sockets.pause();
    this.#retry.close();
    this.#timer.disarm();
    this.#stopWatching();
    this.#pump.settle();
    this.#pump.drain();
    const { port, mark, udp } = this.#sockets;
    const { tun, sockets, descriptors } = givenParts(this.#tun, udp);
    const loop = { port, mark, counters: this.#counters.read(), tun, sockets };
    return { state: { engine: this.#engine.freeze(), loop }, descriptors };
  }

  /** Goes on after freeze(), also a failed one: no process uses the state, ever. @internal */
  thaw(): void {
    this.#isFrozen = false;
    if (this.#engine.frozen) this.#engine.thaw();
    this.start();
  }

  /** Erases all keys of the frozen engine. @internal */
  eraseKeys(): void {
    this.#engine.close();
  }

  /** Goes on after eraseKeys(): a new engine, all settings, and new sessions. @internal */
  restart(engine: Engine, config: DeviceConfig): void {
    if (this.#closed) return;
    this.#isFrozen = false;
    this.#pump.engine = engine;
    this.#guard.engine = engine;
    engine.configure(config, this.#clock.now());
    this.renewSessions();
  }

  /** Begins, with new sessions in place of those of the engine. */
  renewSessions(): void {
    const engine = this.#engine;
    engine.forgetSessions(this.#clock.now(), false);
    this.start();
    const status = engine.status();
    eraseStatus(status);
    // traffic need not wait for the next packet that goes out
    const peers = status.peers.map(({ publicKey }) => ({ publicKey, updateOnly: true, initiate: true }));
    engine.configure({ peers }, this.#clock.now());
    this.#settle();
  }

  /**
   * Applies a configuration. Opens sockets first: if that fails, nothing has changed.
   * @throws Error with `code` (EADDRINUSE, EACCES, ...; EBUSY after freeze())
   */
  configure(config: DeviceConfig): void {
    this.#refuseFrozen();
    const sockets = this.#sockets;
    const port = config.listenPort ?? sockets.port;
    const mark = config.fwmark ?? sockets.mark;
    const isUp = sockets.udp !== undefined || this.#tun.status()?.up === true;
    if (config.listenPort !== undefined && (sockets.wouldMove(port) || (isUp && !sockets.udp))) {
      sockets.open(port, mark);
      this.#engine.routesChanged();
    } else {
      // while the device is down, try the port now and not when it is set up
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

  /** Returns a copy, whose secrets the caller overwrites. @throws EBUSY after freeze() */
  status(): DeviceStatus {
    this.#refuseFrozen();
    return { ...this.#engine.status(), listenPort: this.#sockets.port, fwmark: this.#sockets.mark };
  }

  /** Erases all sessions. The loop notices by itself that the machine slept. */
  forgetSessions(why: SessionEnd): void {
    if (this.#closed) return;
    this.#guard.forgetSessions(why);
    this.#settle();
  }

  /** Limits what waits for sessions (of all peers) and in each socket, in bytes. */
  limitMemory({ staged, socket }: MemoryShares): void {
    this.#engine.stagedBytes = staged;
    this.#sockets.limitBuffers(socket);
  }

  /** Returns the milliseconds since a packet last woke the loop. */
  quietFor(): number {
    return this.#clock.now() - this.#pump.lastWake;
  }

  /** Returns every counter by name: the protocol's, and by prefix those of the parts. */
  counters(): Record<string, number> {
    // counts what is with other threads too
    if (!this.#closed && !this.#isFrozen) {
      this.#pump.settle();
      this.#settle();
    }
    return { ...this.#engine.counters, ...this.#counters.read() };
  }

  /** Erases all keys and closes sockets and TUN. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopWatching();
    this.#retry.close();
    this.#timer.clear();
    this.#pump.close();
    this.#engine.close();
    this.#sockets.close();
    this.#tun.close();
  }

  get #engine(): Engine {
    return this.#pump.engine;
  }

  #refuseFrozen(): void {
    if (this.#isFrozen) throw codedError('EBUSY', 'the interface moves to another process; try again');
  }

  #checkStatus(): void {
    if (this.#closed || this.#isFrozen) return;
    const status = this.#tun.status();
    if (!status) return void this.#gone();
    this.#pump.shrink();
    this.#engine.mtu = status.mtu;
    this.#place.report(status.isHidden === true);
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

  #readable(first: 'tun' | 'udp', waited: number | undefined): number {
    if (this.#closed) return 0;
    const isThere = this.#pump.pump(first, waited);
    if (isThere) this.#settle();
    else this.#gone();
    if (!isThere || this.#log.takeSpoken()) return 0;
    return this.#pump.wasLone ? WAKE_LONE : WAKE_DONE;
  }

  /** Lanes have opened a batch. */
  #opened(): void {
    if (this.#closed || this.#isFrozen) return;
    this.#pump.takeOpened();
    this.#settle();
  }

  #tunReadable(waited: number | undefined): number {
    // a device in another namespace sends no notice that it is up, but its packets show it
    if (!this.#pump.engine.running && this.#retry.isDue) this.#checkStatus();
    return this.#readable('tun', waited);
  }

  /** Ends every turn that had input: drains the output, and arms the timer. */
  #settle(): void {
    if (this.#closed || this.#isFrozen) return;
    this.#pump.drain();
    this.#timer.arm(this.#pump.engine.nextDeadline());
  }

  #timeout(): void {
    this.#engine.timeout(this.#guard.now());
    this.#settle();
  }
}

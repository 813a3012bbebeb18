/**
 * The engine: inputs and outputs of the whole protocol. Its parts are in the files that it imports.
 */
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import type { DatagramBatch, PacketBatch } from '../packet/batch.ts';
import { configure, status } from './configure.ts';
import type { Counters } from './counters.ts';
import { Device, type DeviceOptions } from './device.ts';
import type { EngineState, FullEngineState } from './engine-state.ts';
import { checkEngineState } from './engine-state-check.ts';
import { forgetSessions, limitStaged } from './forget-sessions.ts';
import { freezeDevice } from './freeze.ts';
import { HandshakeQueue } from './handshake-queue.ts';
import { Inbound } from './inbound.ts';
import type { Incoming } from './incoming.ts';
import { Outbound } from './outbound.ts';
import type { EngineEvent } from './output.ts';
import { restoreDevice } from './restore.ts';
import { Sender } from './sender.ts';
import { TimerActions } from './timer-actions.ts';
import { setDown, setUp } from './up-down.ts';

const LARGEST_MTU = 65_535;
/** Handshakes processed per timeout: about 3 ms of X25519. */
const HANDSHAKES_PER_TURN = 32;
/**
 * Up to this many handshakes are processed inline by the call that received them. Further ones wait
 * for the next timeout, which is due at once. A socket delivers datagrams in small batches: if each
 * batch were processed before the next is read, a flood would never fill the queue and never count
 * as load.
 */
const HANDSHAKES_AT_ONCE = 4;

/**
 * A WireGuard device without sockets, clock or root: the whole protocol (whitepaper sections 5 and
 * 6) as one state machine.
 *
 * Inputs are {@link Engine.up}, {@link Engine.down}, {@link Engine.configure}, {@link
 * Engine.receive}, {@link Engine.send} and {@link Engine.timeout}. Each `now` is the time since
 * boot in milliseconds, including suspend, and never goes back. After every input, drain in this
 * order: `transmits` to the network, `deliveries` and `locals` to the TUN, `events`; then call
 * {@link Engine.drained}. {@link Engine.nextDeadline} then returns when to call `timeout` at the
 * latest.
 *
 * The same inputs with the same random bytes give the same outputs. No input from the network makes
 * the engine throw.
 */
export class Engine {
  readonly #device: Device;
  readonly #sender: Sender;
  readonly #handshakes: HandshakeQueue;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #timers: TimerActions;
  #frozen = false;

  /**
   * Makes a device that is down and has neither key nor peers. With a state, makes one that goes on
   * where {@link Engine.freeze} stopped, under the same keys and counters: the frozen engine must
   * then never {@link Engine.thaw}. The state is copied; erase it with {@link eraseEngineState}.
   * @throws Error that names the wrong field of a state
   */
  constructor(options: DeviceOptions, state?: EngineState) {
    const device = new Device(options);
    this.#device = device;
    this.#sender = new Sender(device);
    this.#handshakes = new HandshakeQueue(device, this.#sender);
    this.#inbound = new Inbound(device, this.#sender, this.#handshakes);
    this.#outbound = new Outbound(device, this.#sender);
    this.#timers = new TimerActions(device, this.#sender);
    if (state !== undefined) this.#restore(checkEngineState(state) as FullEngineState);
  }

  /** Lets the device send and receive. Idempotent. */
  up(now: number): void {
    this.#refuseFrozen();
    setUp(this.#device, now);
  }

  /** Forgets all sessions and stops sending; the configuration stays. Idempotent. */
  down(): void {
    this.#refuseFrozen();
    setDown(this.#device, this.#handshakes);
  }

  /** Whether the device is up. */
  get running(): boolean {
    return this.#device.running;
  }

  /** Whether {@link Engine.freeze} was called, and neither `thaw` nor `close` after it. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /**
   * MTU of the interface in bytes, which limits padding. An impossible value counts as unknown; the
   * engine then pads to 16 bytes.
   */
  set mtu(mtu: number) {
    this.#device.mtu = Number.isInteger(mtu) && mtu > 0 && mtu <= LARGEST_MTU ? mtu : 0;
  }

  /**
   * Limits the bytes that packets of all peers may hold while they wait for sessions. Drops the
   * oldest of each peer if they hold more.
   */
  set stagedBytes(limit: number) {
    limitStaged(this.#device, limit);
  }

  /**
   * Applies all of a configuration. Sessions stay alive, unless the private key changes. The engine
   * ignores `listenPort` and `fwmark`, which the caller applies.
   */
  configure(config: DeviceConfig, now: number): void {
    this.#refuseFrozen();
    configure(this.#device, config, now);
  }

  /**
   * Returns everything except `listenPort` and `fwmark`. The result is a copy that contains
   * secrets; overwrite them after use.
   */
  status(): Omit<DeviceStatus, 'listenPort' | 'fwmark'> {
    return status(this.#device);
  }

  /**
   * Counters of drops and a few other events, by name. The object is live: read it, do not write.
   */
  get counters(): Readonly<Counters> {
    return this.#device.counters;
  }

  /**
   * Processes the datagrams of a batch from index `from` on. Decrypts them in place; `deliveries`
   * points into the same slab.
   * @returns `batch.count` if all were processed; otherwise the index of the first that did not
   * fit. Then drain the output, and call again with that index.
   */
  receive(batch: DatagramBatch, from: number, now: number): number {
    return this.receiveLater(batch, from, now);
  }

  /** As receive(), but leaves transport messages to be opened: see accept(). @internal */
  receiveLater(batch: DatagramBatch, from: number, now: number, later?: Incoming): number {
    if (!this.#device.running || this.#frozen) return this.#drop(batch, from);
    const taken = this.#inbound.receive(batch, from, now, later);
    if (this.#handshakes.length <= HANDSHAKES_AT_ONCE) this.#handshakes.process(HANDSHAKES_AT_ONCE, now);
    return taken;
  }

  /**
   * Processes the packets of a batch from the TUN, from index `from` on.
   * @param later leaves the packets unsealed, for a caller that seals them itself
   * @returns the same as {@link Engine.receive}
   */
  send(batch: PacketBatch, from: number, now: number, later = false): number {
    if (!this.#device.running || this.#frozen) return this.#drop(batch, from);
    return this.#outbound.send(batch, from, now, later);
  }

  /** Judges and delivers messages that receive() put off. @internal */
  accept(batch: DatagramBatch, incoming: Incoming, now: number): void {
    if (this.#device.running && !this.#frozen) this.#inbound.accept(batch, incoming, now);
    else this.#device.counters[this.#frozen ? 'frozen' : 'deviceDown'] += incoming.count;
  }

  /** The state, for lanes, which may borrow output and use the cipher's keys. @internal */
  get device(): Pick<Device, 'cipher' | 'output'> {
    return this.#device;
  }

  /**
   * Does everything that is due: processes queued handshakes, retransmits, sends keepalives, rekeys
   * and erases keys.
   */
  timeout(now: number): void {
    if (!this.#device.running || this.#frozen) return;
    this.#handshakes.process(HANDSHAKES_PER_TURN, now);
    this.#timers.run(now);
  }

  /**
   * Returns the time at which timeout() must be called at the latest; 0 for at once, Infinity for
   * never.
   */
  nextDeadline(): number {
    if (!this.#device.running || this.#frozen) return Number.POSITIVE_INFINITY;
    return this.#handshakes.length > 0 ? 0 : this.#timers.next;
  }

  /** Datagrams to send. The sender may write DATAGRAM_ERROR into their descriptors. */
  get transmits(): DatagramBatch {
    return this.#device.output.transmits;
  }

  /** Decrypted packets, for the TUN. */
  get deliveries(): PacketBatch {
    return this.#device.output.deliveries;
  }

  /** Packets that the engine wrote for the local host (ICMP errors), for the TUN. */
  get locals(): PacketBatch {
    return this.#device.output.locals;
  }

  /** Events since the last drained(), for a log. */
  get events(): readonly EngineEvent[] {
    return this.#device.output.events;
  }

  /**
   * Confirms that all output was taken, and clears it. The sender sets ENDPOINT_HAS_LOCAL to 0xff
   * if a datagram's local address no longer exists; the engine then forgets that address of the
   * peer.
   */
  drained(): void {
    const { output } = this.#device;
    output.outgoing.forgetLost();
    output.clear();
  }

  /**
   * Forgets the local addresses of all peers, so that routing chooses them again. Call it when
   * addresses or routes have changed.
   */
  routesChanged(): void {
    for (const peer of this.#device.eachPeer()) peer.clearSource();
  }

  /**
   * Erases all sessions, unfinished handshakes, and randomness that was drawn in advance. Call it
   * before and after suspend, and in a virtual machine that may be a copy of another (kernel
   * device.c, wg_pm_notification, wg_vm_notification). The next packet begins a handshake.
   * @param renew whether peers whose session was alive get a handshake at once, so that what they
   * send is lost only until then; false before suspend
   */
  forgetSessions(now: number, renew = true): void {
    forgetSessions(this.#device, now, renew);
  }

  /**
   * Returns the whole state, for an engine that goes on instead of this one, perhaps in another
   * process. From then on this engine seals and opens nothing, has no deadline, and counts what
   * arrives as `frozen`. Then call {@link Engine.close}, or {@link Engine.thaw} if the state was
   * never used. The state contains all keys: erase it with {@link eraseEngineState}.
   * @throws Error if output was not drained, or the engine is frozen
   */
  freeze(): EngineState {
    this.#refuseFrozen();
    if (!this.#device.output.empty) throw new Error('drain the output before freeze()');
    const state = freezeDevice(this.#device, this.#handshakes, this.#outbound);
    this.#frozen = true;
    return state;
  }

  /**
   * Takes everything back after freeze() and goes on as if nothing had happened. Only if no other
   * engine has used the state or ever will: two engines that seal under one key repeat nonces.
   * @throws Error if the engine is not frozen
   */
  thaw(): void {
    if (!this.#frozen) throw new Error('the engine is not frozen');
    this.#frozen = false;
  }

  /** Removes all peers and the private key, and erases all keys, also of a frozen engine. */
  close(): void {
    this.#frozen = false;
    this.down();
    for (const peer of [...this.#device.eachPeer()]) this.#device.removePeer(peer);
    this.#device.setIdentity(undefined);
  }

  #restore(state: FullEngineState): void {
    try {
      restoreDevice(this.#device, this.#handshakes, this.#outbound, state);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Counts the rest of a batch as dropped. */
  #drop(batch: DatagramBatch | PacketBatch, from: number): number {
    this.#device.counters[this.#frozen ? 'frozen' : 'deviceDown'] += batch.count - from;
    return batch.count;
  }

  #refuseFrozen(): void {
    if (this.#frozen) throw new Error('the engine is frozen: call thaw() or close() first');
  }
}

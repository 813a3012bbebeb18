/**
 * A WireGuard device without sockets, clock or root: the whole protocol as one state machine.
 *
 * Inputs: up, down, configure, receive (datagrams), send (packets from the TUN), timeout. Each says what time it is:
 * milliseconds since boot, suspend counted, never going back. After every input drain, in this order: `transmits` to the network,
 * `deliveries` and `locals` to the TUN, `events`; then call drained(). Then nextDeadline() says when to call timeout() at the
 * latest. The same inputs with the same random bytes give the same outputs. Nothing that the network sends throws.
 */
import { ENDPOINT_HAS_LOCAL, ENDPOINT_SIZE } from '../base/endpoint.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import type { DatagramBatch, PacketBatch } from '../packet/batch.ts';
import { configure, status } from './configure.ts';
import type { Counters } from './counters.ts';
import { Device, type DeviceOptions } from './device.ts';
import { HandshakeQueue } from './handshake-queue.ts';
import { Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';
import type { EngineEvent } from './output.ts';
import { TIMER_PERSISTENT_KEEPALIVE } from './peer-timers.ts';
import { Sender } from './sender.ts';
import { TimerActions } from './timer-actions.ts';

/** IP knows no larger packets, jumbograms aside. */
const LARGEST_MTU = 65_535;
/** Handshakes worked on in one timeout: about 3 ms of X25519. */
const HANDSHAKES_PER_TURN = 32;
/**
 * So few are worked on by the input that brings them. More wait for the next timeout, which is due at once: a socket gives its datagrams
 * in small batches, and if each batch were worked off before the next is taken, no flood would ever show as a queue, and be load.
 */
const HANDSHAKES_AT_ONCE = 4;

export class Engine {
  readonly #device: Device;
  readonly #sender: Sender;
  readonly #handshakes: HandshakeQueue;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #timers: TimerActions;

  constructor(options: DeviceOptions) {
    const device = new Device(options);
    this.#device = device;
    this.#sender = new Sender(device);
    this.#handshakes = new HandshakeQueue(device, this.#sender);
    this.#inbound = new Inbound(device, this.#sender, this.#handshakes);
    this.#outbound = new Outbound(device, this.#sender);
    this.#timers = new TimerActions(device, this.#sender);
  }

  /** The device may talk from now on. Idempotent. */
  up(now: number): void {
    const device = this.#device;
    if (device.running) return;
    device.running = true;
    for (const peer of device.eachPeer())
      if (peer.timers.persistentKeepalive > 0) peer.timers.set(TIMER_PERSISTENT_KEEPALIVE, now);
  }

  /** Forgets all sessions and falls silent; the configuration stays. Idempotent. */
  down(): void {
    const device = this.#device;
    if (!device.running) return;
    device.running = false;
    this.#handshakes.clear();
    for (const peer of device.eachPeer()) {
      device.forgetSessions(peer);
      peer.staged.clear();
      peer.timers.clearAll();
      peer.lastSentHandshake = Number.NEGATIVE_INFINITY;
      peer.handshakeAttempts = 0;
    }
  }

  get running(): boolean {
    return this.#device.running;
  }

  /** MTU of the interface, for padding. What is no MTU that a device can have counts as unknown: padding to 16 bytes. */
  set mtu(mtu: number) {
    this.#device.mtu = Number.isInteger(mtu) && mtu > 0 && mtu <= LARGEST_MTU ? mtu : 0;
  }

  /** Applies a configuration, all of it, leaving sessions alive. `listenPort` and `fwmark` are the caller's. */
  configure(config: DeviceConfig, now: number): void {
    configure(this.#device, config, now);
  }

  /** Everything but `listenPort` and `fwmark`. A copy. */
  status(): Omit<DeviceStatus, 'listenPort' | 'fwmark'> {
    return status(this.#device);
  }

  /** Named counters of drops and a few other things. Live: read, do not write. */
  get counters(): Readonly<Counters> {
    return this.#device.counters;
  }

  /**
   * Takes datagrams from number `from` on. They are decrypted in place, and `deliveries` points into the same slab.
   * @returns the first that was not taken, for want of room: drain, and call again from there. batch.count when all were
   */
  receive(batch: DatagramBatch, from: number, now: number): number {
    if (!this.#device.running) {
      this.#device.counters.deviceDown += batch.count - from;
      return batch.count;
    }
    const taken = this.#inbound.receive(batch, from, now);
    if (this.#handshakes.length <= HANDSHAKES_AT_ONCE) this.#handshakes.process(HANDSHAKES_AT_ONCE, now);
    return taken;
  }

  /** Takes packets from the TUN, from number `from` on. @returns as receive() */
  send(batch: PacketBatch, from: number, now: number): number {
    if (!this.#device.running) {
      this.#device.counters.deviceDown += batch.count - from;
      return batch.count;
    }
    return this.#outbound.send(batch, from, now);
  }

  /** Does what time has made due. */
  timeout(now: number): void {
    if (!this.#device.running) return;
    this.#handshakes.process(HANDSHAKES_PER_TURN, now);
    this.#timers.run(now);
  }

  /** When timeout() must be called at the latest; 0 for at once, Infinity for no need. */
  nextDeadline(): number {
    if (!this.#device.running) return Number.POSITIVE_INFINITY;
    return this.#handshakes.length > 0 ? 0 : this.#timers.next;
  }

  /** Datagrams to be sent. DATAGRAM_ERROR may be written by whoever sends them. */
  get transmits(): DatagramBatch {
    return this.#device.output.transmits;
  }

  /** Packets for the TUN. */
  get deliveries(): PacketBatch {
    return this.#device.output.deliveries;
  }

  /** Packets that the engine wrote for the local host. */
  get locals(): PacketBatch {
    return this.#device.output.locals;
  }

  get events(): readonly EngineEvent[] {
    return this.#device.output.events;
  }

  /**
   * All output was taken. Where the sender found a local address that is no longer ours (it marks ENDPOINT_HAS_LOCAL with 0xff),
   * the peer's is forgotten.
   */
  drained(): void {
    const { output } = this.#device;
    const { transmits, transmitPeers } = output;
    for (let i = 0; i < transmits.count; i++)
      if (transmits.endpoints[i * ENDPOINT_SIZE + ENDPOINT_HAS_LOCAL] === 0xff) transmitPeers[i]?.clearSource();
    output.clear();
  }

  /** The local addresses of all peers may have changed: let routing choose anew. */
  routesChanged(): void {
    for (const peer of this.#device.eachPeer()) peer.clearSource();
  }

  /** Forgets every key: the machine slept, or is a copy of another (kernel device.c, wg_pm_notification). */
  forgetSessions(): void {
    for (const peer of this.#device.eachPeer()) this.#device.forgetSessions(peer);
  }

  /** Removes all peers and the private key, and erases all keys. */
  close(): void {
    this.down();
    for (const peer of [...this.#device.eachPeer()]) this.#device.removePeer(peer);
    this.#device.setIdentity(undefined);
  }
}

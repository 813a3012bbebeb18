/**
 * The interfaces through which the daemon uses the outside world. The addon, node:dgram and
 * in-memory twins implement them; each implementation passes the contract suite in test/contract.
 * No method throws when the network fails: error numbers and counters report the failure.
 */
import type { DatagramBatch, PacketBatch } from '../packet/batch.ts';

/** The state of a TUN device's interface. */
export interface TunStatus {
  /** Whether the interface is up. */
  readonly up: boolean;
  /** MTU in bytes. */
  readonly mtu: number;
  /** The interface's current name; it may have been renamed. */
  readonly name: string;
  /**
   * Whether the interface is in a network namespace that this process may not enter: `mtu` is then
   * the last one seen. Absent if the adapter knows no namespaces.
   */
  readonly isHidden?: boolean;
}

/**
 * Called when there may be something to read. `waited` is the total of milliseconds that this
 * thread's event loop has spent waiting for events since it started; while it waits, nothing can be
 * read. Absent if the adapter does not know it.
 *
 * What it returns may save an adapter work: WAKE_DONE or WAKE_LONE.
 */
export type Wake = (waited?: number) => unknown;

/**
 * What a {@link Wake} returns if it left nothing to run after it, neither a promise nor a
 * `process.nextTick`.
 */
export const WAKE_DONE = 1;
/** The same, and there was no more than one small packet: the next one may follow soon. */
export const WAKE_LONE = 2;

/**
 * A device from which IP packets are read and to which they are written, in batches ({@link
 * PacketBatch}).
 */
export interface Tun {
  /**
   * Fills the batch with waiting packets, at most `most`, from the start of its slab. Never blocks.
   * @returns the number of packets (also in batch.count); 0 when no packet waits; -1 when the
   * device is gone for good
   */
  read(batch: PacketBatch, most?: number): number;
  /**
   * Writes every packet, merged where the device supports that. Packets that the kernel refuses
   * (device down, queue full) are dropped and counted.
   * @returns how many packets were dropped, or -1 when the device is gone
   */
  write(batch: PacketBatch): number;
  /** Returns the interface's state, or undefined when the device is gone. */
  status(): TunStatus | undefined;
  /** Calls back whenever there may be something to read, until closed. Level triggered. */
  onReadable(callback: Wake): void;
  /**
   * Calls back when status() may have changed. Adapters that get no notice call at least once a
   * second.
   */
  onStatus(callback: () => void): void;
  /**
   * Whether the device existed before it was opened, without a process. Absent if the adapter has
   * no persistent devices.
   */
  readonly wasPersistent?: boolean;
  /**
   * Decides whether the device stays when its descriptor is closed, or its process dies. Absent if
   * the adapter has no persistent devices.
   * @throws Error with `code` EBADFD if the device is gone
   */
  persist?(on: boolean): void;
  /**
   * Ends the callbacks of onReadable and onStatus. What arrives waits in the device's queue, and
   * onReadable goes on with it. A device without it cannot be handed over.
   */
  pause?(): void;
  /**
   * Returns what another process needs to go on with the open device. Absent if the device cannot
   * leave this process.
   */
  given?(): GivenTun;
  /** The offloads that the kernel granted, for people: e.g. ['csum', 'tso4', 'tso6', 'uso']. */
  readonly offloads: readonly string[];
  /** Named counters that only grow. */
  counters(): Readonly<Record<string, number>>;
  /** Closes the device. Idempotent. */
  close(): void;
}

/** An open TUN device for another process. */
export interface GivenTun {
  /** Its descriptor, which the Tun keeps owning. */
  readonly descriptor: number;
  /** What this process knows of the device, for the next one. */
  readonly kept: Int32Array;
}

/** A pair of UDP sockets, IPv4 and IPv6, on one port. */
export interface Udp {
  /** The port in use. */
  readonly port: number;
  /**
   * Fills the batch with waiting datagrams, at most `most` descriptors. Leaves the handshakes that
   * receiveHandshakes() returns. Never blocks.
   * @returns how many (also in batch.count)
   */
  receive(batch: DatagramBatch, most?: number): number;
  /**
   * Does the same as receive() for handshake messages. They have a separate queue, so that a flood
   * of them neither delays nor displaces transport data. If the system offers no second queue, this
   * one is always empty, and handshakes arrive by receive().
   */
  receiveHandshakes(batch: DatagramBatch): number;
  /**
   * Sends every datagram, from the endpoint's local address if it has one. Where UDP_SEGMENT fails,
   * sends without it. DATAGRAM_ERROR holds the errno of each datagram that could not be sent, and 0
   * for the others. Waits only briefly for a full socket buffer.
   * @returns how many had an error
   */
  send(batch: DatagramBatch): number;
  /**
   * Sets the firewall mark (SO_MARK); 0 removes it.
   * @throws Error with `code` when the system refuses
   */
  setMark(mark: number): void;
  /** Calls back whenever receive() may have something, until closed. Level triggered. */
  onReadable(callback: Wake): void;
  /** Calls back whenever receiveHandshakes() may have something, until closed. */
  onHandshakes(callback: () => void): void;
  /**
   * Calls back when addresses or routes have changed: the local address of an endpoint may be
   * wrong.
   */
  onRoutesChanged(callback: () => void): void;
  /**
   * Reports that the path to a peer may have changed, so that an offload that was refused too often
   * may be tried again.
   */
  networkChanged?(): void;
  /**
   * Limits the bytes that each socket may hold in each direction, where memory is short. An adapter
   * may have less.
   */
  setBuffers?(bytes: number): void;
  /**
   * Ends the callbacks of onReadable, onHandshakes and onRoutesChanged. What arrives waits in the
   * queues, and these methods go on with it. Sockets without it cannot be handed over.
   */
  pause?(): void;
  /**
   * Returns the descriptors of the open sockets for another process: IPv4, IPv6, and their sockets
   * for handshakes; -1 for none. The Udp keeps owning them. Absent if the sockets cannot leave this
   * process.
   */
  given?(): Int32Array;
  /** The offloads that the kernel granted, for people. */
  readonly offloads: readonly string[];
  /** Named counters that only grow. */
  counters(): Readonly<Record<string, number>>;
  /** Closes the sockets. Idempotent. */
  close(): void;
}

/**
 * Opens the UDP sockets on a port (0: the system chooses) with a firewall mark (0: none). Throws an
 * Error with `code` (EADDRINUSE, EACCES, ...) whose message names the port.
 */
export type OpenUdp = (port: number, mark: number) => Udp;

/** The two clocks that a device needs. */
export interface Clock {
  /** Returns the milliseconds since boot, including suspend (CLOCK_BOOTTIME), with a fraction. */
  now(): number;
  /** Returns Unix time in nanoseconds. */
  wall(): bigint;
  /**
   * Returns for how many milliseconds the machine was suspended between the making of this clock
   * and the last now(). If absent, a suspend is not noticed.
   */
  suspended?(): number;
  /**
   * Returns by how many milliseconds the wall clock was set, and not only slewed, between the
   * making of this clock and the last now(); negative if backward.
   */
  stepped?(): number;
  /**
   * Returns how often this virtual machine was copied or restored from a snapshot since the making
   * of this clock, as far as the kernel tells. If absent, that is not noticed.
   * @param now the last result of now(), which may save a look; if absent, looks
   */
  copies?(now?: number): number;
  /**
   * Calls back soon after each resume from suspend, after the wall clock was set, and in a copied
   * machine.
   * @returns a function that ends that
   */
  onDisturbed?(callback: () => void): () => void;
}

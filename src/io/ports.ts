/**
 * What the daemon needs from the world, as types only. Adapters: native (the addon), node:dgram, and in-memory twins; each
 * passes the contract suite in test/contract. No method throws for what the network did; errors are numbers and counters.
 */
import type { DatagramBatch, PacketBatch } from '../packet/batch.ts';

/** The state of a TUN device's interface. */
export interface TunStatus {
  /** Whether the interface is up. */
  readonly up: boolean;
  /** MTU in bytes. */
  readonly mtu: number;
  /** The interface's name now; it may have been renamed. */
  readonly name: string;
}

/**
 * Called when there may be something to read. `waited` is the total of milliseconds that this
 * thread's event loop has waited for events since its start; while it waits, nothing can be read.
 * Absent where the adapter does not know it.
 */
export type Wake = (waited?: number) => void;

/** A device that IP packets are read from and written to, in batches ({@link PacketBatch}). */
export interface Tun {
  /**
   * Fills the batch with waiting packets, `most` at most, from the start of its slab. Never blocks.
   * @returns the number of packets (also in batch.count); 0 when none wait; -1 when the device is gone for good.
   */
  read(batch: PacketBatch, most?: number): number;
  /**
   * Writes every packet, merged where the device can take that. Packets that the kernel refuses (device down, queue full)
   * are dropped and counted.
   * @returns how many packets were dropped, or -1 when the device is gone.
   */
  write(batch: PacketBatch): number;
  /** Returns the interface's state, or undefined when the device is gone. */
  status(): TunStatus | undefined;
  /** Calls back whenever there may be something to read, until closed. Level triggered. */
  onReadable(callback: Wake): void;
  /** Calls back when status() may have changed; adapters without a notice call at least once a second. */
  onStatus(callback: () => void): void;
  /** What the kernel granted, for people: e.g. ['csum', 'tso4', 'tso6', 'uso']. */
  readonly offloads: readonly string[];
  /** Named counters that only grow. */
  counters(): Readonly<Record<string, number>>;
  /** Closes the device. Idempotent. */
  close(): void;
}

/** A pair of UDP sockets, IPv4 and IPv6, on one port. */
export interface Udp {
  /** The port in use. */
  readonly port: number;
  /**
   * Fills the batch with waiting datagrams, `most` descriptors at most, except those that receiveHandshakes() gives. Never blocks.
   * @returns how many (also in batch.count).
   */
  receive(batch: DatagramBatch, most?: number): number;
  /**
   * As receive(), for the queue of handshake messages. They wait apart, so that no flood of them delays or displaces transport data.
   * Always empty where the system offers no second queue; then they come with receive().
   */
  receiveHandshakes(batch: DatagramBatch): number;
  /**
   * Sends every datagram, without UDP_SEGMENT where that fails, with the local part of the endpoint where it has one. What could
   * not be sent has its errno in DATAGRAM_ERROR, everything else 0 there. A full socket buffer is waited for only briefly.
   * @returns how many had an error.
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
  /** Calls back when addresses or routes changed: a local address kept with an endpoint may no longer be the right one. */
  onRoutesChanged(callback: () => void): void;
  /**
   * Reports that the path to a peer may be another, so an offload that was refused too often may be
   * tried again.
   */
  networkChanged?(): void;
  /** What the kernel granted, for people. */
  readonly offloads: readonly string[];
  /** Named counters that only grow. */
  counters(): Readonly<Record<string, number>>;
  /** Closes the sockets. Idempotent. */
  close(): void;
}

/**
 * Opens the UDP sockets on a port (0: the system chooses) with a firewall mark (0: none). Throws an
 * Error with `code` (EADDRINUSE, EACCES, ...) that names the port.
 */
export type OpenUdp = (port: number, mark: number) => Udp;

/** The two clocks that a device needs. */
export interface Clock {
  /** Returns milliseconds since boot with suspend counted (CLOCK_BOOTTIME), with a fraction. */
  now(): number;
  /** Returns Unix time in nanoseconds. */
  wall(): bigint;
}

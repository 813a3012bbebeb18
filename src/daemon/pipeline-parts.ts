/** What a pipeline (pipeline.ts) needs, and what it has lent. */
import type { Lanes } from '../io/lanes.ts';
import type { Tun } from '../io/ports.ts';
import type { DatagramBatch, PacketBatch } from '../packet/batch.ts';
import type { Engine } from '../protocol/engine.ts';
import type { Incoming } from '../protocol/incoming.ts';
import type { Outgoing } from '../protocol/outgoing.ts';
import type { Deliveries } from '../protocol/output.ts';
import type { TransportCipher } from '../protocol/transport-cipher.ts';

/** Lent to be sealed and sent. */
export interface Sealed {
  readonly outgoing: Outgoing;
  /** The slab that comes back with it. */
  packets: PacketBatch | undefined;
}

/** Lent to be opened. */
export interface Opened {
  readonly datagrams: DatagramBatch;
  readonly incoming: Incoming;
}

/** Lent to be written. */
export interface Written {
  readonly deliveries: Deliveries;
  /** The slab that comes back with it. */
  datagrams: DatagramBatch | undefined;
}

/** What could not be sent or written. */
export interface Losses {
  /** Datagrams that could not be sent. */
  sendErrors: number;
  /** Packets that the TUN did not take. */
  tunDropped: number;
}

/** The threads of a device. */
export interface ThreadCount {
  /** How many may share its work. */
  readonly most: number;
  /** How many share it now. */
  readonly now: number;
  /** How often others began to. */
  readonly begun: number;
}

/** Makes lanes with the keys of a cipher; undefined for a device with one thread. */
export type MakeLanes = (cipher: TransportCipher) => Lanes | undefined;

export interface PipelineOptions {
  readonly engine: Engine;
  readonly tun: Tun;
  readonly losses: Losses;
  readonly makeLanes?: MakeLanes | undefined;
  /** Whether to share all work, for tests; otherwise as {@link ThreadChoice} says. */
  readonly shareAlways?: boolean | undefined;
  /** Called when lanes have opened a batch while the loop waited. */
  readonly onOpened: () => void;
  /** Called when the engine has output. */
  readonly drain: () => void;
}

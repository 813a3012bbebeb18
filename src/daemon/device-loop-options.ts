/** The parts that a device loop connects: the engine, and the outside world. */
import type { Clock, OpenUdp, Tun, Udp } from '../io/ports.ts';
import type { Engine } from '../protocol/engine.ts';
import type { LoopState } from './device-state.ts';
import type { Log } from './log.ts';
import type { MakeLanes } from './pipeline-parts.ts';

/** The parts that a {@link DeviceLoop} connects. */
export interface DeviceLoopOptions {
  /** The protocol. */
  readonly engine: Engine;
  /** The source and destination of IP packets. */
  readonly tun: Tun;
  /** Opens the sockets whenever the interface comes up or the port changes. */
  readonly openUdp: OpenUdp;
  /** The engine's clock. */
  readonly clock: Clock;
  /** Receives messages for people. */
  readonly log: Log;
  /**
   * Makes the threads that share the work of the device; if absent, one thread does all of it.
   * @internal
   */
  readonly makeLanes?: MakeLanes;
  /** Whether to share all work with them, for tests; otherwise when a core is full. @internal */
  readonly shareAlways?: boolean;
  /** Called once after the interface was deleted and the loop has closed itself. */
  readonly onGone: () => void;
  /**
   * What the loop of another process left, if this one goes on with its device.
   * @internal
   */
  readonly taken?: TakenLoop;
}

/** The end of a loop in another process. */
interface TakenLoop {
  readonly state: LoopState;
  /** Its open sockets; absent if the interface was down. */
  readonly udp?: Udp;
}

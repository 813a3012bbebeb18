/** What a device loop is given: the engine, and the world that it joins the engine to. */
import type { Clock, OpenUdp, Tun } from '../io/ports.ts';
import type { Engine } from '../protocol/engine.ts';
import type { Log } from './log.ts';

/** What a DeviceLoop joins. */
export interface DeviceLoopOptions {
  /** The protocol. */
  readonly engine: Engine;
  /** Where IP packets come from and go to. */
  readonly tun: Tun;
  /** Opens the sockets whenever the interface comes up or the port changes. */
  readonly openUdp: OpenUdp;
  /** Time for the engine. */
  readonly clock: Clock;
  /** Receives messages for people. */
  readonly log: Log;
  /** Called once when the interface was deleted. The loop has closed itself. */
  readonly onGone: () => void;
}

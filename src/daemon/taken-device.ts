/** Builds a device from the state and the descriptors that another process sent. */
import { closeSync } from 'node:fs';
import type { Clock, Tun } from '../io/ports.ts';
import type { DeviceOptions } from '../protocol/device.ts';
import { Engine } from '../protocol/engine.ts';
import type { DaemonBackend } from './backend.ts';
import { DeviceLoop } from './device-loop.ts';
import type { DeviceParts } from './device-parts.ts';
import { type DeviceState, decodeDeviceState, type LoopState } from './device-state.ts';
import type { Log } from './log.ts';

export interface TakenParts {
  readonly backend: DaemonBackend;
  readonly engineOptions: DeviceOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly onGone: () => void;
  readonly sharing?: DeviceParts['sharing'];
}

export class TakenDevice {
  readonly tun: Tun;
  readonly loop: DeviceLoop;
  readonly control: DeviceState['control'];
  /** Whether one of our processes created the link. */
  readonly isOurs: boolean;
  /** When the other process stopped reading. */
  readonly frozenAt: number;
  /** The listening control socket. */
  readonly controlFd: number;

  /**
   * Builds the device, which reads nothing yet.
   * @param descriptors owned by the device, or closed after an error
   * @throws Error that names what is wrong
   */
  constructor(parts: TakenParts, bytes: Uint8Array, descriptors: readonly number[]) {
    const { backend, engineOptions, clock, log, onGone, sharing } = parts;
    /** What still has no owner. */
    const open = new Set(descriptors);
    const opened: { close(): void }[] = [];
    try {
      const { adopt } = backend;
      if (!adopt) throw new Error(`the code of this process (${backend.description}) cannot take over open devices`);
      const state = decodeDeviceState(bytes);
      const [controlFd, tunFd, ...udpFds] = descriptors;
      if (controlFd === undefined || tunFd === undefined) throw new Error('descriptors are missing');
      const sockets = placed(state.loop, udpFds);
      const engine = new Engine(engineOptions, state.engine);
      opened.push(engine);
      const udp = sockets && adopt.udp(sockets);
      for (const fd of udpFds) open.delete(fd);
      if (udp) opened.push(udp);
      this.tun = adopt.tun({ descriptor: tunFd, kept: Int32Array.from(state.loop.tun) });
      open.delete(tunFd);
      opened.push(this.tun);
      const taken = { state: state.loop, ...(udp && { udp }) };
      this.loop = new DeviceLoop({
        engine,
        tun: this.tun,
        openUdp: backend.openUdp,
        clock,
        log,
        onGone,
        taken,
        ...sharing,
      });
      this.control = state.control;
      this.isOurs = state.isOurs;
      this.frozenAt = state.frozenAt;
      this.controlFd = controlFd;
    } catch (error) {
      for (const each of opened) each.close();
      for (const fd of open) closeSync(fd);
      throw error;
    }
  }

  /** Closes everything. The interface stays, because the other process has it too. */
  discard(): void {
    this.loop.close();
    closeSync(this.controlFd);
  }

  /** Runs the device. @param hasSessions false to drop the sessions and make new ones */
  goLive(hasSessions: boolean): void {
    if (hasSessions) this.loop.start();
    else this.loop.renewSessions();
  }
}

/** Returns the UDP sockets in their four places; undefined without sockets. */
function placed({ sockets }: LoopState, descriptors: readonly number[]): Int32Array | undefined {
  const left = [...descriptors];
  const places = Int32Array.from(sockets, isOpen => (isOpen ? (left.shift() ?? -1) : -1));
  if (left.length > 0 || sockets.some((isOpen, place) => isOpen !== places[place]! >= 0))
    throw new Error(`the state names ${sockets.filter(Boolean).length} UDP sockets, and ${descriptors.length} came`);
  return descriptors.length > 0 ? places : undefined;
}

/**
 * A running device as a hand-over sees it: its loop, its control socket and its settings together.
 */

import { type DeviceConfig, eraseConfig, eraseStatus } from '../config/model.ts';
import { configOfStatus } from '../config/status-config.ts';
import type { Engine } from '../protocol/engine.ts';
import { eraseEngineState } from '../protocol/engine-state.ts';
import type { DeviceLoop } from './device-loop.ts';
import { encodeDeviceState } from './device-state.ts';
import type { GivenDevice } from './hand-over-device.ts';
import type { KeptLink } from './kept-link.ts';
import type { UapiServer } from './uapi-server.ts';

export interface RunningDeviceOptions {
  readonly loop: DeviceLoop;
  readonly link: KeptLink;
  readonly server: UapiServer;
  /** Returns milliseconds since boot. */
  readonly now: () => number;
  /** Makes an engine with the options of the device's own. */
  readonly makeEngine: () => Engine;
  readonly rehearse: () => void;
  /** Called when the other process runs the device. */
  readonly onFinished: (successor: string) => void;
}

/** How long clients of the control socket may delay a hand-over. */
const SETTLE_LIMIT_MS = 1000;
/** Milliseconds until the control socket is tried again. */
const RESUME_REST_MS = 1000;

export class RunningDevice implements GivenDevice {
  readonly #options: RunningDeviceOptions;
  /** All settings, while the engine is frozen or closed. */
  #config: DeviceConfig | undefined;
  /** Whether freeze() of the loop was called, even if it threw. */
  #isLoopStopped = false;
  #resuming: NodeJS.Timeout | undefined;

  constructor(options: RunningDeviceOptions) {
    this.#options = options;
  }

  get boundBy(): string | undefined {
    return this.#options.loop.boundBy;
  }

  rehearse(): void {
    this.#options.rehearse();
  }

  settle(): Promise<void> {
    return this.#options.server.settle(SETTLE_LIMIT_MS);
  }

  freeze(): { readonly state: Uint8Array; readonly descriptors: readonly number[] } {
    const { loop, link, server, now } = this.#options;
    clearTimeout(this.#resuming);
    const frozenAt = now();
    server.pause();
    const status = loop.status();
    this.#config = configOfStatus(status);
    eraseStatus(status);
    const { descriptor, ...control } = server.given;
    this.#isLoopStopped = true;
    const { state, descriptors } = loop.freeze();
    try {
      return {
        state: encodeDeviceState({ ...state, control, isOurs: link.isOurs, frozenAt }),
        descriptors: [descriptor, ...descriptors],
      };
    } finally {
      eraseEngineState(state.engine);
    }
  }

  thaw(): void {
    this.#eraseConfig();
    if (this.#isLoopStopped) this.#options.loop.thaw();
    this.#isLoopStopped = false;
    this.#serveAgain();
  }

  eraseKeys(): void {
    this.#options.loop.eraseKeys();
  }

  restart(): void {
    const { loop, makeEngine } = this.#options;
    loop.restart(makeEngine(), this.#config!);
    this.#isLoopStopped = false;
    this.#eraseConfig();
    this.#serveAgain();
  }

  finish(successor: string): void {
    clearTimeout(this.#resuming);
    this.#eraseConfig();
    this.#options.onFinished(successor);
  }

  /**
   * The socket is already bound, so only a lack of descriptors can make this fail, and that passes.
   * Until then clients wait: without the socket, no program could find the device any more.
   */
  #serveAgain(): void {
    const again = () => {
      this.#resuming = setTimeout(() => this.#serveAgain(), RESUME_REST_MS).unref();
    };
    void this.#options.server.resume().catch(again);
  }

  #eraseConfig(): void {
    if (this.#config) eraseConfig(this.#config);
    this.#config = undefined;
  }
}

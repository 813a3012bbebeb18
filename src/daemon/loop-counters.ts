/** The counters of a device beside its engine's, which a hand-over carries to the next process. */
import type { Tun } from '../io/ports.ts';
import { prefixed, sumOf, unprefixed } from './counter-names.ts';
import type { DeviceSockets } from './device-sockets.ts';
import type { Losses, ThreadCount } from './pipeline-parts.ts';
import type { SessionGuard } from './session-guard.ts';

interface Counted {
  readonly tun: Tun;
  readonly sockets: DeviceSockets;
  readonly guard: SessionGuard;
  readonly pump: { readonly losses: Losses; readonly threads: ThreadCount };
}

export class LoopCounters {
  readonly #counted: Counted;
  readonly #tunBefore: Readonly<Record<string, number>>;
  readonly #forgottenBefore: Readonly<Record<string, number>>;

  /** @param before the counters of earlier processes, by name */
  constructor(counted: Counted, before: Readonly<Record<string, number>>) {
    this.#counted = counted;
    this.#tunBefore = unprefixed('tun', before);
    this.#forgottenBefore = unprefixed('forgotten', before);
    counted.pump.losses.sendErrors = before['sendErrors'] ?? 0;
    counted.pump.losses.tunDropped = before['tunDropped'] ?? 0;
  }

  /** Returns all by name. Those of the parts have a prefix. */
  read(): Record<string, number> {
    const { tun, sockets, guard, pump } = this.#counted;
    return {
      ...pump.losses,
      ...prefixed('threads', { ...pump.threads }),
      ...prefixed('forgotten', sumOf(this.#forgottenBefore, guard.counters())),
      ...prefixed('udp', sockets.counters()),
      ...prefixed('tun', sumOf(this.#tunBefore, tun.counters())),
    };
  }
}

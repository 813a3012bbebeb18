/** Acts on expired timers of peers (kernel timers.c, the wg_expired_* functions). */
import { MAX_TIMER_HANDSHAKES } from './constants.ts';
import type { Device } from './device.ts';
import type { Peer } from './peer.ts';
import {
  TIMER_FLUSH_STAGED,
  TIMER_NEW_HANDSHAKE,
  TIMER_PERSISTENT_KEEPALIVE,
  TIMER_RETRANSMIT_HANDSHAKE,
  TIMER_SEND_KEEPALIVE,
  TIMER_ZERO_KEY,
} from './peer-timers.ts';
import type { Sender } from './sender.ts';

export class TimerActions {
  readonly #device: Device;
  readonly #sender: Sender;

  constructor(device: Device, sender: Sender) {
    this.#device = device;
    this.#sender = sender;
  }

  /** The next time at which a timer may be due, or Infinity. */
  get next(): number {
    return this.#device.deadlines.earliest;
  }

  /** Runs all due timers while there is room for their messages. */
  run(now: number): void {
    const { deadlines, output } = this.#device;
    while (deadlines.earliest <= now && output.hasControlRoom()) {
      const at = deadlines.earliest;
      const peer = deadlines.pop()!;
      // an earlier entry has superseded this one
      if (peer.removed || at !== peer.scheduledAt) continue;
      peer.scheduledAt = Number.POSITIVE_INFINITY;
      while (output.hasControlRoom()) {
        const timer = peer.timers.due(now);
        if (timer < 0) break;
        this.#expired(peer, timer, now);
        if (timer === TIMER_FLUSH_STAGED) break;
      }
      const earliest = peer.timers.earliest;
      if (earliest !== Number.POSITIVE_INFINITY) this.#device.schedule(peer, earliest);
      // flushing filled the output and is due again: stop until the output is drained, or this loop
      // would never end
      if (peer.timers.pending(TIMER_FLUSH_STAGED)) return;
    }
  }

  #expired(peer: Peer, timer: number, now: number): void {
    switch (timer) {
      case TIMER_RETRANSMIT_HANDSHAKE:
        this.#retransmit(peer, now);
        break;
      case TIMER_SEND_KEEPALIVE:
        this.#sender.keepalive(peer, now);
        peer.timers.keepaliveFired(now);
        break;
      case TIMER_NEW_HANDSHAKE:
        peer.clearSource();
        this.#sender.initiate(peer, now);
        break;
      case TIMER_ZERO_KEY:
        this.#device.forgetSessions(peer);
        this.#device.output.event('keys-erased', peer);
        break;
      case TIMER_PERSISTENT_KEEPALIVE:
        if (peer.timers.persistentKeepalive > 0) this.#sender.keepalive(peer, now);
        break;
      case TIMER_FLUSH_STAGED:
        this.#sender.flush(peer, now);
        break;
    }
  }

  #retransmit(peer: Peer, now: number): void {
    if (peer.handshakeAttempts > MAX_TIMER_HANDSHAKES) {
      this.#device.counters.stagedExpired += peer.staged.clear();
      peer.timers.handshakeGivenUp(now);
      this.#device.output.event('handshake-given-up', peer);
      return;
    }
    peer.handshakeAttempts++;
    // the local address may have changed: let routing choose it
    peer.clearSource();
    this.#sender.initiate(peer, now, true);
  }
}

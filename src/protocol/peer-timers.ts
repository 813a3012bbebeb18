/**
 * The timers of a peer (whitepaper section 6; kernel timers.c): a table of deadlines, and one
 * method per event that changes them. Nothing here acts: timer-actions.ts polls `due` and acts.
 *
 *   retransmitHandshake   an initiation was not answered: send another, or give up after 90 s
 *   sendKeepalive         data was received and nothing sent for 10 s: confirm that we are alive
 *   newHandshake          data was sent and nothing received for 15 s: the session may be dead
 *   zeroKey               no new session for 540 s: erase all keys
 *   persistentKeepalive   nothing was sent or received for the configured interval
 *   flushStaged           some staged packets did not fit into the output: send more
 */
import { KEEPALIVE_TIMEOUT, REKEY_TIMEOUT, REKEY_TIMEOUT_JITTER, ZERO_KEY_TIME } from './constants.ts';
import type { PeerState } from './engine-state.ts';

/**
 * Timers that are due together, as after suspend, fire in this order: old keys are erased before a
 * new handshake begins.
 */
export const TIMER_ZERO_KEY = 0;
export const TIMER_RETRANSMIT_HANDSHAKE = 1;
export const TIMER_SEND_KEEPALIVE = 2;
export const TIMER_NEW_HANDSHAKE = 3;
export const TIMER_PERSISTENT_KEEPALIVE = 4;
export const TIMER_FLUSH_STAGED = 5;
/** Number of timers of a peer. */
export const TIMERS = 6;
const NEVER = Number.POSITIVE_INFINITY;

export class PeerTimers {
  readonly #deadlines = new Float64Array(TIMERS).fill(NEVER);
  readonly #schedule: (at: number) => void;
  /** Returns a random number in [0, 1). */
  readonly #chance: () => number;
  #needAnotherKeepalive = false;
  /** Seconds; 0 is off. */
  persistentKeepalive = 0;

  /**
   * @param schedule is called with each deadline that may be earlier than all previous ones
   * @param chance returns a random number in [0, 1) for the jitter
   */
  constructor(schedule: (at: number) => void, chance: () => number) {
    this.#schedule = schedule;
    this.#chance = chance;
  }

  /** The earliest deadline, or Infinity. */
  get earliest(): number {
    let earliest = NEVER;
    for (let i = 0; i < TIMERS; i++) if (this.#deadlines[i]! < earliest) earliest = this.#deadlines[i]!;
    return earliest;
  }

  /** Removes one due timer from the table. @returns TIMER_*, or -1 */
  due(now: number): number {
    for (let i = 0; i < TIMERS; i++)
      if (this.#deadlines[i]! <= now) {
        this.#deadlines[i] = NEVER;
        return i;
      }
    return -1;
  }

  pending(timer: number): boolean {
    return this.#deadlines[timer]! !== NEVER;
  }

  set(timer: number, at: number): void {
    this.#deadlines[timer] = at;
    this.#schedule(at);
  }

  save(): Pick<PeerState, 'timers' | 'needAnotherKeepalive' | 'persistentKeepalive'> {
    return {
      timers: this.#deadlines.slice(),
      needAnotherKeepalive: this.#needAnotherKeepalive,
      persistentKeepalive: this.persistentKeepalive,
    };
  }

  /** Takes over the deadlines of other timers. The caller schedules the earliest one. */
  restore(state: Pick<PeerState, 'timers' | 'needAnotherKeepalive' | 'persistentKeepalive'>): void {
    this.#deadlines.set(state.timers);
    this.#needAnotherKeepalive = state.needAnotherKeepalive;
    this.persistentKeepalive = state.persistentKeepalive;
  }

  clearAll(): void {
    this.#deadlines.fill(NEVER);
    this.#needAnotherKeepalive = false;
  }

  dataSent(now: number): void {
    if (!this.pending(TIMER_NEW_HANDSHAKE))
      this.set(TIMER_NEW_HANDSHAKE, now + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + this.#jitter());
  }

  dataReceived(now: number): void {
    if (!this.pending(TIMER_SEND_KEEPALIVE)) this.set(TIMER_SEND_KEEPALIVE, now + KEEPALIVE_TIMEOUT);
    else this.#needAnotherKeepalive = true;
  }

  anyAuthenticatedPacketSent(): void {
    this.#deadlines[TIMER_SEND_KEEPALIVE] = NEVER;
  }

  anyAuthenticatedPacketReceived(): void {
    this.#deadlines[TIMER_NEW_HANDSHAKE] = NEVER;
  }

  /** Records an authenticated packet, sent or received. */
  anyAuthenticatedPacketTraversal(now: number): void {
    if (this.persistentKeepalive > 0) this.set(TIMER_PERSISTENT_KEEPALIVE, now + this.persistentKeepalive * 1000);
  }

  handshakeInitiated(now: number): void {
    this.set(TIMER_RETRANSMIT_HANDSHAKE, now + REKEY_TIMEOUT + this.#jitter());
  }

  handshakeComplete(): void {
    this.#deadlines[TIMER_RETRANSMIT_HANDSHAKE] = NEVER;
  }

  /** Records a new session. */
  sessionDerived(now: number): void {
    this.set(TIMER_ZERO_KEY, now + ZERO_KEY_TIME);
  }

  /**
   * Records that all sessions were erased before their time.
   * @param renew whether to begin a handshake soon: with many peers, not all at one instant
   */
  sessionsForgotten(now: number, renew: boolean): void {
    this.#deadlines[TIMER_ZERO_KEY] = NEVER;
    if (renew) this.set(TIMER_NEW_HANDSHAKE, now + this.#jitter());
  }

  /**
   * Records that a handshake was given up: existing keys are erased on schedule, and no keepalive
   * is due.
   */
  handshakeGivenUp(now: number): void {
    this.#deadlines[TIMER_SEND_KEEPALIVE] = NEVER;
    if (!this.pending(TIMER_ZERO_KEY)) this.set(TIMER_ZERO_KEY, now + ZERO_KEY_TIME);
  }

  /**
   * Records that the keepalive timer fired. If more data was received before it fired, sets it
   * again.
   */
  keepaliveFired(now: number): void {
    if (!this.#needAnotherKeepalive) return;
    this.#needAnotherKeepalive = false;
    this.set(TIMER_SEND_KEEPALIVE, now + KEEPALIVE_TIMEOUT);
  }

  #jitter(): number {
    return Math.floor(this.#chance() * (REKEY_TIMEOUT_JITTER + 1));
  }
}

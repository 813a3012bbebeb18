/**
 * The timers of a peer (whitepaper section 6; kernel timers.c): a table of deadlines, and one function for each thing that
 * happens. Nothing here acts: what is due is asked for with `due`, and engine code does it.
 *
 *   retransmitHandshake   an initiation was not answered: send another, or give up after 90 s
 *   sendKeepalive         data came and nothing went back for 10 s: say that we are here
 *   newHandshake          data went and nothing came back for 15 s: the session may be dead
 *   zeroKey               no new session for 540 s: erase all keys
 *   persistentKeepalive   nothing was sent or received for the configured interval
 *   flushStaged           staged packets could not all be sent at once; go on
 */
import { KEEPALIVE_TIMEOUT, REKEY_TIMEOUT, REKEY_TIMEOUT_JITTER, ZERO_KEY_TIME } from './constants.ts';

/** Timers that are due together, as after suspend, fire in this order: keys are erased before anything is begun with new ones. */
export const TIMER_ZERO_KEY = 0;
export const TIMER_RETRANSMIT_HANDSHAKE = 1;
export const TIMER_SEND_KEEPALIVE = 2;
export const TIMER_NEW_HANDSHAKE = 3;
export const TIMER_PERSISTENT_KEEPALIVE = 4;
export const TIMER_FLUSH_STAGED = 5;
const TIMERS = 6;
const NEVER = Number.POSITIVE_INFINITY;

export class PeerTimers {
  readonly #deadlines = new Float64Array(TIMERS).fill(NEVER);
  readonly #schedule: (at: number) => void;
  /** 0 .. 1 */
  readonly #chance: () => number;
  #needAnotherKeepalive = false;
  /** Seconds; 0 is off. */
  persistentKeepalive = 0;

  /**
   * @param schedule is told of each deadline that may be earlier than all before
   * @param chance a random number in [0, 1) for the jitter
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

  /** Takes one timer that is due out of the table. @returns TIMER_*, or -1 */
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

  /** Either way. */
  anyAuthenticatedPacketTraversal(now: number): void {
    if (this.persistentKeepalive > 0) this.set(TIMER_PERSISTENT_KEEPALIVE, now + this.persistentKeepalive * 1000);
  }

  handshakeInitiated(now: number): void {
    this.set(TIMER_RETRANSMIT_HANDSHAKE, now + REKEY_TIMEOUT + this.#jitter());
  }

  handshakeComplete(): void {
    this.#deadlines[TIMER_RETRANSMIT_HANDSHAKE] = NEVER;
  }

  /** Fresh keys were made. */
  sessionDerived(now: number): void {
    this.set(TIMER_ZERO_KEY, now + ZERO_KEY_TIME);
  }

  /** A handshake was given up: what keys there are go in their time, and nobody waits for a keepalive. */
  handshakeGivenUp(now: number): void {
    this.#deadlines[TIMER_SEND_KEEPALIVE] = NEVER;
    if (!this.pending(TIMER_ZERO_KEY)) this.set(TIMER_ZERO_KEY, now + ZERO_KEY_TIME);
  }

  /** The keepalive timer fired. If data came meanwhile, it is set once more. */
  keepaliveFired(now: number): void {
    if (!this.#needAnotherKeepalive) return;
    this.#needAnotherKeepalive = false;
    this.set(TIMER_SEND_KEEPALIVE, now + KEEPALIVE_TIMEOUT);
  }

  #jitter(): number {
    return Math.floor(this.#chance() * (REKEY_TIMEOUT_JITTER + 1));
  }
}

/**
 * The three sessions of a peer (kernel noise.c, add_new_keypair and
 * wg_noise_received_with_keypair). `current` sends. `previous` still receives messages in flight.
 * `next` is a responder's new session: it must not send until the initiator has used it, which
 * proves that the initiator has the keys (key confirmation).
 */
import type { Keypair } from './keypair.ts';

export class Keypairs<Owner = unknown> {
  previous: Keypair<Owner> | undefined;
  current: Keypair<Owner> | undefined;
  next: Keypair<Owner> | undefined;
  readonly #discard: (keypair: Keypair<Owner>) => void;

  /** @param discard releases the keypair's index and erases its keys */
  constructor(discard: (keypair: Keypair<Owner>) => void) {
    this.#discard = discard;
  }

  add(keypair: Keypair<Owner>): void {
    const { previous, current, next } = this;
    if (keypair.initiator) {
      // for the initiator, the response confirms the session; an unconfirmed `next` becomes
      // `previous`
      this.next = undefined;
      this.previous = next ?? current;
      this.current = keypair;
      if (next && current) this.#discard(current);
    } else {
      this.next = keypair;
      this.previous = undefined;
      if (next) this.#discard(next);
    }
    if (previous) this.#discard(previous);
  }

  /**
   * Records a message received under this keypair.
   * @returns true if it confirmed `next`, which is now `current`
   */
  confirm(keypair: Keypair<Owner>): boolean {
    if (keypair !== this.next) return false;
    if (this.previous) this.#discard(this.previous);
    this.previous = this.current;
    this.current = keypair;
    this.next = undefined;
    return true;
  }

  /** Stops sending under all sessions; they still receive. */
  expire(): void {
    if (this.current) this.current.maySend = false;
    if (this.next) this.next.maySend = false;
  }

  clear(): void {
    for (const keypair of [this.previous, this.current, this.next]) if (keypair) this.#discard(keypair);
    this.previous = undefined;
    this.current = undefined;
    this.next = undefined;
  }
}

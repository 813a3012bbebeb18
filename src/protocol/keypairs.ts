/**
 * The three sessions of a peer (kernel noise.c, add_new_keypair and wg_noise_received_with_keypair). `current` is sent with.
 * `previous` still receives what was on its way. `next` is a responder's: it must not be sent with until the other side
 * has used it, which proves that it has it too (key confirmation).
 */
import type { Keypair } from './keypair.ts';

export class Keypairs {
  previous: Keypair | undefined;
  current: Keypair | undefined;
  next: Keypair | undefined;
  readonly #discard: (keypair: Keypair) => void;

  /** @param discard forgets the keypair's index and erases its keys */
  constructor(discard: (keypair: Keypair) => void) {
    this.#discard = discard;
  }

  add(keypair: Keypair): void {
    const { previous, current, next } = this;
    if (keypair.initiator) {
      // our own handshake was answered, so it is confirmed; an unconfirmed one waits on as previous
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

  /** Something came under this keypair. @returns true when that confirmed `next`, which is now `current`. */
  confirm(keypair: Keypair): boolean {
    if (keypair !== this.next) return false;
    if (this.previous) this.#discard(this.previous);
    this.previous = this.current;
    this.current = keypair;
    this.next = undefined;
    return true;
  }

  /** Stops sending under all of them; they go on receiving. */
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

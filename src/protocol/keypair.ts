/**
 * A session: the two transport keys of one handshake, with their counters (kernel noise.h, struct
 * noise_keypair). The cipher holds the keys; this class holds their slots. The sending counter has
 * 64 bits, stored as two u32, and never decreases.
 */
import {
  REJECT_AFTER_MESSAGES_HIGH,
  REJECT_AFTER_MESSAGES_LOW,
  REJECT_AFTER_TIME,
  REKEY_AFTER_MESSAGES_HIGH,
} from './constants.ts';
import { ReplayWindow } from './replay-window.ts';

/** @typeParam Owner the peer of the session; only the flow files use its members */
export class Keypair<Owner = unknown> {
  readonly peer: Owner;
  readonly sendSlot: number;
  readonly receiveSlot: number;
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly initiator: boolean;
  /** When the handshake finished, in milliseconds. */
  readonly born: number;
  readonly replay = new ReplayWindow();
  /** Counter of the next message. */
  counterLow = 0;
  counterHigh = 0;
  /** False once our private key has changed: the session then only receives. */
  maySend = true;

  constructor(
    init: Pick<
      Keypair<Owner>,
      'peer' | 'sendSlot' | 'receiveSlot' | 'localIndex' | 'remoteIndex' | 'initiator' | 'born'
    >,
  ) {
    this.peer = init.peer;
    this.sendSlot = init.sendSlot;
    this.receiveSlot = init.receiveSlot;
    this.localIndex = init.localIndex;
    this.remoteIndex = init.remoteIndex;
    this.initiator = init.initiator;
    this.born = init.born;
  }

  /** Reports whether `count` more messages may be sent under this key now. */
  canSend(count: number, now: number): boolean {
    if (!this.maySend || now - this.born >= REJECT_AFTER_TIME) return false;
    return this.counterHigh < REJECT_AFTER_MESSAGES_HIGH || this.counterLow + count <= REJECT_AFTER_MESSAGES_LOW;
  }

  canReceive(now: number): boolean {
    return now - this.born < REJECT_AFTER_TIME;
  }

  /** Consumes counters; the caller checks canSend first. */
  advance(count: number): void {
    const low = this.counterLow + count;
    this.counterLow = low >>> 0;
    if (low > 0xffffffff) this.counterHigh++;
  }

  /** Whether enough messages were sent to require a new session. */
  get worn(): boolean {
    return this.counterHigh >= REKEY_AFTER_MESSAGES_HIGH;
  }
}

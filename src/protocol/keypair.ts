/**
 * A session: the two transport keys that one handshake gave, with their counters (kernel noise.h, struct noise_keypair). The keys are
 * in the cipher; here are their slots. The sending counter is 64 bits as two u32; it never goes back.
 */
import {
  REJECT_AFTER_MESSAGES_HIGH,
  REJECT_AFTER_MESSAGES_LOW,
  REJECT_AFTER_TIME,
  REKEY_AFTER_MESSAGES_HIGH,
} from './constants.ts';
import type { Peer } from './peer.ts';
import { ReplayWindow } from './replay-window.ts';

export class Keypair {
  readonly peer: Peer;
  readonly sendSlot: number;
  readonly receiveSlot: number;
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly initiator: boolean;
  /** When the handshake was finished, milliseconds. */
  readonly born: number;
  readonly replay = new ReplayWindow();
  /** Counter of the next message. */
  counterLow = 0;
  counterHigh = 0;
  /** No more sending when false: our private key changed. */
  maySend = true;

  constructor(
    init: Pick<Keypair, 'peer' | 'sendSlot' | 'receiveSlot' | 'localIndex' | 'remoteIndex' | 'initiator' | 'born'>,
  ) {
    this.peer = init.peer;
    this.sendSlot = init.sendSlot;
    this.receiveSlot = init.receiveSlot;
    this.localIndex = init.localIndex;
    this.remoteIndex = init.remoteIndex;
    this.initiator = init.initiator;
    this.born = init.born;
  }

  /** Whether so many more messages may be sent under this key now. */
  canSend(count: number, now: number): boolean {
    if (!this.maySend || now - this.born >= REJECT_AFTER_TIME) return false;
    return this.counterHigh < REJECT_AFTER_MESSAGES_HIGH || this.counterLow + count <= REJECT_AFTER_MESSAGES_LOW;
  }

  canReceive(now: number): boolean {
    return now - this.born < REJECT_AFTER_TIME;
  }

  /** Moves past counters that the caller has taken; ask canSend first. */
  advance(count: number): void {
    const low = this.counterLow + count;
    this.counterLow = low >>> 0;
    if (low > 0xffffffff) this.counterHigh++;
  }

  /** Whether so many messages were sent that a new session is due. */
  get worn(): boolean {
    return this.counterHigh >= REKEY_AFTER_MESSAGES_HIGH;
  }
}

/** All that is known of one peer (kernel peer.h, struct wg_peer). State only: what is done with it is in the flow files. */
import { ENDPOINT_FAMILY, ENDPOINT_FAR_SIZE, ENDPOINT_HAS_LOCAL, ENDPOINT_SIZE } from '../base/endpoint.ts';
import { KEY_SIZE, newSecret } from '../base/key.ts';
import type { CookieJar } from './cookie.ts';
import type { Keypairs } from './keypairs.ts';
import type { SymmetricState } from './noise.ts';
import type { PeerTimers } from './peer-timers.ts';
import { StagedQueue } from './staged-queue.ts';
import { TAI64N_SIZE } from './tai64n.ts';

/** Our own initiation that waits for its response. */
export interface PendingInitiation {
  readonly peer: Peer;
  readonly state: SymmetricState;
  readonly ephemeralPrivate: Uint8Array;
  localIndex: number;
}

export class Peer {
  readonly id: number;
  readonly publicKey: Uint8Array;
  readonly presharedKey = newSecret(KEY_SIZE);
  /** DH of our static key and the peer's; undefined without a private key or when it is zero. */
  staticShared: Uint8Array | undefined;
  readonly cookies: CookieJar;
  readonly keypairs: Keypairs;
  readonly timers: PeerTimers;
  readonly staged = new StagedQueue();
  /** An endpoint record; family 0 while it is not known. */
  readonly endpoint = new Uint8Array(ENDPOINT_SIZE);

  pending: PendingInitiation | undefined;
  /** Greatest timestamp of an initiation taken from this peer. */
  readonly latestTimestamp = new Uint8Array(TAI64N_SIZE);
  lastInitiationConsumed = Number.NEGATIVE_INFINITY;
  lastSentHandshake = Number.NEGATIVE_INFINITY;
  handshakeAttempts = 0;
  sentLastMinuteHandshake = false;

  /** Unix time in nanoseconds; 0 for never. */
  lastHandshakeWall = 0n;
  rxBytes = 0;
  txBytes = 0;

  /** Scratch of the batch in hand: the chain of its packets, and what happened to it. Only within one input. */
  batchFirst = -1;
  batchLast = -1;
  batchSent = false;
  batchReceived = 0;
  /** When the engine has planned to look at its timers; Infinity if not. */
  scheduledAt = Number.POSITIVE_INFINITY;
  removed = false;

  constructor(id: number, publicKey: Uint8Array, cookies: CookieJar, keypairs: Keypairs, timers: PeerTimers) {
    this.id = id;
    this.publicKey = Uint8Array.from(publicKey);
    this.cookies = cookies;
    this.keypairs = keypairs;
    this.timers = timers;
  }

  get hasEndpoint(): boolean {
    return this.endpoint[ENDPOINT_FAMILY] !== 0;
  }

  /** The local address that the far side last spoke to is no longer sure: let routing choose again. */
  clearSource(): void {
    this.endpoint[ENDPOINT_HAS_LOCAL] = 0;
    this.endpoint.fill(0, ENDPOINT_FAR_SIZE);
  }
}

/**
 * The state of a peer (kernel peer.h, struct wg_peer). The flow files (device.ts lists them) act on
 * it.
 */
import { newSecret } from '../base/bytes.ts';
import { ENDPOINT_FAMILY, ENDPOINT_FAR_SIZE, ENDPOINT_HAS_LOCAL, ENDPOINT_SIZE } from '../base/endpoint.ts';
import { KEY_SIZE } from '../base/key.ts';
import type { CookieJar } from './cookie.ts';
import type { Keypairs } from './keypairs.ts';
import type { SymmetricState } from './noise.ts';
import type { PeerTimers } from './peer-timers.ts';
import { StagedQueue } from './staged-queue.ts';
import { TAI64N_SIZE } from './tai64n.ts';

/** Our initiation that awaits its response. */
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
  /**
   * DH of our static key and the peer's; undefined without a private key or if the result is zero.
   */
  staticShared: Uint8Array | undefined;
  readonly cookies: CookieJar;
  readonly keypairs: Keypairs<Peer>;
  readonly timers: PeerTimers;
  readonly staged: StagedQueue;
  /** An endpoint record; family 0 while unknown. */
  readonly endpoint = new Uint8Array(ENDPOINT_SIZE);

  pending: PendingInitiation | undefined;
  /** The greatest timestamp of an accepted initiation from this peer. */
  readonly latestTimestamp = new Uint8Array(TAI64N_SIZE);
  lastInitiationConsumed = Number.NEGATIVE_INFINITY;
  lastSentHandshake = Number.NEGATIVE_INFINITY;
  handshakeAttempts = 0;
  sentLastMinuteHandshake = false;

  /** Unix time in nanoseconds of the last handshake; 0: never. */
  lastHandshakeWall = 0n;
  rxBytes = 0;
  txBytes = 0;

  /**
   * Scratch fields of the current batch, valid within one input: the chain of the peer's packets,
   * and their outcome.
   */
  batchFirst = -1;
  batchLast = -1;
  batchSent = false;
  batchReceived = 0;
  /** When the engine next checks this peer's timers; Infinity if not scheduled. */
  scheduledAt = Number.POSITIVE_INFINITY;
  removed = false;

  constructor(
    id: number,
    publicKey: Uint8Array,
    cookies: CookieJar,
    keypairs: Keypairs<Peer>,
    timers: PeerTimers,
    staged = new StagedQueue(),
  ) {
    this.id = id;
    this.publicKey = Uint8Array.from(publicKey);
    this.cookies = cookies;
    this.keypairs = keypairs;
    this.timers = timers;
    this.staged = staged;
  }

  get hasEndpoint(): boolean {
    return this.endpoint[ENDPOINT_FAMILY] !== 0;
  }

  /**
   * Forgets the local address that the peer last sent to, so that routing chooses a new one: the
   * address may be gone.
   */
  clearSource(): void {
    this.endpoint[ENDPOINT_HAS_LOCAL] = 0;
    this.endpoint.fill(0, ENDPOINT_FAR_SIZE);
  }
}

/**
 * Empties the list of a batch's peers. To set its length to 0 would be a call into V8's runtime for
 * each packet, which also frees the memory that the next packet needs again.
 */
export function forgetAll(peers: Peer[]): void {
  while (peers.pop());
}

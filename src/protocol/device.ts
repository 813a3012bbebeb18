/**
 * The state of a WireGuard device (kernel device.h, struct wg_device): identity, peers, tables,
 * cipher, output and counters. Its flows share it: handshake.ts, handshake-queue.ts, inbound.ts,
 * outbound.ts, timer-actions.ts, configure.ts.
 */
import { copySecret } from '../base/bytes.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { AllowedIps } from '../routing/allowed-ips.ts';
import { IndexTable } from '../routing/index-table.ts';
import { CookieChecker, CookieJar } from './cookie.ts';
import { Counters } from './counters.ts';
import { DeadlineQueue } from './deadline-queue.ts';
import { KeySlots } from './key-slots.ts';
import type { Keypair } from './keypair.ts';
import { Keypairs } from './keypairs.ts';
import { Output } from './output.ts';
import { Peer, type PendingInitiation } from './peer.ts';
import { PeerTimers } from './peer-timers.ts';
import { RandomStore } from './random-store.ts';
import { RateLimiter } from './ratelimiter.ts';
import { StagedBudget } from './staged-budget.ts';
import { StagedQueue } from './staged-queue.ts';
import { tai64n, tai64nAfter } from './tai64n.ts';
import type { TransportCipher } from './transport-cipher.ts';

export interface Identity {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly cookies: CookieChecker;
}

/**
 * Receives keys in the form that Wireshark reads (wg.keylog_file). The keys are secret; log them
 * for debugging only.
 */
export type KeyLog = (
  label: 'LOCAL_STATIC_PRIVATE_KEY' | 'REMOTE_STATIC_PUBLIC_KEY' | 'LOCAL_EPHEMERAL_PRIVATE_KEY' | 'PRESHARED_KEY',
  key: Uint8Array,
) => void;

/** The parts and settings that an {@link Engine} needs. */
export interface DeviceOptions {
  /** Primitives for handshakes and cookies, such as `nobleCrypto`. */
  readonly crypto: CryptoProvider;
  /** Seals and opens packets, such as a {@link TwinCipher}. Each engine needs its own. */
  readonly cipher: TransportCipher;
  /** Fills an array with random bytes of cryptographic quality. */
  readonly random: (bytes: Uint8Array) => void;
  /**
   * Returns Unix time in nanoseconds. Used for the timestamp of initiations (TAI64N) and for the
   * time of the last handshake only.
   */
  readonly wall: () => bigint;
  /** Receives the keys of every handshake. If absent, no keys are logged. */
  readonly keyLog?: KeyLog;
  /** Size in bytes of the slab to which datagrams are written; default: 1 MiB. */
  readonly outputBytes?: number;
  /** Bytes that packets which wait for a session may hold, of all peers; default: 256 MiB. */
  readonly stagedBytes?: number;
}

const OUTPUT_BYTES = 1 << 20;
const OUTPUT_DATAGRAMS = 1024;
/** Sizes of the stores of random bytes. */
export const DICE_BYTES = 384;
/** Enough for the nonces of 128 cookie replies. */
export const NONCE_BYTES = 128 * 24;
export const MAX_DELIVERIES = 4096;

export class Device {
  readonly crypto: CryptoProvider;
  readonly cipher: TransportCipher;
  readonly random: (bytes: Uint8Array) => void;
  readonly wall: () => bigint;
  readonly keyLog: KeyLog | undefined;
  readonly counters = new Counters();
  readonly output: Output;
  readonly allowedIps = new AllowedIps();
  readonly indices: IndexTable<Keypair<Peer> | PendingInitiation>;
  readonly deadlines = new DeadlineQueue<Peer>();
  readonly limiter = new RateLimiter();
  readonly slots = new KeySlots();
  readonly staged: StagedBudget;
  /** Indexed by id, with holes where peers were removed. */
  readonly peers: (Peer | undefined)[] = [];
  identity: Identity | undefined;
  running = false;
  mtu = 1420;
  readonly #byKey = new Map<string, Peer>();
  readonly #freeIds: number[] = [];
  /** For jitter. */
  readonly dice: RandomStore;
  /** For the nonces of cookie replies. */
  readonly nonces: RandomStore;
  /** Unix time in nanoseconds of the last TAI64N timestamp; 0: none yet. */
  lastTimestamp = 0n;

  constructor(options: DeviceOptions) {
    this.crypto = options.crypto;
    this.cipher = options.cipher;
    this.random = options.random;
    this.dice = new RandomStore(options.random, DICE_BYTES);
    this.nonces = new RandomStore(options.random, NONCE_BYTES);
    this.wall = options.wall;
    this.staged = new StagedBudget(options.stagedBytes);
    this.keyLog = options.keyLog;
    this.output = new Output(options.outputBytes ?? OUTPUT_BYTES, OUTPUT_DATAGRAMS, MAX_DELIVERIES);
    this.indices = new IndexTable(options.random);
  }

  peer(publicKey: Uint8Array): Peer | undefined {
    return this.#byKey.get(String.fromCharCode(...publicKey));
  }

  /** Iterates over the peers in the order they were added. */
  *eachPeer(): IterableIterator<Peer> {
    yield* this.#byKey.values();
  }

  /** @param staticShared of a restored peer, whose DH is known; if absent, it is computed */
  addPeer(publicKey: Uint8Array, ...staticShared: [] | [Uint8Array | undefined]): Peer {
    const id = this.#freeIds.pop() ?? this.peers.length;
    const timers = new PeerTimers(
      at => this.schedule(peer, at),
      () => this.chance(),
    );
    const keypairs = new Keypairs<Peer>(keypair => this.discardKeypair(keypair));
    const peer: Peer = new Peer(
      id,
      publicKey,
      new CookieJar(this.crypto, publicKey),
      keypairs,
      timers,
      new StagedQueue(this.staged),
    );
    this.peers[id] = peer;
    this.#byKey.set(String.fromCharCode(...publicKey), peer);
    if (staticShared.length === 0) this.precompute(peer);
    else peer.staticShared = staticShared[0] && copySecret(staticShared[0]);
    return peer;
  }

  removePeer(peer: Peer): void {
    this.allowedIps.removePeer(peer.id);
    this.forgetSessions(peer);
    peer.staged.clear();
    peer.timers.clearAll();
    peer.cookies.erase();
    peer.presharedKey.fill(0);
    peer.staticShared?.fill(0);
    peer.removed = true;
    this.peers[peer.id] = undefined;
    this.#freeIds.push(peer.id);
    this.#byKey.delete(String.fromCharCode(...peer.publicKey));
  }

  /** Sets the private key, or removes it if undefined. The caller updates peers and sessions. */
  setIdentity(privateKey: Uint8Array | undefined): void {
    this.replaceIdentity(privateKey);
    for (const peer of this.#byKey.values()) this.precompute(peer);
  }

  /** Does the same, but leaves the `staticShared` of all peers to the caller. */
  replaceIdentity(privateKey: Uint8Array | undefined): void {
    if (this.identity) {
      this.crypto.forget(this.identity.privateKey);
      this.identity.cookies.erase();
    }
    this.identity = undefined;
    if (privateKey) {
      const own = copySecret(privateKey);
      const publicKey = this.crypto.publicKey(own);
      this.identity = {
        privateKey: own,
        publicKey,
        cookies: new CookieChecker(this.crypto, this.random, publicKey, nonce => this.nonces.fill(nonce)),
      };
    }
  }

  precompute(peer: Peer): void {
    peer.staticShared?.fill(0);
    peer.staticShared = this.identity && this.crypto.dh(this.identity.privateKey, peer.publicKey);
  }

  forgetPending(peer: Peer): void {
    if (!peer.pending) return;
    this.indices.remove(peer.pending.localIndex);
    peer.pending.state.erase();
    this.crypto.forget(peer.pending.ephemeralPrivate);
    peer.pending = undefined;
  }

  forgetSessions(peer: Peer): void {
    this.forgetPending(peer);
    peer.keypairs.clear();
  }

  /**
   * Erases random bytes that were drawn in advance, and the secret of the cookies. A copy of this
   * machine holds the same ones.
   */
  forgetRandomness(): void {
    this.dice.drop();
    this.nonces.drop();
    this.identity?.cookies.erase();
  }

  discardKeypair(keypair: Keypair): void {
    this.indices.remove(keypair.localIndex);
    for (const slot of [keypair.sendSlot, keypair.receiveSlot]) {
      this.cipher.eraseKey(slot);
      this.slots.give(slot);
    }
  }

  /** Schedules a check of a peer's timers, unless an earlier one is scheduled. */
  schedule(peer: Peer, at: number): void {
    if (at >= peer.scheduledAt || peer.removed) return;
    peer.scheduledAt = at;
    this.deadlines.push(at, peer);
  }

  /** Returns a random number in [0, 1) for jitter. */
  chance(): number {
    return this.dice.fraction();
  }

  /** Returns a timestamp greater than all previous ones, even if the clock was set back. */
  timestamp(): Uint8Array {
    const wall = this.wall();
    const after = this.lastTimestamp === 0n ? wall : tai64nAfter(this.lastTimestamp);
    this.lastTimestamp = wall > after ? wall : after;
    return tai64n(this.lastTimestamp);
  }
}

/**
 * The state of an engine as plain data: all that a new engine needs to go on where another one
 * stopped. freeze.ts writes it, engine-state-check.ts validates it, restore.ts reads it.
 *
 * Version policy. The version is one integer. Raise it with every change after which an engine of
 * the old version would misread the state: a field is added, removed or renamed; a field gets
 * another type, length, unit or meaning; the fields of `timers` or the records in `allowedIps`,
 * `queue.messages` or `limiter` get another layout; a queued or pending message of the protocol
 * changes. A new counter needs no new version: a missing counter is 0, an unknown one is ignored.
 * An engine reads its own version only. Two programs of different versions use crash recovery.
 *
 * Times are CLOCK_BOOTTIME in milliseconds, so a state is valid on the machine that made it and
 * until it reboots. "Never" is Infinity for a deadline and -Infinity for a past event.
 */
import { makePrefix, type Prefix } from '../base/prefix.ts';
import type { CounterName } from './counters.ts';

/** The version of the states that this program makes and reads. */
export const ENGINE_STATE_VERSION = 1;

/** Bytes of a record in PeerState.allowedIps: the family (4 or 6), the length, 16 of address. */
export const PREFIX_RECORD_SIZE = 18;

/**
 * The state of an engine, from {@link Engine.freeze}: numbers, bigints, booleans, typed arrays,
 * arrays and objects, which survive structured clone. It contains every key of the device, so erase
 * each copy with {@link eraseEngineState}. All except the version is internal.
 */
export interface EngineState {
  /** The {@link ENGINE_STATE_VERSION} of the program that made it. */
  readonly version: number;
}

/** All fields of an EngineState. */
export interface FullEngineState extends EngineState {
  readonly running: boolean;
  readonly mtu: number;
  readonly identity: IdentityState | undefined;
  /** Unix time in nanoseconds of the last TAI64N timestamp; later ones must be greater. */
  readonly lastTimestamp: bigint;
  /** Random bytes that were drawn and not used, for jitter and for the nonces of cookie replies. */
  readonly dice: Uint8Array;
  readonly nonces: Uint8Array;
  /** In the order in which they were added. */
  readonly peers: readonly PeerState[];
  readonly deadlines: DeadlinesState;
  readonly queue: HandshakeQueueState;
  readonly limiter: RateLimiterState;
  readonly outbound: OutboundState;
  readonly counters: Readonly<Partial<Record<CounterName, number>>>;
}

export interface IdentityState {
  readonly privateKey: Uint8Array;
  readonly cookieSecret: Uint8Array;
  readonly cookieSecretBorn: number;
}

export interface PeerState {
  readonly publicKey: Uint8Array;
  readonly presharedKey: Uint8Array;
  /** DH of both static keys; undefined without an identity, or if the result is zero. */
  readonly staticShared: Uint8Array | undefined;
  /** An endpoint record, with the local address; family 0 while unknown. */
  readonly endpoint: Uint8Array;
  /** Records of PREFIX_RECORD_SIZE bytes, in the order of insertion. */
  readonly allowedIps: Uint8Array;
  /** Seconds; 0 is off. */
  readonly persistentKeepalive: number;
  /** Deadlines by TIMER_*. */
  readonly timers: Float64Array;
  readonly needAnotherKeepalive: boolean;
  readonly previous: KeypairState | undefined;
  readonly current: KeypairState | undefined;
  readonly next: KeypairState | undefined;
  readonly pending: PendingState | undefined;
  readonly cookies: CookieJarState;
  readonly staged: readonly StagedState[];
  readonly latestTimestamp: Uint8Array;
  readonly lastInitiationConsumed: number;
  readonly lastSentHandshake: number;
  readonly handshakeAttempts: number;
  readonly sentLastMinuteHandshake: boolean;
  /** Unix time in nanoseconds. */
  readonly lastHandshakeWall: bigint;
  readonly rxBytes: number;
  readonly txBytes: number;
}

export interface KeypairState {
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly initiator: boolean;
  readonly born: number;
  readonly counterLow: number;
  readonly counterHigh: number;
  readonly maySend: boolean;
  readonly replay: ReplayWindowState;
}

export interface ReplayWindowState {
  readonly ring: Uint32Array;
  readonly nextLow: number;
  readonly nextHigh: number;
}

/** An initiation that awaits its response. The message key is not needed for that. */
export interface PendingState {
  readonly localIndex: number;
  readonly ephemeralPrivate: Uint8Array;
  readonly chainingKey: Uint8Array;
  readonly hash: Uint8Array;
}

export interface CookieJarState {
  readonly cookie: Uint8Array | undefined;
  readonly cookieBorn: number;
  readonly lastMac1: Uint8Array;
  readonly awaiting: boolean;
}

export interface StagedState {
  /** vnet header and packet. */
  readonly bytes: Uint8Array;
  readonly segments: number;
}

/** When the timers of each peer are checked next, in the order in which the checks happen. */
export interface DeadlinesState {
  readonly at: Float64Array;
  /** Places in EngineState.peers. */
  readonly peers: Uint32Array;
}

export interface HandshakeQueueState {
  /** 1 for an initiation, 0 for a response, oldest first. */
  readonly isInitiation: Uint8Array;
  /** For each message its bytes, padded to an initiation's, and its endpoint record. */
  readonly messages: Uint8Array;
  readonly lastUnderLoad: number;
}

/** The token buckets, one number of each array per source. */
export interface RateLimiterState {
  /** IPv4 addresses. */
  readonly sources4: Uint32Array;
  readonly tokens4: Float64Array;
  readonly last4: Float64Array;
  /** IPv6 prefixes of 64 bits: two numbers per source, the high half first. */
  readonly sources6: Uint32Array;
  readonly tokens6: Float64Array;
  readonly last6: Float64Array;
  readonly lastSweep: number;
}

export interface OutboundState {
  /** The second of the ICMP errors, and how many were sent in it. */
  readonly icmpSecond: number;
  readonly icmpCount: number;
  /** The datagram whose fragments the loop guard expects, and until when. */
  readonly fragment: Uint8Array;
  readonly fragmentUntil: number;
}

/** Returns the prefixes of PeerState.allowedIps. */
export function readPrefixRecords(records: Uint8Array): Prefix[] {
  const prefixes: Prefix[] = [];
  for (let at = 0; at < records.length; at += PREFIX_RECORD_SIZE) {
    const bytes = records[at] === 4 ? 4 : 16;
    prefixes.push(makePrefix(Uint8Array.from(records.subarray(at + 2, at + 2 + bytes)), records[at + 1]!));
  }
  return prefixes;
}

/** Overwrites every array of a state, even of one that the check would refuse. */
export function eraseEngineState(state: EngineState): void {
  eraseArrays(state);
}

/** Overwrites every array that can be reached from a value. */
export function eraseArrays(value: unknown): void {
  const seen = new Set<unknown>();
  const left: unknown[] = [value];
  while (left.length > 0) {
    const next = left.pop();
    if (typeof next !== 'object' || next === null || seen.has(next)) continue;
    seen.add(next);
    if (ArrayBuffer.isView(next)) new Uint8Array(next.buffer, next.byteOffset, next.byteLength).fill(0);
    else for (const inner of Object.values(next)) left.push(inner);
  }
}

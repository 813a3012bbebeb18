/**
 * Validates the state of an engine (engine-state.ts) that came from another process. Each field has
 * the right type, length and range, and the fields agree with each other, so that restore.ts needs
 * no check of its own. The size of the value bounds time and memory.
 */
import { ENDPOINT_SIZE } from '../base/endpoint.ts';
import { KEY_SIZE } from '../base/key.ts';
import { prefixKey } from '../base/prefix.ts';
import { VNET_HEADER_SIZE } from '../packet/batch.ts';
import { SplitPlan } from '../packet/segments.ts';
import { FRAGMENT_NAME_SIZE } from '../packet/udp-payload.ts';
import { MAX_QUEUED_HANDSHAKES, MAX_STAGED_PACKETS, RATELIMIT_MAX_ENTRIES } from './constants.ts';
import { MAC_SIZE } from './cookie.ts';
import { Counters } from './counters.ts';
import { DICE_BYTES, NONCE_BYTES } from './device.ts';
import { ENGINE_STATE_VERSION, type EngineState, PREFIX_RECORD_SIZE, readPrefixRecords } from './engine-state.ts';
import { QUEUED_HANDSHAKE_SIZE } from './handshake-queue.ts';
import { TIMERS } from './peer-timers.ts';
import { FULL_BUCKET } from './ratelimiter.ts';
import { REPLAY_WORDS } from './replay-window.ts';
import { StateFields } from './state-fields.ts';
import { TAI64N_SIZE } from './tai64n.ts';
import { MAX_KEY_SLOTS } from './transport-cipher.ts';

const U32 = 2 ** 32 - 1;
/** No counter gets there, and a double counts on from it for as long again. */
const MAX_COUNT = 2 ** 52;
const LARGEST_MTU = 65_535;
const LARGEST_STAGED = VNET_HEADER_SIZE + 65_575;
/** The kernel's limit of peers (device.h, MAX_PEERS_PER_DEVICE). */
const MAX_PEERS = 2 ** 20;
/** More than any table of routes; 18 MB. */
const MAX_PREFIXES = 2 ** 20;
const LARGEST_KEEPALIVE = 65_535;
const NEVER = Number.POSITIVE_INFINITY;
const NOT_YET = Number.NEGATIVE_INFINITY;

/** What must not occur twice in a state. */
interface Seen {
  readonly publicKeys: Set<string>;
  readonly prefixes: Set<string | number>;
  readonly indices: Set<number>;
  sessions: number;
}

/**
 * Checks a state that was not made by this process.
 * @returns the same value
 * @throws Error that names the first field that is wrong
 */
export function checkEngineState(value: unknown): EngineState {
  const state = new StateFields(value, '');
  const version = state.integer('version', U32);
  if (version !== ENGINE_STATE_VERSION)
    state.fail('version', `is ${version}; this program reads version ${ENGINE_STATE_VERSION} only`);
  state.boolean('running');
  state.integer('mtu', LARGEST_MTU);
  state.bigint('lastTimestamp');
  state.bytesUpTo('dice', DICE_BYTES);
  state.bytesUpTo('nonces', NONCE_BYTES);
  const identity = state.optional('identity');
  identity?.bytes('privateKey', KEY_SIZE);
  identity?.bytes('cookieSecret', KEY_SIZE);
  identity?.time('cookieSecretBorn', NOT_YET);
  const seen: Seen = { publicKeys: new Set(), prefixes: new Set(), indices: new Set(), sessions: 0 };
  for (const peer of state.list('peers', MAX_PEERS)) checkPeer(peer, seen);
  if (2 * seen.sessions > MAX_KEY_SLOTS)
    state.fail('peers', `have ${seen.sessions} sessions, which need too many keys`);
  checkDeadlines(state.object('deadlines'), seen.publicKeys.size);
  checkQueue(state.object('queue'));
  checkLimiter(state.object('limiter'));
  const outbound = state.object('outbound');
  outbound.integer('icmpSecond', Number.MAX_SAFE_INTEGER);
  outbound.integer('icmpCount', U32);
  outbound.bytes('fragment', FRAGMENT_NAME_SIZE);
  outbound.time('fragmentUntil', NOT_YET);
  checkCounters(state.object('counters'));
  return value as EngineState;
}

function checkPeer(peer: StateFields, seen: Seen): void {
  const publicKey = String.fromCharCode(...peer.bytes('publicKey', KEY_SIZE));
  if (seen.publicKeys.has(publicKey)) peer.fail('publicKey', 'is that of an earlier peer');
  seen.publicKeys.add(publicKey);
  peer.bytes('presharedKey', KEY_SIZE);
  peer.optionalBytes('staticShared', KEY_SIZE);
  peer.bytes('endpoint', ENDPOINT_SIZE);
  checkPrefixes(peer, seen);
  peer.integer('persistentKeepalive', LARGEST_KEEPALIVE);
  peer.times('timers', TIMERS, NEVER);
  peer.boolean('needAnotherKeepalive');
  for (const name of ['previous', 'current', 'next']) {
    const keypair = peer.optional(name);
    if (keypair) checkKeypair(keypair, seen);
  }
  const pending = peer.optional('pending');
  if (pending) {
    checkIndex(pending, seen);
    for (const name of ['ephemeralPrivate', 'chainingKey', 'hash']) pending.bytes(name, KEY_SIZE);
  }
  const cookies = peer.object('cookies');
  cookies.optionalBytes('cookie', MAC_SIZE);
  cookies.time('cookieBorn');
  cookies.bytes('lastMac1', MAC_SIZE);
  cookies.boolean('awaiting');
  for (const packet of peer.list('staged', MAX_STAGED_PACKETS)) checkStaged(packet);
  peer.bytes('latestTimestamp', TAI64N_SIZE);
  peer.time('lastInitiationConsumed', NOT_YET);
  peer.time('lastSentHandshake', NOT_YET);
  peer.integer('handshakeAttempts', U32);
  peer.boolean('sentLastMinuteHandshake');
  peer.bigint('lastHandshakeWall');
  peer.integer('rxBytes', MAX_COUNT);
  peer.integer('txBytes', MAX_COUNT);
}

function checkPrefixes(peer: StateFields, { prefixes }: Seen): void {
  const records = peer.bytesUpTo('allowedIps', MAX_PREFIXES * PREFIX_RECORD_SIZE);
  if (records.length % PREFIX_RECORD_SIZE !== 0) peer.fail('allowedIps', 'ends within a prefix');
  for (let at = 0; at < records.length; at += PREFIX_RECORD_SIZE) {
    const most = records[at] === 4 ? 32 : 128;
    if ((records[at] !== 4 && records[at] !== 6) || records[at + 1]! > most)
      peer.fail('allowedIps', `has no prefix at byte ${at}`);
  }
  for (const prefix of readPrefixRecords(records)) {
    const key = prefixKey(prefix);
    if (prefixes.has(key)) peer.fail('allowedIps', 'has a prefix twice, or one of an earlier peer');
    prefixes.add(key);
  }
}

function checkKeypair(keypair: StateFields, seen: Seen): void {
  seen.sessions++;
  keypair.bytes('sendKey', KEY_SIZE);
  keypair.bytes('receiveKey', KEY_SIZE);
  checkIndex(keypair, seen);
  keypair.integer('remoteIndex', U32);
  keypair.boolean('initiator');
  keypair.time('born');
  keypair.integer('counterLow', U32);
  keypair.integer('counterHigh', U32);
  keypair.boolean('maySend');
  const replay = keypair.object('replay');
  const { length } = replay.words('ring', REPLAY_WORDS);
  if (length !== REPLAY_WORDS) replay.fail('ring', `has ${length} words instead of ${REPLAY_WORDS}`);
  replay.integer('nextLow', U32);
  replay.integer('nextHigh', U32);
}

function checkIndex(fields: StateFields, { indices }: Seen): void {
  const index = fields.integer('localIndex', U32);
  if (indices.has(index)) fields.fail('localIndex', 'is in use by an earlier session or handshake');
  indices.add(index);
}

/** A wrong number of segments would reserve counters that the cipher does not use. */
function checkStaged(packet: StateFields): void {
  const bytes = packet.bytesUpTo('bytes', LARGEST_STAGED);
  const segments = packet.integer('segments', U32);
  const isKeepalive = bytes.length === VNET_HEADER_SIZE;
  const count = isKeepalive ? 1 : new SplitPlan().read(bytes, 0, bytes.length);
  if (count === 0) packet.fail('bytes', 'is not a packet behind its vnet header');
  if (segments !== count) packet.fail('segments', `is ${segments}, but the packet has ${count}`);
}

function checkDeadlines(deadlines: StateFields, peers: number): void {
  const places = deadlines.words('peers', peers);
  if (!places.every(place => place < peers)) deadlines.fail('peers', 'names a peer that does not exist');
  deadlines.times('at', places.length);
}

function checkQueue(queue: StateFields): void {
  const count = queue.bytesUpTo('isInitiation', MAX_QUEUED_HANDSHAKES).length;
  queue.bytes('messages', count * QUEUED_HANDSHAKE_SIZE);
  queue.time('lastUnderLoad', NOT_YET);
}

function checkLimiter(limiter: StateFields): void {
  const count4 = limiter.words('sources4', RATELIMIT_MAX_ENTRIES).length;
  const words6 = limiter.words('sources6', 2 * RATELIMIT_MAX_ENTRIES).length;
  if (words6 % 2 !== 0) limiter.fail('sources6', 'ends within a source');
  for (const [family, count] of [
    ['4', count4],
    ['6', words6 / 2],
  ] as const) {
    limiter.numbers(`tokens${family}`, count, FULL_BUCKET);
    limiter.times(`last${family}`, count);
  }
  limiter.time('lastSweep');
}

function checkCounters(counters: StateFields): void {
  for (const name of Object.keys(new Counters())) counters.optionalInteger(name, MAX_COUNT);
}

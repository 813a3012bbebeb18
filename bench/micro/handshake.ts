/**
 * Times the primitives of handshakes and cookies with every provider, and each side's part of a
 * whole handshake.
 */

import { nobleCrypto } from '#dist/crypto/noble.js';
import { createNativeCrypto } from '#dist/crypto/node/native.js';
import { opensslCrypto } from '#dist/crypto/node/openssl.js';
import type { CryptoProvider } from '#dist/crypto/provider.js';
import { nativeBinding } from '#dist/io/native-binding.js';
import { INITIATION_SIZE } from '#dist/packet/initiation.js';
import { ascii, CONSTRUCTION, IDENTIFIER } from '#dist/protocol/constants.js';
import {
  readMessageOnePayload,
  readMessageOneStatic,
  readMessageTwo,
  SymmetricState,
  writeMessageOne,
  writeMessageTwo,
} from '#dist/protocol/noise.js';
import { type Contest, concat, pattern, type Subject } from './contest.ts';

const KEY = pattern(32, 2);
const NONCE = new Uint8Array(12);
const LONG_NONCE = pattern(24, 3);
const OTHER_PUBLIC = nobleCrypto.publicKey(pattern(32, 4));
/** mac1 covers everything before the two MACs. */
const MACED = pattern(INITIATION_SIZE - 32, 5);
const TIMESTAMP = pattern(12, 6);
const PSK = pattern(32, 7);
const EMPTY = new Uint8Array(0);
const SEALED = nobleCrypto.seal(KEY, NONCE, KEY, PSK);

type Function = keyof Omit<CryptoProvider, 'name'>;

/**
 * One kind of call. A provider that uses the same function as an earlier one is not timed again.
 */
interface Call {
  readonly name: string;
  readonly uses: readonly Function[];
  make(crypto: CryptoProvider): Uint8Array | readonly Uint8Array[] | undefined;
}

const CALLS: readonly Call[] = [
  { name: 'X25519, private key used before', uses: ['dh'], make: crypto => crypto.dh(KEY, OTHER_PUBLIC) },
  { name: 'X25519, new private key', uses: ['dh'], make: crypto => crypto.dh(KEY.slice(), OTHER_PUBLIC) },
  { name: 'X25519, public key of a new one', uses: ['publicKey'], make: crypto => crypto.publicKey(KEY.slice()) },
  { name: 'BLAKE2s hash, 32 and 48 bytes', uses: ['hash'], make: crypto => crypto.hash(KEY, SEALED) },
  { name: `BLAKE2s mac, ${MACED.length} bytes`, uses: ['mac'], make: crypto => crypto.mac(KEY, MACED) },
  { name: 'kdf1, 32 bytes', uses: ['kdf'], make: crypto => crypto.kdf(KEY, PSK, 1) },
  { name: 'kdf2, 32 bytes', uses: ['kdf'], make: crypto => crypto.kdf(KEY, PSK, 2) },
  { name: 'kdf3, 32 bytes', uses: ['kdf'], make: crypto => crypto.kdf(KEY, PSK, 3) },
  { name: 'AEAD seal, 32 bytes', uses: ['seal'], make: crypto => crypto.seal(KEY, NONCE, KEY, PSK) },
  { name: 'AEAD open, 32 bytes', uses: ['open'], make: crypto => crypto.open(KEY, NONCE, SEALED, PSK) },
  {
    name: 'XAEAD seal, 16 bytes (a cookie)',
    uses: ['xseal'],
    make: crypto => crypto.xseal(KEY, LONG_NONCE, TIMESTAMP, PSK),
  },
];
const WHOLE: readonly Function[] = ['hash', 'kdf', 'dh', 'publicKey', 'seal', 'open'];

export const handshake: Subject = {
  name: 'handshake',
  title: 'Handshakes',
  unit: 'call',
  contests: [
    ...CALLS.map(contest),
    contest({ name: 'the initiator, both messages, without macs', uses: WHOLE, make: initiate }),
    contest({ name: 'the responder, both messages, without macs', uses: WHOLE, make: respond }),
  ],
};

function contest({ name, uses, make }: Call): Contest {
  return {
    name,
    units: 1,
    prepare() {
      const contenders = providers()
        .filter((provider, i, all) => !all.slice(0, i).some(other => uses.every(use => other[use] === provider[use])))
        .map(provider => {
          let result: ReturnType<Call['make']>;
          return {
            name: provider.name,
            run() {
              result = make(provider);
            },
            result() {
              if (result === undefined) throw new Error(`${provider.name} made nothing`);
              return result instanceof Uint8Array ? result : concat(result);
            },
          };
        });
      return { contenders };
    },
  };
}

function providers(): CryptoProvider[] {
  const native = createNativeCrypto(nativeBinding());
  return [...(native ? [native] : []), opensslCrypto, nobleCrypto];
}

// ---- whole handshakes ----

function identity(seed: number) {
  const privateKey = pattern(32, seed);
  return { privateKey, publicKey: nobleCrypto.publicKey(privateKey) };
}

const INITIATOR = identity(10);
const RESPONDER = identity(11);
const EPHEMERALS = [pattern(32, 12), pattern(32, 13)] as const;
const SHARED = nobleCrypto.dh(INITIATOR.privateKey, RESPONDER.publicKey)!;

function start(crypto: CryptoProvider): SymmetricState {
  return SymmetricState.start(crypto, ascii(CONSTRUCTION), ascii(IDENTIFIER), RESPONDER.publicKey);
}

function writeOne(crypto: CryptoProvider, state: SymmetricState, ephemeral: Uint8Array) {
  return writeMessageOne(crypto, state, INITIATOR, ephemeral, RESPONDER.publicKey, SHARED, TIMESTAMP)!;
}

function writeTwo(crypto: CryptoProvider, state: SymmetricState, initiatorEphemeral: Uint8Array) {
  const ephemeral = EPHEMERALS[1].slice();
  return writeMessageTwo(crypto, state, ephemeral, initiatorEphemeral, INITIATOR.publicKey, PSK, EMPTY)!;
}

/** The messages that both sides read, created once. */
const ONE = writeOne(nobleCrypto, start(nobleCrypto), EPHEMERALS[0]);
const TWO = (() => {
  const state = start(nobleCrypto);
  readOne(nobleCrypto, state);
  return writeTwo(nobleCrypto, state, ONE.ephemeral);
})();

function readOne(crypto: CryptoProvider, state: SymmetricState): boolean {
  const who = readMessageOneStatic(crypto, state, RESPONDER, ONE.ephemeral, ONE.static);
  return who !== undefined && readMessageOnePayload(state, SHARED, ONE.payload) !== undefined;
}

/** Writes message one and reads message two. @returns the transport keys */
function initiate(crypto: CryptoProvider): Uint8Array[] | undefined {
  const ephemeral = EPHEMERALS[0].slice();
  const state = start(crypto);
  writeOne(crypto, state, ephemeral);
  const read = readMessageTwo(crypto, state, INITIATOR, ephemeral, TWO.ephemeral, PSK, TWO.payload);
  return read && state.split();
}

/** Reads message one and writes message two. @returns the transport keys */
function respond(crypto: CryptoProvider): Uint8Array[] | undefined {
  const state = start(crypto);
  if (!readOne(crypto, state)) return undefined;
  writeTwo(crypto, state, ONE.ephemeral);
  return state.split();
}

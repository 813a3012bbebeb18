/**
 * The vectors of ../shared/vectors/cacophony. IKpsk2 runs through protocol/noise.ts, as initiator
 * and as responder: with another prologue and other payloads than WireGuard's, but the same code.
 * IK, which WireGuard does not use, runs only through the SymmetricState of that file.
 */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { ascii, CONSTRUCTION } from '../../src/protocol/constants.ts';
import {
  readMessageOnePayload,
  readMessageOneStatic,
  readMessageTwo,
  SymmetricState,
  writeMessageOne,
  writeMessageTwo,
} from '../../src/protocol/noise.ts';
import { describeWith } from '../netns/needs.ts';
import { cryptoProviders } from '../support/crypto-providers.ts';
import { sharedVectors } from '../support/shared.ts';
import { hex, toHex } from '../support/vectors.ts';

interface NoiseVector {
  protocol_name: string;
  init_prologue: string;
  init_psks?: string[];
  init_static: string;
  init_ephemeral: string;
  init_remote_static: string;
  resp_prologue: string;
  resp_psks?: string[];
  resp_static: string;
  resp_ephemeral: string;
  handshake_hash: string;
  messages: { payload: string; ciphertext: string }[];
}

const FILE = sharedVectors('cacophony/noise-ik.json');
const IK = CONSTRUCTION.replace('psk2', '');
const all = existsSync(FILE) ? read() : [];
const vectors = all.filter(vector => vector.protocol_name === CONSTRUCTION);

describeWith(['../shared/vectors'], 'Noise', () => {
  test('the vectors cover exactly both patterns', () => {
    expect(all.map(vector => vector.protocol_name).sort()).toEqual([CONSTRUCTION, IK].sort());
    for (const vector of all) expect(vector.messages.length).toBeGreaterThan(2);
  });

  for (const crypto of cryptoProviders)
    for (const vector of all.filter(({ protocol_name }) => protocol_name === IK))
      test(`${crypto.name}: both sides of ${vector.protocol_name}`, () => withoutPsk(crypto, vector));

  for (const crypto of cryptoProviders)
    for (const vector of vectors) {
      test(`${crypto.name}: initiator of ${vector.protocol_name}`, () => initiator(crypto, vector));
      test(`${crypto.name}: responder of ${vector.protocol_name}`, () => responder(crypto, vector));
      test(`${crypto.name}: another preshared key is detected`, () => wrongPsk(crypto, vector));
    }
});

function read(): NoiseVector[] {
  return (JSON.parse(readFileSync(FILE, 'utf8')) as { vectors: NoiseVector[] }).vectors;
}

const own = (crypto: CryptoProvider, text: string) => ({
  privateKey: hex(text),
  publicKey: crypto.publicKey(hex(text)),
});

/** e, then the sealed static key (message one only), then the sealed payload. */
function cut(message: string, ...sizes: number[]): Uint8Array[] {
  const bytes = hex(message);
  let at = 0;
  const parts = sizes.map(size => {
    at += size;
    return bytes.slice(at - size, at);
  });
  return [...parts, bytes.slice(at)];
}

function joined(...parts: Uint8Array[]): string | undefined {
  return toHex(Buffer.concat(parts));
}

function initiator(crypto: CryptoProvider, v: NoiseVector, psk = v.init_psks![0]!): void {
  const [first, second] = v.messages;
  const us = own(crypto, v.init_static);
  const them = hex(v.init_remote_static);
  const state = SymmetricState.start(crypto, ascii(v.protocol_name), hex(v.init_prologue), them);
  const shared = crypto.dh(us.privateKey, them)!;
  const ephemeral = hex(v.init_ephemeral);
  const one = writeMessageOne(crypto, state, us, ephemeral, them, shared, hex(first!.payload))!;
  expect(joined(one.ephemeral, one.static, one.payload)).toBe(first!.ciphertext);
  const [theirEphemeral, sealed] = cut(second!.ciphertext, 32);
  const payload = readMessageTwo(crypto, state, us, ephemeral, theirEphemeral!, hex(psk), sealed!);
  expect(toHex(payload)).toBe(second!.payload);
  finish(crypto, state, v);
}

function responder(crypto: CryptoProvider, v: NoiseVector): void {
  const [first, second] = v.messages;
  const us = own(crypto, v.resp_static);
  expect(toHex(us.publicKey)).toBe(v.init_remote_static);
  const state = SymmetricState.start(crypto, ascii(v.protocol_name), hex(v.resp_prologue), us.publicKey);
  const [theirEphemeral, sealedStatic, sealedPayload] = cut(first!.ciphertext, 32, 48);
  const them = readMessageOneStatic(crypto, state, us, theirEphemeral!, sealedStatic!)!;
  expect(toHex(them)).toBe(toHex(crypto.publicKey(hex(v.init_static))));
  const shared = crypto.dh(us.privateKey, them)!;
  expect(toHex(readMessageOnePayload(state, shared, sealedPayload!))).toBe(first!.payload);
  const psk = hex(v.resp_psks![0]!);
  const payload = hex(second!.payload);
  const two = writeMessageTwo(crypto, state, hex(v.resp_ephemeral), theirEphemeral!, them, psk, payload)!;
  expect(joined(two.ephemeral, two.payload)).toBe(second!.ciphertext);
  finish(crypto, state, v);
}

/**
 * -> e, es, s, ss; <- e, ee, se. Without the psk modifier, ephemeral keys are hashed but not mixed
 * into the chaining key.
 */
function withoutPsk(crypto: CryptoProvider, v: NoiseVector): void {
  const [first, second] = v.messages;
  const [si, sr, ei, er] = [v.init_static, v.resp_static, v.init_ephemeral, v.resp_ephemeral].map(k => own(crypto, k));
  const dh = (a: typeof si, b: typeof si) => crypto.dh(a!.privateKey, b!.publicKey)!;
  const start = () => SymmetricState.start(crypto, ascii(v.protocol_name), hex(v.init_prologue), sr!.publicKey);
  const [sending, receiving] = [start(), start()];
  const [, sealedStatic, sealedFirst] = cut(first!.ciphertext, 32, 48);
  for (const state of [sending, receiving]) {
    state.mixHash(ei!.publicKey);
    state.mixKey(dh(ei, sr));
  }
  const made = [ei!.publicKey, sending.seal(si!.publicKey)];
  expect(receiving.open(sealedStatic!)).toEqual(si!.publicKey);
  for (const state of [sending, receiving]) state.mixKey(dh(si, sr));
  expect(joined(...made, sending.seal(hex(first!.payload)))).toBe(first!.ciphertext);
  expect(toHex(receiving.open(sealedFirst!))).toBe(first!.payload);
  for (const state of [sending, receiving]) {
    state.mixHash(er!.publicKey);
    state.mixKey(dh(er, ei));
    state.mixKey(dh(er, si));
  }
  expect(joined(er!.publicKey, receiving.seal(hex(second!.payload)))).toBe(second!.ciphertext);
  expect(toHex(sending.open(cut(second!.ciphertext, 32)[1]!))).toBe(second!.payload);
  finish(crypto, sending, v);
  finish(crypto, receiving, v);
}

/**
 * The transcript hash, and the messages after the handshake, alternately by initiator and
 * responder.
 */
function finish(crypto: CryptoProvider, state: SymmetricState, v: NoiseVector): void {
  expect(toHex(state.hash)).toBe(v.handshake_hash);
  const keys = state.split();
  const none = new Uint8Array(0);
  for (const [i, { payload, ciphertext }] of v.messages.slice(2).entries()) {
    const nonce = new Uint8Array(12);
    nonce[4] = i >> 1;
    expect(toHex(crypto.seal(keys[i & 1]!, nonce, hex(payload), none))).toBe(ciphertext);
    expect(toHex(crypto.open(keys[i & 1]!, nonce, hex(ciphertext), none))).toBe(payload);
  }
}

function wrongPsk(crypto: CryptoProvider, v: NoiseVector): void {
  const psk = hex(v.init_psks![0]!);
  psk[31]! ^= 1;
  expect(() => initiator(crypto, v, toHex(psk)!)).toThrow(/expected undefined to be/);
}

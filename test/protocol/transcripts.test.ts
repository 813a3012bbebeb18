/**
 * Reproduces the transcripts of vectors/handshake.json, which a program in another language made
 * from the whitepaper: creates each message as its sender and consumes it as its receiver. Also
 * kdf.json and tai64n.json. On every provider.
 */
import { describe, expect, test } from 'vitest';
import { makeEndpoint } from '../../src/base/endpoint.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { writeU32le } from '../../src/packet/byte-order.ts';
import { COOKIE_REPLY_SIZE } from '../../src/packet/cookie-reply.ts';
import {
  INITIATION_EPHEMERAL,
  INITIATION_MAC1,
  INITIATION_SIZE,
  INITIATION_STATIC,
  INITIATION_TIMESTAMP,
} from '../../src/packet/initiation.ts';
import { RESPONSE_SIZE } from '../../src/packet/response.ts';
import { ascii, CONSTRUCTION, IDENTIFIER } from '../../src/protocol/constants.ts';
import { CookieChecker } from '../../src/protocol/cookie.ts';
import { Device } from '../../src/protocol/device.ts';
import { consumeInitiation, consumeResponse, createInitiation, createResponse } from '../../src/protocol/handshake.ts';
import {
  readMessageOnePayload,
  readMessageOneStatic,
  SymmetricState,
  writeMessageTwo,
} from '../../src/protocol/noise.ts';
import { compareTai64n, tai64n } from '../../src/protocol/tai64n.ts';
import { cryptoProviders, packetCipher } from '../support/crypto-providers.ts';
import { openMessage, sealMessage } from '../support/transport-message.ts';
import { hex, ownVectors, toHex } from '../support/vectors.ts';

interface Direction {
  key: string;
  messages: { counter: string; packet: string; message: string }[];
}
interface Transcript {
  name: string;
  initiator: { private: string; public: string; ephemeral: string; index: number; address: string; port: number };
  responder: {
    private: string;
    public: string;
    ephemeral: string;
    index: number;
    cookieSecret: string;
    cookieNonce: string;
  };
  presharedKey: string;
  wall: string;
  timestamp: string;
  initiation: string;
  cookie: string;
  cookieReply: string;
  initiationWithMac2: string;
  response: string;
  chainingKey: string;
  hash: string;
  toResponder: Direction;
  toInitiator: Direction;
}

const { handshakes } = ownVectors<{ handshakes: Transcript[] }>('handshake.json');
const chain = ownVectors<{ steps: { key: string; input: string; out: string[] }[] }>('kdf.json').steps;
const instants = ownVectors<{ cases: { wall: string; out: string }[] }>('tai64n.json').cases;

const u32 = (value: number) => {
  const bytes = new Uint8Array(4);
  writeU32le(bytes, 0, value);
  return bytes;
};

/** The randomness of the transcript, in the order of requests. */
function scripted(...script: Uint8Array[]): (bytes: Uint8Array) => void {
  return bytes => {
    const next = script.shift();
    if (next?.length !== bytes.length) throw new Error(`nothing in the script of ${bytes.length} bytes`);
    bytes.set(next);
  };
}

function device(crypto: CryptoProvider, given: Transcript, role: 'initiator' | 'responder') {
  const own = given[role];
  const other = given[role === 'initiator' ? 'responder' : 'initiator'];
  const made = new Device({
    crypto,
    cipher: packetCipher(crypto),
    random: scripted(hex(own.ephemeral), u32(own.index)),
    wall: () => BigInt(given.wall),
  });
  made.setIdentity(hex(own.private));
  expect(toHex(made.identity!.publicKey)).toBe(own.public);
  const peer = made.addPeer(hex(other.public));
  peer.presharedKey.set(hex(given.presharedKey));
  return { device: made, peer };
}

function initiate(crypto: CryptoProvider, given: Transcript) {
  const initiator = device(crypto, given, 'initiator');
  const message = new Uint8Array(INITIATION_SIZE);
  expect(createInitiation(initiator.device, initiator.peer, message)).toBe(true);
  initiator.peer.cookies.addMacs(message, 0);
  return { ...initiator, message };
}

for (const crypto of cryptoProviders)
  for (const given of handshakes)
    describe(`${crypto.name}: ${given.name}`, () => {
      test('the initiation', () => {
        expect(toHex(initiate(crypto, given).message)).toBe(given.initiation);
      });

      test('the cookie reply, and the initiation with mac2', () => {
        const { peer, message } = initiate(crypto, given);
        const { responder, initiator } = given;
        const script = scripted(hex(responder.cookieNonce), hex(responder.cookieSecret));
        const checker = new CookieChecker(crypto, script, hex(responder.public));
        const source = makeEndpoint(hex(initiator.address), initiator.port);
        expect(checker.validMac1(message)).toBe(true);
        const reply = new Uint8Array(COOKIE_REPLY_SIZE);
        checker.writeReply(reply, message, initiator.index, source, 0, 0);
        expect(toHex(reply)).toBe(given.cookieReply);

        expect(checker.validMac2(message, source, 0, 0)).toBe(false);
        expect(peer.cookies.takeReply(hex(given.cookieReply), 0)).toBe(true);
        peer.cookies.addMacs(message, 0);
        expect(toHex(message)).toBe(given.initiationWithMac2);
        expect(checker.validMac1(message)).toBe(true);
        expect(checker.validMac2(message, source, 0, 0)).toBe(true);
        const elsewhere = makeEndpoint(hex(initiator.address), initiator.port ^ 1);
        expect(checker.validMac2(message, elsewhere, 0, 0)).toBe(false);
      });

      test('the last state of the responder, and the session keys', () => {
        const { initiator, responder } = given;
        const message = hex(given.initiation);
        const privateKey = hex(responder.private);
        const own = { privateKey, publicKey: crypto.publicKey(privateKey) };
        const state = SymmetricState.start(crypto, ascii(CONSTRUCTION), ascii(IDENTIFIER), own.publicKey);
        const ephemeral = message.slice(INITIATION_EPHEMERAL, INITIATION_STATIC);
        const sealedStatic = message.subarray(INITIATION_STATIC, INITIATION_TIMESTAMP);
        expect(toHex(readMessageOneStatic(crypto, state, own, ephemeral, sealedStatic))).toBe(initiator.public);
        const shared = crypto.dh(privateKey, hex(initiator.public))!;
        const sealedTimestamp = message.subarray(INITIATION_TIMESTAMP, INITIATION_MAC1);
        expect(toHex(readMessageOnePayload(state, shared, sealedTimestamp))).toBe(given.timestamp);
        const psk = hex(given.presharedKey);
        const none = new Uint8Array(0);
        writeMessageTwo(crypto, state, hex(responder.ephemeral), ephemeral, hex(initiator.public), psk, none);
        expect(toHex(state.chainingKey)).toBe(given.chainingKey);
        expect(toHex(state.hash)).toBe(given.hash);
        expect(state.split().map(toHex)).toEqual([given.toResponder.key, given.toInitiator.key]);
      });

      test('the response, and packets both ways', () => {
        const initiator = initiate(crypto, given);
        const responder = device(crypto, given, 'responder');
        expect(responder.device.identity!.cookies.validMac1(hex(given.initiation))).toBe(true);
        const consumed = consumeInitiation(responder.device, hex(given.initiation), 0);
        if (typeof consumed === 'string') throw new Error(consumed);
        expect(toHex(responder.peer.latestTimestamp)).toBe(given.timestamp);
        const response = new Uint8Array(RESPONSE_SIZE);
        expect(createResponse(responder.device, consumed, response, 0)).toBe(true);
        responder.peer.cookies.addMacs(response, 0);
        expect(toHex(response)).toBe(given.response);

        expect(initiator.device.identity!.cookies.validMac1(hex(given.response))).toBe(true);
        expect(consumeResponse(initiator.device, hex(given.response), 0)).toBe(initiator.peer);
        const ends = {
          initiator: { cipher: initiator.device.cipher, keypair: initiator.peer.keypairs.current! },
          responder: { cipher: responder.device.cipher, keypair: responder.peer.keypairs.next! },
        };
        for (const [from, to, { messages }] of [
          [ends.initiator, ends.responder, given.toResponder],
          [ends.responder, ends.initiator, given.toInitiator],
        ] as const)
          for (const { counter, packet, message } of messages) {
            expect(toHex(sealMessage(from.cipher, from.keypair, BigInt(counter), hex(packet))), counter).toBe(message);
            const padded = packet.padEnd(Math.ceil(packet.length / 32) * 32, '0');
            expect(toHex(openMessage(to.cipher, to.keypair, hex(message))), counter).toBe(padded);
          }
      });
    });

for (const crypto of cryptoProviders)
  test(`${crypto.name}: the chain of Kdf_n`, () => {
    for (const { key, input, out } of chain)
      expect(crypto.kdf(hex(key), hex(input), out.length as 1 | 2 | 3).map(toHex)).toEqual(out);
    expect(new Set(chain.map(step => step.out.length))).toEqual(new Set([1, 2, 3]));
  });

test('TAI64N, whitened, and in the order of time', () => {
  for (const { wall, out } of instants) expect(toHex(tai64n(BigInt(wall))), wall).toBe(out);
  const ordered = instants.toSorted((a, b) => (BigInt(a.wall) < BigInt(b.wall) ? -1 : 1));
  for (let i = 1; i < ordered.length; i++)
    expect(compareTai64n(hex(ordered[i - 1]!.out), hex(ordered[i]!.out)), ordered[i]!.wall).toBeLessThanOrEqual(0);
});

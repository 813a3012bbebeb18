/**
 * Two real captures with all private keys. Each handshake is reproduced from its ephemeral keys,
 * indices and timestamp, as initiator and as responder, and must match byte for byte, including the
 * macs. So must every transport message.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseKeyBase64 } from '../../src/base/key.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { readU32le } from '../../src/packet/byte-order.ts';
import {
  INITIATION_EPHEMERAL,
  INITIATION_MAC1,
  INITIATION_SENDER,
  INITIATION_SIZE,
  INITIATION_STATIC,
  INITIATION_TIMESTAMP,
} from '../../src/packet/initiation.ts';
import { ipPacketLength } from '../../src/packet/ip-header.ts';
import { MESSAGE_INITIATION, MESSAGE_RESPONSE, MESSAGE_TRANSPORT, messageType } from '../../src/packet/message-type.ts';
import { RESPONSE_RECEIVER, RESPONSE_SENDER, RESPONSE_SIZE } from '../../src/packet/response.ts';
import { TRANSPORT_COUNTER, TRANSPORT_RECEIVER } from '../../src/packet/transport.ts';
import { ascii, CONSTRUCTION, IDENTIFIER } from '../../src/protocol/constants.ts';
import { CookieChecker } from '../../src/protocol/cookie.ts';
import { Device } from '../../src/protocol/device.ts';
import { consumeInitiation, consumeResponse, createInitiation, createResponse } from '../../src/protocol/handshake.ts';
import type { Keypair } from '../../src/protocol/keypair.ts';
import { readMessageOnePayload, readMessageOneStatic, SymmetricState } from '../../src/protocol/noise.ts';
import type { Peer } from '../../src/protocol/peer.ts';
import { describeWith } from '../netns/needs.ts';
import { cryptoProviders, packetCipher } from '../support/crypto-providers.ts';
import { readPcap } from '../support/pcap.ts';
import { sharedVectors } from '../support/shared.ts';
import { openMessage, sealMessage } from '../support/transport-message.ts';

interface CaptureKeys {
  static: Roles;
  [capture: string]: unknown;
}

interface CapturedHandshake {
  presharedKey?: string;
  ephemeralInitiator: string;
  ephemeralResponder: string;
  timestampNanoseconds?: number;
}

interface Roles {
  readonly initiator: { private: string; public: string };
  readonly responder: { private: string; public: string };
}

/**
 * Finds initiator and responder: either end of the capture may begin, and mac1 identifies the
 * receiver of a message.
 */
function rolesOf(crypto: CryptoProvider, message: Uint8Array, { initiator, responder }: Roles): Roles {
  const random = () => {};
  if (new CookieChecker(crypto, random, key(responder.public)).validMac1(message)) return { initiator, responder };
  expect(new CookieChecker(crypto, random, key(initiator.public)).validMac1(message)).toBe(true);
  return { initiator: responder, responder: initiator };
}

interface Side {
  readonly device: Device;
  readonly keypair: Keypair;
}

const key = (text: string) => parseKeyBase64(text)!;

/** A device with one peer and scripted randomness. */
function scripted(crypto: CryptoProvider, own: string, peerKey: string, psk: string | undefined, script: Uint8Array[]) {
  const random = (bytes: Uint8Array) => {
    const next = script.shift();
    if (next?.length !== bytes.length) throw new Error(`the script does not say what ${bytes.length} bytes to give`);
    bytes.set(next);
  };
  const device = new Device({ crypto, cipher: packetCipher(crypto), random, wall: () => 0n });
  device.setIdentity(key(own));
  const peer = device.addPeer(key(peerKey));
  if (psk) peer.presharedKey.set(key(psk));
  return { device, peer };
}

const u32 = (value: number) => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);

/** Opens the initiation with the responder's key to get its timestamp. */
function timestampOf(crypto: CryptoProvider, message: Uint8Array, roles: Roles): Uint8Array {
  const privateKey = key(roles.responder.private);
  const own = { privateKey, publicKey: crypto.publicKey(privateKey) };
  const state = SymmetricState.start(crypto, ascii(CONSTRUCTION), ascii(IDENTIFIER), own.publicKey);
  const ephemeral = message.subarray(INITIATION_EPHEMERAL, INITIATION_STATIC);
  const initiator = readMessageOneStatic(
    crypto,
    state,
    own,
    ephemeral,
    message.subarray(INITIATION_STATIC, INITIATION_TIMESTAMP),
  )!;
  expect(initiator).toEqual(key(roles.initiator.public));
  return readMessageOnePayload(
    state,
    crypto.dh(privateKey, initiator)!,
    message.subarray(INITIATION_TIMESTAMP, INITIATION_MAC1),
  )!;
}

describeWith(['../shared/vectors'], 'captures', () => {
  for (const crypto of cryptoProviders)
    for (const name of ['wireguard-ping-tcp.pcap', 'wireguard-psk.pcap'])
      test(`${name} is reproduced byte for byte with ${crypto.name}`, () => {
        const keys = JSON.parse(readFileSync(sharedVectors('captures/keys.json'), 'utf8')) as CaptureKeys;
        const { handshakes } = keys[name] as { handshakes: CapturedHandshake[] };
        const datagrams = readPcap(sharedVectors(`captures/${name}`));
        let number = -1;
        let initiator: { device: Device; peer: Peer } | undefined;
        let responder: { device: Device; peer: Peer } | undefined;
        let initiation: Uint8Array | undefined;
        let roles: Roles | undefined;
        const sides: Side[] = [];
        const seen = { initiations: 0, responses: 0, transports: 0 };
        for (const { frame, payload } of datagrams) {
          switch (messageType(payload, 0, payload.length)) {
            case MESSAGE_INITIATION: {
              number++;
              seen.initiations++;
              initiation = payload;
              const given = handshakes[number]!;
              const sender = payload.slice(INITIATION_SENDER, INITIATION_SENDER + 4);
              roles = rolesOf(crypto, payload, keys.static);
              initiator = scripted(crypto, roles.initiator.private, roles.responder.public, given.presharedKey, [
                key(given.ephemeralInitiator),
                sender,
              ]);
              const timestamp = timestampOf(crypto, payload, roles);
              if (given.timestampNanoseconds !== undefined)
                expect(new DataView(timestamp.buffer, timestamp.byteOffset).getUint32(8)).toBe(
                  given.timestampNanoseconds,
                );
              initiator.device.timestamp = () => timestamp;
              const made = new Uint8Array(INITIATION_SIZE);
              expect(createInitiation(initiator.device, initiator.peer, made)).toBe(true);
              initiator.peer.cookies.addMacs(made, 0);
              expect(Buffer.from(made), `frame ${frame}`).toEqual(Buffer.from(payload));
              break;
            }
            case MESSAGE_RESPONSE: {
              seen.responses++;
              const given = handshakes[number]!;
              responder = scripted(crypto, roles!.responder.private, roles!.initiator.public, given.presharedKey, [
                key(given.ephemeralResponder),
                u32(readU32le(payload, RESPONSE_SENDER)),
              ]);
              expect(responder.device.identity!.cookies.validMac1(initiation!)).toBe(true);
              const consumed = consumeInitiation(responder.device, initiation!, 0);
              if (typeof consumed === 'string') throw new Error(`frame ${frame}: ${consumed}`);
              const made = new Uint8Array(RESPONSE_SIZE);
              expect(createResponse(responder.device, consumed, made, 0)).toBe(true);
              responder.peer.cookies.addMacs(made, 0);
              expect(Buffer.from(made), `frame ${frame}`).toEqual(Buffer.from(payload));
              expect(readU32le(payload, RESPONSE_RECEIVER)).toBe(readU32le(initiation!, INITIATION_SENDER));
              expect(initiator!.device.identity!.cookies.validMac1(payload)).toBe(true);
              expect(consumeResponse(initiator!.device, payload, 0)).toBe(initiator!.peer);
              sides.push(
                { device: initiator!.device, keypair: initiator!.peer.keypairs.current! },
                { device: responder.device, keypair: responder.peer.keypairs.next! },
              );
              break;
            }
            case MESSAGE_TRANSPORT: {
              seen.transports++;
              const index = readU32le(payload, TRANSPORT_RECEIVER);
              const receiving = sides.find(side => side.keypair.localIndex === index)!;
              const sending = sides.find(side => side.keypair.remoteIndex === index)!;
              const padded = openMessage(receiving.device.cipher, receiving.keypair, payload);
              const packet = padded.subarray(0, padded.length && ipPacketLength(padded, 0, padded.length));
              const counter = new DataView(payload.buffer, payload.byteOffset).getBigUint64(TRANSPORT_COUNTER, true);
              const made = sealMessage(sending.device.cipher, sending.keypair, counter, packet);
              expect(Buffer.from(made), `frame ${frame}`).toEqual(Buffer.from(payload));
              break;
            }
            default:
              throw new Error(`frame ${frame} is no WireGuard message`);
          }
        }
        expect(seen.initiations).toBe(handshakes.length);
        expect(seen.responses).toBe(handshakes.length);
        // the capture with preshared keys holds only handshakes
        expect(seen.transports > 0).toBe(name === 'wireguard-ping-tcp.pcap');
      });
});

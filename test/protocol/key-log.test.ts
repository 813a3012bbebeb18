/** The keys that an engine logs on request, as Wireshark needs them. */
import { expect, test } from 'vitest';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import { INITIATION_EPHEMERAL, INITIATION_SIZE } from '../../src/packet/initiation.ts';
import { RESPONSE_EPHEMERAL, RESPONSE_SIZE } from '../../src/packet/response.ts';
import { Device, type KeyLog } from '../../src/protocol/device.ts';
import { consumeInitiation, createInitiation, createResponse } from '../../src/protocol/handshake.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';
import { seeded } from '../support/random.ts';

test('each side logs its own keys, the key of the peer and the preshared key, once per handshake', () => {
  const random = seeded(1);
  const psk = random.bytes(32);
  const made = [0, 1].map(() => {
    const logged: [Parameters<KeyLog>[0], Uint8Array][] = [];
    const device = new Device({
      crypto: opensslCrypto,
      cipher: new TwinCipher(opensslPacketAead),
      random: bytes => random.fill(bytes),
      wall: () => 1n,
      // a copy, since the engine erases the key afterwards
      keyLog: (label, key) => logged.push([label, Uint8Array.from(key)]),
    });
    device.setIdentity(random.bytes(32));
    return { device, logged, own: device.identity! };
  });
  const [a, b] = made as [(typeof made)[0], (typeof made)[0]];
  const ofB = a.device.addPeer(b.own.publicKey);
  const ofA = b.device.addPeer(a.own.publicKey);
  for (const peer of [ofA, ofB]) peer.presharedKey.set(psk);

  const initiation = new Uint8Array(INITIATION_SIZE);
  expect(createInitiation(a.device, ofB, initiation)).toBe(true);
  const consumed = consumeInitiation(b.device, initiation, 0);
  if (typeof consumed === 'string') throw new Error(consumed);
  expect(b.logged).toEqual([]);
  const response = new Uint8Array(RESPONSE_SIZE);
  expect(createResponse(b.device, consumed, response, 0)).toBe(true);

  for (const [side, peer, message, offset] of [
    [a, b, initiation, INITIATION_EPHEMERAL],
    [b, a, response, RESPONSE_EPHEMERAL],
  ] as const) {
    expect(side.logged.map(([label]) => label)).toEqual([
      'LOCAL_STATIC_PRIVATE_KEY',
      'REMOTE_STATIC_PUBLIC_KEY',
      'LOCAL_EPHEMERAL_PRIVATE_KEY',
      'PRESHARED_KEY',
    ]);
    const [own, remote, ephemeral, shared] = side.logged.map(([, key]) => key) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    expect(own).toEqual(side.own.privateKey);
    expect(remote).toEqual(peer.own.publicKey);
    expect(opensslCrypto.publicKey(ephemeral)).toEqual(message.slice(offset, offset + 32));
    expect(shared).toEqual(psk);
  }
});

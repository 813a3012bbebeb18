/**
 * Keys whose shared secret is zero, at each DH of the handshake: as in the kernel, no message is
 * made or read with one. The callers in handshake.ts refuse most of them before.
 */
import { describe, expect, test } from 'vitest';
import { readMessageOneStatic, SymmetricState, writeMessageOne, writeMessageTwo } from '../../src/protocol/noise.ts';
import { cryptoProviders } from '../support/crypto-providers.ts';
import { LOW_ORDER } from '../support/low-order.ts';

const NAME = new TextEncoder().encode('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s');
const NOTHING = new Uint8Array(0);

describe.each(cryptoProviders)('%#', crypto => {
  const secret = new Uint8Array(32).fill(7);
  const own = { privateKey: secret, publicKey: crypto.publicKey(secret) };
  const good = crypto.publicKey(new Uint8Array(32).fill(9));
  const start = (responder: Uint8Array) => SymmetricState.start(crypto, NAME, NOTHING, responder);
  const sealed = new Uint8Array(48);

  test.each(LOW_ORDER.map(point => [Buffer.from(point).toString('hex'), point] as const))('%s', (_hex, point) => {
    expect(writeMessageOne(crypto, start(point), own, secret, point, secret, NOTHING)).toBeUndefined();
    expect(readMessageOneStatic(crypto, start(own.publicKey), own, point, sealed)).toBeUndefined();
    expect(writeMessageTwo(crypto, start(good), secret, point, good, secret, NOTHING)).toBeUndefined();
    expect(writeMessageTwo(crypto, start(good), secret, good, point, secret, NOTHING)).toBeUndefined();
  });

  test('a good key is taken', () => {
    expect(writeMessageOne(crypto, start(good), own, secret, good, secret, NOTHING)).toBeDefined();
    expect(writeMessageTwo(crypto, start(good), secret, good, good, secret, NOTHING)).toBeDefined();
  });
});

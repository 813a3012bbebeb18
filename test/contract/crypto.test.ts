/**
 * The contract of CryptoProvider (src/crypto/provider.ts) for every provider: values of the RFCs,
 * and required refusals.
 */
import { describe, expect, test } from 'vitest';
import { KeptKeys } from '../../src/crypto/node/kept-keys.ts';
import { withSubkey } from '../../src/crypto/node/openssl.ts';
import { testWith } from '../netns/needs.ts';
import { cryptoProviders, withoutNativeCrypto } from '../support/crypto-providers.ts';
import { hex, ownVectors, toHex } from '../support/vectors.ts';

interface Sourced {
  source: string;
}
interface Dh extends Sourced {
  private: string;
  public: string;
}
interface Aead extends Sourced {
  key: string;
  nonce: string;
  aad: string;
  plaintext: string;
  ciphertext: string;
}
interface Rfc {
  blake2s: (Sourced & { data: string; out: string })[];
  x25519: (Dh & { shared: string })[];
  x25519Iterated: (Sourced & { times: number; out: string })[];
  x25519PublicKeys: Dh[];
  chacha20Poly1305: Aead[];
  hchacha20: (Sourced & { key: string; nonce: string; out: string })[];
  xchacha20Poly1305: Aead[];
  lowOrder: (Sourced & { public: string })[];
}
const rfc = ownVectors<Rfc>('rfc.json');
const blake = ownVectors<Record<'hash' | 'mac' | 'hmac', { key: string; data: string; out: string }[]>>('blake2s.json');

const filled = (n: number, value = 0) => new Uint8Array(n).fill(value);

describe('providers', () => {
  test('have distinct names', () => {
    const names = cryptoProviders.map(provider => provider.name);
    expect(names.slice(0, 2)).toEqual(['noble', 'openssl']);
    expect(new Set(names).size).toBe(names.length);
  });

  testWith(['addon'], 'native is among them', () => {
    expect(withoutNativeCrypto).toBe(undefined);
    expect(cryptoProviders.at(-1)!.name).toBe('native');
  });
});

describe('the subkey of XChaCha20', () => {
  for (const vector of rfc.hchacha20)
    test(vector.source, () => {
      const nonce = Uint8Array.of(...hex(vector.nonce), 1, 2, 3, 4, 5, 6, 7, 8);
      const got = withSubkey(hex(vector.key), nonce, (subkey, short) => [toHex(subkey), toHex(short)]);
      expect(got).toEqual([vector.out, '000000000102030405060708']);
    });

  test('is erased', () => {
    const kept = withSubkey(filled(32, 1), filled(24), subkey => subkey);
    expect(kept).toEqual(filled(32));
  });
});

for (const crypto of cryptoProviders)
  describe(`${crypto.name}: hash, mac, hmac`, () => {
    for (const vector of rfc.blake2s)
      test(vector.source, () => expect(toHex(crypto.hash(hex(vector.data)))).toBe(vector.out));

    test('BLAKE2s of every length, in parts and as a whole', () => {
      for (const { data, out } of blake.hash) {
        const bytes = hex(data);
        expect(toHex(crypto.hash(bytes))).toBe(out);
        const cut = bytes.length >> 1;
        expect(toHex(crypto.hash(bytes.subarray(0, cut), filled(0), bytes.subarray(cut)))).toBe(out);
      }
      expect(crypto.hash()).toEqual(crypto.hash(filled(0)));
    });

    test('keyed BLAKE2s of 16 bytes', () => {
      for (const { key, data, out } of blake.mac) expect(toHex(crypto.mac(hex(key), hex(data)))).toBe(out);
    });

    test('HMAC-BLAKE2s', () => {
      for (const { key, data, out } of blake.hmac) expect(toHex(crypto.hmac(hex(key), hex(data)))).toBe(out);
    });

    test('refuses a mac key of 0 or 33 bytes', () => {
      for (const size of [0, 33]) expect(() => crypto.mac(filled(size), filled(1))).toThrow(RangeError);
    });

    test('equal compares contents and lengths', () => {
      const bytes = crypto.hash();
      expect(crypto.equal(bytes, bytes.slice())).toBe(true);
      expect(crypto.equal(filled(0), filled(0))).toBe(true);
      for (let i = 0; i < bytes.length * 8; i++) {
        const other = bytes.slice();
        other[i >> 3]! ^= 1 << (i & 7);
        expect(crypto.equal(bytes, other)).toBe(false);
      }
      for (let size = 0; size < bytes.length; size++) {
        expect(crypto.equal(bytes, bytes.subarray(0, size))).toBe(false);
        expect(crypto.equal(bytes.subarray(0, size), bytes)).toBe(false);
      }
    });
  });

for (const crypto of cryptoProviders)
  describe(`${crypto.name}: X25519`, () => {
    for (const vector of rfc.x25519)
      test(vector.source, () => expect(toHex(crypto.dh(hex(vector.private), hex(vector.public)))).toBe(vector.shared));

    for (const vector of rfc.x25519PublicKeys)
      test(`${vector.source}, public key`, () =>
        expect(toHex(crypto.publicKey(hex(vector.private)))).toBe(vector.public));

    test('RFC 7748 section 5.2, iterated', () => {
      let k: Uint8Array = Uint8Array.of(9, ...filled(31));
      let u = k;
      const times = new Map(rfc.x25519Iterated.map(({ times, out }) => [times, out]));
      expect(Math.max(...times.keys())).toBe(1000);
      for (let i = 1; i <= 1000; i++) {
        [k, u] = [crypto.dh(k, u)!, k];
        if (times.has(i)) expect(toHex(k)).toBe(times.get(i));
      }
    });

    test('a point of low order gives undefined', () => {
      expect(rfc.lowOrder).toHaveLength(14);
      for (const privateKey of [filled(32), filled(32, 0xff), crypto.hash()])
        for (const vector of rfc.lowOrder)
          expect(crypto.dh(privateKey, hex(vector.public)), vector.source).toBe(undefined);
    });

    test('does not change a private key, and reads its array at each call', () => {
      const key = filled(32, 0xff);
      const point = Uint8Array.of(9, ...filled(31));
      const first = crypto.dh(key, point);
      expect(key).toEqual(filled(32, 0xff));
      expect(crypto.publicKey(key)).toEqual(first);
      key.fill(0x33);
      const second = crypto.dh(key, point);
      expect(second).toEqual(crypto.dh(filled(32, 0x33), point));
      expect(crypto.publicKey(key)).toEqual(second);
      expect(second).not.toEqual(first);
    });

    test('results belong to the caller', () => {
      const [key, point] = [filled(32, 7), Uint8Array.of(9, ...filled(31))];
      crypto.dh(key, point)!.fill(0);
      crypto.publicKey(key).fill(0);
      expect(crypto.dh(key, point)).toEqual(crypto.publicKey(key));
      expect(crypto.dh(key, point)).not.toEqual(filled(32));
    });

    test('keys of other sizes are refused', () => {
      for (const size of [0, 31, 33]) {
        expect(() => crypto.dh(filled(size), filled(32, 9))).toThrow(RangeError);
        expect(() => crypto.dh(filled(32), filled(size, 9))).toThrow(RangeError);
        expect(() => crypto.publicKey(filled(size))).toThrow(RangeError);
      }
    });
  });

for (const crypto of cryptoProviders)
  for (const [name, seal, open, nonceSize, vectors] of [
    ['ChaCha20-Poly1305', crypto.seal, crypto.open, 12, rfc.chacha20Poly1305],
    ['XChaCha20-Poly1305', crypto.xseal, crypto.xopen, 24, rfc.xchacha20Poly1305],
  ] as const)
    describe(`${crypto.name}: ${name}`, () => {
      for (const vector of vectors)
        test(vector.source, () => {
          const [key, nonce, aad] = [hex(vector.key), hex(vector.nonce), hex(vector.aad)];
          expect(toHex(seal(key, nonce, hex(vector.plaintext), aad))).toBe(vector.ciphertext);
          expect(toHex(open(key, nonce, hex(vector.ciphertext), aad))).toBe(vector.plaintext);
        });

      test('detects every changed bit, and opening changes no input', () => {
        const [key, nonce, plaintext, aad] = [filled(32, 1), filled(nonceSize, 2), filled(5, 3), filled(3, 4)];
        const given = [key, nonce, seal(key, nonce, plaintext, aad), aad] as const;
        const before = given.map(toHex);
        for (const part of given)
          for (let i = 0; i < part.length * 8; i++) {
            part[i >> 3]! ^= 1 << (i & 7);
            expect(open(...given)).toBe(undefined);
            part[i >> 3]! ^= 1 << (i & 7);
          }
        expect(given.map(toHex)).toEqual(before);
        expect(open(...given)).toEqual(plaintext);
      });

      test('a text that is too short, too long or truncated is refused', () => {
        const [key, nonce, none] = [filled(32), filled(nonceSize), filled(0)];
        for (let size = 0; size < 16; size++) expect(open(key, nonce, filled(size), none)).toBe(undefined);
        const sealed = seal(key, nonce, filled(40), none);
        for (let size = 0; size < sealed.length; size++)
          expect(open(key, nonce, sealed.subarray(0, size), none)).toBe(undefined);
        expect(open(key, nonce, Uint8Array.of(...sealed, 0), none)).toBe(undefined);
      });

      test('an empty text can be sealed', () => {
        const [key, nonce, none] = [filled(32), filled(nonceSize), filled(0)];
        const sealed = seal(key, nonce, none, none);
        expect(sealed).toHaveLength(16);
        expect(open(key, nonce, sealed, none)).toEqual(none);
      });

      test('keys and nonces of other sizes are refused', () => {
        for (const size of [0, 8, nonceSize - 1, nonceSize + 1])
          for (const run of [seal, open])
            expect(() => run(filled(32), filled(size), filled(16), filled(0))).toThrow(RangeError);
        for (const size of [0, 16, 31, 33])
          for (const run of [seal, open])
            expect(() => run(filled(size), filled(nonceSize), filled(16), filled(0))).toThrow(RangeError);
      });
    });

describe('a forgotten private key', () => {
  for (const crypto of cryptoProviders)
    test(`${crypto.name}: is overwritten, and its array may hold another key`, () => {
      const [first, second] = [filled(32, 1), filled(32, 2)];
      const ofSecond = crypto.publicKey(second);
      expect(crypto.publicKey(first)).not.toEqual(ofSecond);
      expect(crypto.dh(first, ofSecond)).toBeDefined();
      crypto.forget(first);
      expect(first).toEqual(filled(32));
      first.set(second);
      expect([crypto.publicKey(first), crypto.dh(first, ofSecond)]).toEqual([ofSecond, crypto.dh(second, ofSecond)]);
      crypto.forget(first);
      crypto.forget(first);
      crypto.forget(filled(32, 3));
    });
});

describe('the data kept with a private key', () => {
  test('is erased with the key, and when its array holds another key', () => {
    const erased: number[] = [];
    const keys = new KeptKeys(
      key => key[0]!,
      made => erased.push(made),
    );
    const key = filled(32, 7);
    expect([keys.get(key), keys.get(key), erased.length]).toEqual([7, 7, 0]);
    key.fill(8);
    expect([keys.get(key), ...erased]).toEqual([8, 7]);
    keys.forget(key);
    expect([key[0], ...erased]).toEqual([0, 7, 8]);
  });
});

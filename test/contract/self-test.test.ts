/** The known-answer test that a provider must pass before use (src/crypto/self-test.ts). */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { createNativeCrypto } from '../../src/crypto/node/native.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { passesSelfTest } from '../../src/crypto/self-test.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { testWith } from '../netns/needs.ts';
import { cryptoProviders } from '../support/crypto-providers.ts';

for (const crypto of cryptoProviders) test(`${crypto.name} passes`, () => expect(passesSelfTest(crypto)).toBe(true));

/** Flips one bit of the first byte array in a result. */
function spoil(result: unknown): unknown {
  if (result instanceof Uint8Array) {
    if (result.length > 0) result[0]! ^= 1;
  } else if (typeof result === 'boolean') return !result;
  else if (typeof result === 'object' && result) spoil(Object.values(result)[0]);
  return result;
}

describe('detects one wrong bit of any function', () => {
  const openssl = cryptoProviders[1]!;
  for (const [name, value] of Object.entries(openssl)) {
    if (typeof value !== 'function' || name === 'forget') continue;
    test(name, () => {
      const call = value as (...given: unknown[]) => unknown;
      const spoilt = { ...openssl, [name]: (...given: unknown[]) => spoil(call(...given)) } as CryptoProvider;
      expect(passesSelfTest(spoilt)).toBe(false);
    });
    test(`${name} throws`, () => {
      const broken = {
        ...openssl,
        [name]: () => {
          throw new Error('broken');
        },
      } as CryptoProvider;
      expect(passesSelfTest(broken)).toBe(false);
    });
  }

  test('detects an accepted low order point', () => {
    const dh: CryptoProvider['dh'] = (...given) => openssl.dh(...given) ?? new Uint8Array(32);
    expect(passesSelfTest({ ...openssl, dh })).toBe(false);
  });
});

testWith(['addon'], 'an addon that fails it yields no provider', () => {
  const binding = nativeBinding();
  expect(createNativeCrypto(binding)).toBeDefined();
  const wrong: typeof binding.blake2sKdf = (blake2s, scratch, length, keys) => {
    binding.blake2sKdf(blake2s, scratch, length, keys);
    scratch[0]! ^= 1;
  };
  expect(createNativeCrypto({ ...binding, blake2sKdf: wrong })).toBe(undefined);
});

testWith(['addon'], 'the test itself starts no helper threads', () => {
  const dist = new URL('../../dist/', import.meta.url).href;
  const script = `
    import { readdirSync, readFileSync } from 'node:fs';
    import { createNativeCrypto } from '${dist}crypto/node/native.js';
    import { nativeBinding } from '${dist}io/native-binding.js';
    const names = () => readdirSync('/proc/self/task').map(task => readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trim());
    const crypto = createNativeCrypto(nativeBinding());
    const before = names().filter(name => name === 'wg-crypto').length;
    const job = { privateKey: new Uint8Array(32).fill(1), publicKeys: [] };
    crypto.dhEphemeral(new Array(8).fill(job));
    console.log(before, names().filter(name => name === 'wg-crypto').length);
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  const helpers = Math.min(availableParallelism() - 1, 7);
  expect([stdout.trim(), stderr]).toEqual([`0 ${helpers}`, '']);
});

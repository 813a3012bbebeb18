/** All crypto providers of this machine, for suites that run over every one of them. */

import { nobleCrypto } from '../../src/crypto/noble.ts';
import { noblePacketAead } from '../../src/crypto/noble-packet-aead.ts';
import { createNativeCrypto } from '../../src/crypto/node/native.ts';
import { opensslCrypto } from '../../src/crypto/node/openssl.ts';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { createNativeCipher } from '../../src/io/native-cipher.ts';
import type { TransportCipher } from '../../src/protocol/transport-cipher.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';

const native = loadNative();

/** The first is noble, the reference for the others. */
export const cryptoProviders: readonly CryptoProvider[] =
  typeof native === 'string' ? [nobleCrypto, opensslCrypto] : [nobleCrypto, opensslCrypto, native];

/**
 * Why `native` is missing from the list, if it is; in CI it must not be
 * (test/contract/crypto.test.ts).
 */
export const withoutNativeCrypto: string | undefined = typeof native === 'string' ? native : undefined;

function loadNative(): CryptoProvider | string {
  try {
    return createNativeCrypto(nativeBinding()) ?? 'this Node does not export its OpenSSL';
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Returns the packet cipher of a provider: a twin, or the addon's with the AEAD that always exists.
 */
export function packetCipher(crypto: CryptoProvider): TransportCipher {
  if (crypto.name === 'native') return createNativeCipher(nativeBinding(), 'openssl')!;
  return new TwinCipher(crypto.name === 'noble' ? noblePacketAead : opensslPacketAead);
}

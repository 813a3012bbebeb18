/**
 * Seals and opens handshake messages and cookies through the addon (native/aead-single.c). Each
 * operation is one native call and creates no cipher object.
 */

import type { CryptoProvider } from '../provider.ts';
import { expectAead, KEY_SIZE, NONCE_SIZE, TAG_SIZE } from '../sizes.ts';
import { extended, opensslCrypto } from './openssl.ts';

declare const handle: unique symbol;
interface AeadHandle {
  readonly [handle]: 'aead';
}

/** The addon's exports for this file; all are absent if Node does not export its OpenSSL. */
export interface AeadBinding {
  aeadState?(): AeadHandle | undefined;
  aeadSeal(state: AeadHandle, scratch: Uint8Array, aadLength: number, length: number): void;
  /** Returns 1 if the tag was right. */
  aeadOpen(state: AeadHandle, scratch: Uint8Array, aadLength: number, length: number): number;
}

/** Size of the scratch memory: more than a handshake needs. Longer input goes to opensslCrypto. */
const ROOM = 1024;
const AAD = KEY_SIZE + NONCE_SIZE;

/** Creates the functions. @returns undefined if the addon has no AEAD functions */
export function createNativeAead(
  binding: AeadBinding,
): Pick<CryptoProvider, 'seal' | 'open' | 'xseal' | 'xopen'> | undefined {
  const state = binding.aeadState?.();
  if (!state) return undefined;
  const scratch = new Uint8Array(ROOM);

  /** Copies the arguments to the scratch memory. @returns the offset of the text */
  const put = (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, text: Uint8Array): number => {
    scratch.set(key);
    scratch.set(nonce, KEY_SIZE);
    scratch.set(aad, AAD);
    scratch.set(text, AAD + aad.length);
    return AAD + aad.length;
  };
  const take = (at: number, length: number): Uint8Array => {
    const text = scratch.slice(at, at + length);
    scratch.fill(0, at, at + length);
    return text;
  };

  const seal: CryptoProvider['seal'] = (key, nonce, plaintext, aad) => {
    expectAead(key, nonce, NONCE_SIZE);
    if (AAD + aad.length + plaintext.length + TAG_SIZE > ROOM) return opensslCrypto.seal(key, nonce, plaintext, aad);
    const at = put(key, nonce, aad, plaintext);
    binding.aeadSeal(state, scratch, aad.length, plaintext.length);
    return take(at, plaintext.length + TAG_SIZE);
  };

  const open: CryptoProvider['open'] = (key, nonce, ciphertext, aad) => {
    expectAead(key, nonce, NONCE_SIZE);
    const length = ciphertext.length - TAG_SIZE;
    if (length < 0) return undefined;
    if (AAD + aad.length + ciphertext.length > ROOM) return opensslCrypto.open(key, nonce, ciphertext, aad);
    const at = put(key, nonce, aad, ciphertext);
    return binding.aeadOpen(state, scratch, aad.length, length) === 1 ? take(at, length) : undefined;
  };

  return { seal, open, ...extended({ seal, open }) };
}

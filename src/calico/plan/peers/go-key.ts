/** A public key as Calico reads it (wgtypes.ParseKey, Go's base64.StdEncoding): line breaks anywhere count for nothing, and neither do the spare bits. */
import { parseKeyBase64 } from '../../../base/key.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** @returns 32 bytes, or undefined where Calico would find no key */
export function parseGoKey(text: string): Uint8Array | undefined {
  const found = /^([A-Za-z0-9+/]{42})([A-Za-z0-9+/])=$/.exec(text.replaceAll(/[\r\n]/g, ''));
  if (!found) return undefined;
  // 43 characters are 258 bits, of which a key has 256
  return parseKeyBase64(`${found[1]}${ALPHABET[ALPHABET.indexOf(found[2]!) & 0b111100]}=`);
}

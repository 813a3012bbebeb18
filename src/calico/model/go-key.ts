/**
 * Parses public keys as Calico does (wgtypes.ParseKey, Go's base64.StdEncoding): line breaks and
 * the unused bits of the last character are ignored.
 */
import { parseKeyBase64 } from '../../base/key.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Returns the 32 bytes of a key, or undefined if Calico rejects the text. */
export function parseGoKey(text: string): Uint8Array | undefined {
  const match = /^([A-Za-z0-9+/]{42})([A-Za-z0-9+/])=$/.exec(text.replaceAll(/[\r\n]/g, ''));
  if (!match) return undefined;
  // 43 characters encode 258 bits, but a key has 256: clear the last two.
  return parseKeyBase64(`${match[1]}${ALPHABET[ALPHABET.indexOf(match[2]!) & 0b111100]}=`);
}

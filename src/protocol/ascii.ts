/** The bytes of an ASCII string, without the TextEncoder that a pure folder does not have. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, character => character.charCodeAt(0));
}

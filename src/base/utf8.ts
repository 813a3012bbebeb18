/**
 * UTF-8 as the kernel's names and messages use it, by convention. The pure folders have no
 * TextEncoder.
 */

/** Returns the bytes of a text. A lone surrogate is encoded as U+FFFD. */
export function encodeText(text: string): Uint8Array {
  const escaped = encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'));
  const bytes: number[] = [];
  for (let i = 0; i < escaped.length; i++) {
    if (escaped[i] !== '%') bytes.push(escaped.charCodeAt(i));
    else {
      bytes.push(Number.parseInt(escaped.slice(i + 1, i + 3), 16));
      i += 2;
    }
  }
  return Uint8Array.from(bytes);
}

/** Returns the text of bytes. If they are not valid UTF-8, each byte becomes one character. */
export function decodeText(bytes: Uint8Array): string {
  if (bytes.every(byte => byte < 0x80)) return String.fromCharCode(...bytes);
  try {
    return decodeURIComponent([...bytes].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join(''));
  } catch {
    return String.fromCharCode(...bytes);
  }
}

/**
 * Text in netlink messages: names, link kinds, aliases and the kernel's error explanations. By
 * convention it is UTF-8. If the bytes are not valid UTF-8, each byte becomes one character.
 */

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

export function decodeText(bytes: Uint8Array): string {
  if (bytes.every(byte => byte < 0x80)) return String.fromCharCode(...bytes);
  try {
    return decodeURIComponent([...bytes].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join(''));
  } catch {
    return String.fromCharCode(...bytes);
  }
}

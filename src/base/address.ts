/**
 * IP addresses as text and as bytes (RFC 4291 section 2.2, RFC 5952 for output). An address is 4
 * bytes (IPv4) or 16 (IPv6), in network order. Zones and names are left to the callers.
 */

/**
 * Parses a numeric IPv4 or IPv6 address.
 * @returns 4 or 16 bytes, or undefined if the text is not an address.
 */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/**
 * Formats an address of 4 or 16 bytes. IPv6 has the form of RFC 5952, as printed by inet_ntop(3).
 * @throws RangeError for another number of bytes
 */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  if (bytes.length !== 16) throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  let bestAt = 8;
  let bestLength = 1; // a single zero group is not shortened
  for (let i = 0; i < 8; i++) {
    let j = i;
    while (j < 8 && groupAt(bytes, j) === 0) j++;
    if (j - i > bestLength) {
      bestAt = i;
      bestLength = j - i;
    }
    i = j;
  }
  // ::a.b.c.d and ::ffff:a.b.c.d, as glibc writes them
  if (bestAt === 0 && (bestLength === 6 || (bestLength === 5 && groupAt(bytes, 5) === 0xffff)))
    return `::${bestLength === 5 ? 'ffff:' : ''}${formatAddress(bytes.subarray(12))}`;
  let text = groupsBetween(bytes, 0, bestAt);
  if (bestAt < 8) text += `::${groupsBetween(bytes, bestAt + bestLength, 8)}`;
  return text;
}

function groupAt(bytes: Uint8Array, group: number): number {
  return (bytes[2 * group]! << 8) | bytes[2 * group + 1]!;
}

function groupsBetween(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i++) text += `${i > from ? ':' : ''}${groupAt(bytes, i).toString(16)}`;
  return text;
}

/** Parses digit by digit, for speed, because files may hold tens of thousands of addresses. */
function parseIpv4(text: string): Uint8Array | undefined {
  const out = new Uint8Array(4);
  let part = 0;
  let value = -1; // before the first digit
  for (let i = 0; i <= text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit >= 0 && digit <= 9) {
      // inet_pton(3) refuses leading zeros: some programs read 010 as eight, others as ten
      if (value === 0) return undefined;
      value = Math.max(value, 0) * 10 + digit;
      if (value > 255) return undefined;
    } else if (value >= 0 && (i === text.length ? part === 3 : part < 3 && digit === DOT)) {
      out[part++] = value;
      value = -1;
    } else return undefined;
  }
  return out;
}

const ZERO = 0x30;
const DOT = 0x2e - ZERO;

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = ipv6Groups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? ipv6Groups(halves[1]!, true) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const out = new Uint8Array(16);
  groups.forEach((group, i) => {
    out[2 * i] = group >> 8;
    out[2 * i + 1] = group & 0xff;
  });
  return out;
}

function ipv6Groups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (mayEndInIpv4 && i === parts.length - 1 && part.includes('.')) {
      const v4 = parseIpv4(part);
      if (!v4) return undefined;
      groups.push((v4[0]! << 8) | v4[1]!, (v4[2]! << 8) | v4[3]!);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

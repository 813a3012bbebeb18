/**
 * Searches the whole memory of a process for secrets in every form in which a program may hold
 * them.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Bytes of memory read at a time. A match across two pieces is found too. */
const PIECE = 1 << 20;

export interface Copies {
  readonly raw: number;
  readonly hex: number;
  readonly base64: number;
}

/**
 * Counts copies of a 32-byte key in a process's memory: as bytes, as hex of either case, as base64,
 * in strings of one or two bytes.
 */
export function copiesOf(key: Buffer, pid: number): Copies {
  const hex = key.toString('hex');
  // Without its last digit, which differs from base64url's and encodes only some of its bits.
  const base64 = key.toString('base64').slice(0, 42);
  const url = base64.replaceAll('+', '-').replaceAll('/', '_');
  const wide = (text: string) => Buffer.from(text, 'utf16le');
  const texts = (...all: string[]) => [...new Set(all)].flatMap(text => [Buffer.from(text), wide(text)]);
  const [raw, hexes, base64s] = [[key], texts(hex, hex.toUpperCase()), texts(base64, url)];
  const counts = countIn(pid, [...raw, ...hexes, ...base64s]);
  const sum = (patterns: readonly Buffer[]) => patterns.reduce((total, pattern) => total + counts.get(pattern)!, 0);
  return { raw: sum(raw), hex: sum(hexes), base64: sum(base64s) };
}

function countIn(pid: number, patterns: readonly Buffer[]): Map<Buffer, number> {
  const counts = new Map(patterns.map(pattern => [pattern, 0]));
  const longest = Math.max(...patterns.map(({ length }) => length));
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const piece = Buffer.alloc(PIECE + longest);
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) (r)/.exec(line);
      if (!match || /\[v(var|syscall)/.test(line)) continue;
      const [start, end] = [Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16)];
      for (let at = start; at < end; at += PIECE) {
        const length = readAt(memory, piece, Math.min(PIECE + longest - 1, end - at), at);
        for (const pattern of patterns)
          for (let found = -1; ; ) {
            found = piece.indexOf(pattern, found + 1);
            // A match that starts in the next piece is counted there.
            if (found < 0 || found >= PIECE || found + pattern.length > length) break;
            counts.set(pattern, counts.get(pattern)! + 1);
          }
      }
    }
  } finally {
    closeSync(memory);
    piece.fill(0);
  }
  return counts;
}

/** Reads at an offset. @returns the bytes read; 0 where nothing backs a mapping */
function readAt(file: number, buffer: Buffer, length: number, position: number): number {
  try {
    return readSync(file, buffer, 0, length, position);
  } catch {
    return 0;
  }
}

/**
 * Control-protocol text that may contain keys. It is stored in fixed pieces that are never moved or
 * copied as the text grows, and that erase() overwrites. Keys are written and read as bytes
 * (base/key.ts), everything else as Latin-1 strings.
 */
import { newSecret } from '../base/bytes.ts';
import { KEY_HEX_SIZE, writeKeyHex } from '../base/key.ts';

export const PIECE_SIZE = 16_384;
/** Erased pieces kept for reuse: one megabyte. */
const SPARE_PIECES = 64;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;
/** From this length on, a call into C is faster than a loop. */
const LONG_TEXT = 24;
const BEYOND_LATIN1 = 0xff;

const spare: Uint8Array[] = [];

/** The `encodeInto` of a TextEncoder, which the pure folders do not have. */
export type EncodeInto = (text: string, into: Uint8Array) => { readonly read: number };

export class SecretText {
  readonly #encodeInto: EncodeInto | undefined;
  readonly #pieces: Uint8Array[] = [];
  /** Bytes used in the last piece. */
  #used = PIECE_SIZE;
  #length = 0;

  /**
   * @param encodeInto writes strings several times as fast as the loops here, which V8 has not yet
   *   optimized when they first run
   */
  constructor(encodeInto?: EncodeInto) {
    this.#encodeInto = encodeInto;
  }

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array, from = 0, to = bytes.length): void {
    this.#length += Math.max(0, to - from);
    for (let at = from; at < to; ) {
      const piece = this.#room(1);
      const count = Math.min(to - at, PIECE_SIZE - this.#used);
      piece.set(bytes.subarray(at, at + count), this.#used);
      this.#used += count;
      at += count;
    }
  }

  text(text: string): void {
    const used = this.#used;
    const end = used + text.length;
    this.#length += text.length;
    if (end <= PIECE_SIZE) {
      const piece = this.#room(0);
      this.#used = end;
      // all characters fitted, at one byte each: UTF-8 and Latin-1 agree on those
      if (text.length >= LONG_TEXT && this.#encodeInto?.(text, piece.subarray(used, end)).read === text.length) return;
      for (let i = 0; i < text.length; i++) piece[used + i] = latin1Code(text, i);
      return;
    }
    for (let at = 0; at < text.length; ) {
      const piece = this.#room(1);
      const count = Math.min(text.length - at, PIECE_SIZE - this.#used);
      for (let i = 0; i < count; i++) piece[this.#used + i] = latin1Code(text, at + i);
      this.#used += count;
      at += count;
    }
  }

  /** Appends a line of `name=` and the key's 64 hex digits. */
  keyLine(name: string, key: Uint8Array): void {
    this.text(name);
    if (this.#used + KEY_HEX_SIZE + 2 <= PIECE_SIZE) {
      // straight into the piece: an array for each key would double the time of a long answer
      const piece = this.#room(0);
      piece[this.#used] = EQUALS;
      writeKeyHex(key, piece, this.#used + 1);
      this.#used += KEY_HEX_SIZE + 2;
      piece[this.#used - 1] = NEWLINE;
      this.#length += KEY_HEX_SIZE + 2;
      return;
    }
    const digits = newSecret(KEY_HEX_SIZE + 2);
    digits[0] = EQUALS;
    writeKeyHex(key, digits, 1);
    digits[KEY_HEX_SIZE + 1] = NEWLINE;
    this.append(digits);
    digits.fill(0);
  }

  /**
   * Yields the content piece by piece, as views. A view stays valid until the text grows or is
   * erased.
   */
  *pieces(): Generator<Uint8Array> {
    for (const [i, piece] of this.#pieces.entries())
      yield i < this.#pieces.length - 1 ? piece : piece.subarray(0, this.#used);
  }

  /**
   * Calls `take` for each complete line with the range of bytes that holds it, without its newline.
   * Text after the last newline is ignored. Yields after each piece, so that the caller can
   * interleave other work.
   */
  *eachLine(take: (bytes: Uint8Array, from: number, to: number) => void): Generator<undefined> {
    let carry = newSecret(0);
    let carried = 0;
    const keep = (bytes: Uint8Array): void => {
      if (carried + bytes.length > carry.length) {
        const larger = newSecret(2 * (carried + bytes.length));
        larger.set(carry.subarray(0, carried));
        carry.fill(0);
        carry = larger;
      }
      carry.set(bytes, carried);
      carried += bytes.length;
    };
    try {
      for (const piece of this.pieces()) {
        let from = 0;
        for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, from)) {
          if (carried > 0) {
            keep(piece.subarray(from, end));
            take(carry, 0, carried);
            carried = 0;
          } else take(piece, from, end);
          from = end + 1;
        }
        if (from < piece.length) keep(piece.subarray(from));
        yield;
      }
    } finally {
      carry.fill(0);
    }
  }

  /** Overwrites the content and empties the text. */
  erase(): void {
    for (const piece of this.#pieces) {
      piece.fill(0);
      if (spare.length < SPARE_PIECES) spare.push(piece);
    }
    this.#pieces.length = 0;
    this.#used = PIECE_SIZE;
    this.#length = 0;
  }

  #room(bytes: number): Uint8Array {
    if (this.#used + bytes > PIECE_SIZE || this.#pieces.length === 0) {
      this.#pieces.push(spare.pop() ?? newSecret(PIECE_SIZE));
      this.#used = 0;
    }
    return this.#pieces[this.#pieces.length - 1]!;
  }
}

export function latin1(bytes: Uint8Array, from = 0, to = bytes.length): string {
  let text = '';
  for (let at = from; at < to; at += MAX_ARGUMENTS)
    // spread syntax would use an iterator
    text += String.fromCharCode.apply(
      undefined,
      bytes.subarray(at, Math.min(at + MAX_ARGUMENTS, to)) as unknown as number[],
    );
  return text;
}

/** Characters outside Latin-1 become a byte that no keyword contains. */
export function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, character => latin1Code(character, 0));
}

function latin1Code(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code > 0xff ? BEYOND_LATIN1 : code;
}

/** Arguments of one String.fromCharCode call. */
const MAX_ARGUMENTS = 8192;

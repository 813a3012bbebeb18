/**
 * Attributes (struct nlattr). Each has a length, a type, and a value, which is a number, a string
 * or nested attributes. Values are padded to four bytes. If a type occurs twice, the later
 * attribute counts, as in the kernel.
 */

import { decodeText, encodeText } from '../base/utf8.ts';
import { MalformedNetlink } from './errors.ts';
import { getU16, getU32, getU64, setU16, setU32, setU64 } from './native-order.ts';

const HEADER_SIZE = 4;
const NESTED = 0x8000;
/** The upper two bits of a type are flags: "nested" and "in network byte order". */
const TYPE_MASK = 0x3fff;
const LONGEST = 0xffff;

export class Attributes {
  readonly #what: string;
  readonly #values: readonly (readonly [type: number, value: Uint8Array])[];

  private constructor(what: string, values: readonly (readonly [number, Uint8Array])[]) {
    this.#what = what;
    this.#values = values;
  }

  /**
   * Parses a sequence of attributes. Fewer than four bytes at the end are padding.
   * @param what the object that the attributes describe, for error messages: `a link`
   * @throws MalformedNetlink
   */
  static parse(bytes: Uint8Array, what: string): Attributes {
    const values: [number, Uint8Array][] = [];
    for (let at = 0; bytes.length - at >= HEADER_SIZE; ) {
      const length = getU16(bytes, at);
      const type = getU16(bytes, at + 2) & TYPE_MASK;
      const left = bytes.length - at;
      if (length < HEADER_SIZE || length > left)
        throw new MalformedNetlink(
          `${what}: attribute ${type} at byte ${at} claims ${length} bytes; ${HEADER_SIZE} to ${left} are possible`,
        );
      values.push([type, bytes.subarray(at + HEADER_SIZE, at + length)]);
      at += (length + 3) & ~3;
    }
    return new Attributes(what, values);
  }

  has(type: number): boolean {
    return this.#find(type) !== undefined;
  }

  /** @param size the required size, if it is fixed. @throws MalformedNetlink if the size differs */
  bytes(type: number, size?: number): Uint8Array | undefined {
    const value = this.#find(type);
    if (value && size !== undefined && value.length !== size)
      throw new MalformedNetlink(`${this.#what}: attribute ${type} has ${value.length} bytes, not ${size}`);
    return value;
  }

  u8(type: number): number | undefined {
    return this.bytes(type, 1)?.[0];
  }

  u16(type: number): number | undefined {
    const value = this.bytes(type, 2);
    return value && getU16(value, 0);
  }

  u32(type: number): number | undefined {
    const value = this.bytes(type, 4);
    return value && getU32(value, 0);
  }

  u64(type: number): number | undefined {
    const value = this.bytes(type, 8);
    return value && getU64(value, 0);
  }

  /** Reads a string up to its first zero byte. */
  string(type: number): string | undefined {
    const value = this.#find(type);
    if (!value) return undefined;
    const end = value.indexOf(0);
    return decodeText(end < 0 ? value : value.subarray(0, end));
  }

  nested(type: number): Attributes | undefined {
    const value = this.#find(type);
    return value && Attributes.parse(value, `${this.#what}: attribute ${type}`);
  }

  /** Returns the members of a list in order, regardless of their types. */
  list(type: number, what: string): Attributes[] {
    const value = this.#find(type);
    if (!value) return [];
    return Attributes.parse(value, `${this.#what}: attribute ${type}`).#values.map(([, member]) =>
      Attributes.parse(member, what),
    );
  }

  #find(type: number): Uint8Array | undefined {
    for (let i = this.#values.length - 1; i >= 0; i--) if (this.#values[i]![0] === type) return this.#values[i]![1];
    return undefined;
  }
}

/**
 * Parses the attributes after a message's fixed header.
 * @throws MalformedNetlink, also if the fixed header is truncated
 */
export function attributesAfter(headerSize: number, body: Uint8Array, what: string): Attributes {
  if (body.length < headerSize)
    throw new MalformedNetlink(`${what}: its header has ${headerSize} bytes; only ${body.length} were received`);
  return Attributes.parse(body.subarray(headerSize), what);
}

export class AttributeWriter {
  #bytes: Uint8Array;
  #length: number;
  #isFinished = false;

  /** @param header the fixed structure in front of the attributes */
  constructor(header: Uint8Array = new Uint8Array(0)) {
    this.#length = (header.length + 3) & ~3;
    this.#bytes = new Uint8Array(Math.max(256, this.#length));
    this.#bytes.set(header);
  }

  get length(): number {
    return this.#length;
  }

  bytes(type: number, value: Uint8Array): this {
    // claim first: claiming may replace the buffer
    const at = this.#claim(type, value.length);
    this.#bytes.set(value, at);
    return this;
  }

  u8(type: number, value: number): this {
    const at = this.#claim(type, 1);
    this.#bytes[at] = value;
    return this;
  }

  u16(type: number, value: number): this {
    const at = this.#claim(type, 2);
    setU16(this.#bytes, at, value);
    return this;
  }

  u32(type: number, value: number): this {
    const at = this.#claim(type, 4);
    setU32(this.#bytes, at, value);
    return this;
  }

  u64(type: number, value: number): this {
    const at = this.#claim(type, 8);
    setU64(this.#bytes, at, value);
    return this;
  }

  /**
   * Writes a string with its terminating zero byte. @throws RangeError if the string contains one
   */
  string(type: number, value: string): this {
    const bytes = encodeText(value);
    if (bytes.includes(0)) throw new RangeError(`a string for the kernel may not have a zero byte in it`);
    const at = this.#claim(type, bytes.length + 1);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** @throws RangeError if the content exceeds the size of an attribute */
  nest(type: number, fill: (inside: this) => void): this {
    const at = this.#claim(type | NESTED, 0) - HEADER_SIZE;
    fill(this);
    const length = this.#length - at;
    if (length > LONGEST) throw new RangeError(`an attribute holds ${LONGEST} bytes at most, not ${length}`);
    setU16(this.#bytes, at, length);
    return this;
  }

  /**
   * Returns the header and the attributes, and erases the writer's own copy, which may contain a
   * key.
   * @throws Error on a second call. The copy is empty by then, and a message without its attributes
   * can affect far more than intended.
   */
  finish(): Uint8Array {
    this.#requireUnfinished();
    this.#isFinished = true;
    const bytes = this.#bytes.slice(0, this.#length);
    this.#bytes.fill(0);
    return bytes;
  }

  /** Appends an attribute with a zeroed value. @returns the offset of the value */
  #claim(type: number, size: number): number {
    this.#requireUnfinished();
    const length = HEADER_SIZE + size;
    if (length > LONGEST) throw new RangeError(`an attribute holds ${LONGEST} bytes at most, not ${length}`);
    const at = this.#length;
    this.#length = at + ((length + 3) & ~3);
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes.fill(0);
      this.#bytes = larger;
    }
    setU16(this.#bytes, at, length);
    setU16(this.#bytes, at + 2, type);
    return at + HEADER_SIZE;
  }

  #requireUnfinished(): void {
    if (this.#isFinished) throw new Error('these attributes are finished, and empty: write new ones for each message');
  }
}

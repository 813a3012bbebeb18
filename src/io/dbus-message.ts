/**
 * Messages of D-Bus (dbus.freedesktop.org, "Message Protocol") as bytes: calls with strings, and
 * from any message the fields that a reader of signals needs. There are no other types.
 */

export const METHOD_RETURN = 2;
export const SIGNAL = 4;
const METHOD_CALL = 1;
const FIXED_HEADER = 16;
/** Codes of header fields. */
const FIELD = { path: 1, interface: 2, member: 3, replySerial: 5, destination: 6, sender: 7, signature: 8 } as const;
/** The protocol's bound of a message. */
const LARGEST_MESSAGE = 1 << 27;

export interface DbusCall {
  readonly serial: number;
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly strings: readonly string[];
}

export interface DbusMessage {
  readonly type: number;
  readonly replySerial: number | undefined;
  readonly sender: string | undefined;
  readonly interface: string | undefined;
  readonly member: string | undefined;
  /** Strings and booleans of the body; undefined if it has other types. */
  readonly body: readonly (string | boolean)[] | undefined;
}

/** Writes a method call in little-endian byte order. */
export function encodeCall(call: DbusCall): Buffer {
  const fields = new Writer();
  const field = (code: number, signature: string, text: string) => {
    fields.align(8);
    fields.bytes([code]);
    fields.signature(signature);
    if (signature === 'g') fields.signature(text);
    else fields.string(text);
  };
  field(FIELD.path, 'o', call.path);
  field(FIELD.interface, 's', call.interface);
  field(FIELD.member, 's', call.member);
  field(FIELD.destination, 's', call.destination);
  if (call.strings.length > 0) field(FIELD.signature, 'g', 's'.repeat(call.strings.length));
  const body = new Writer();
  for (const text of call.strings) body.string(text);
  const message = new Writer();
  message.bytes([0x6c, METHOD_CALL, 0, 1]);
  message.u32(body.length);
  message.u32(call.serial);
  message.u32(fields.length);
  message.bytes(fields.all);
  message.align(8);
  message.bytes(body.all);
  return Buffer.from(message.all);
}

/**
 * Returns the length of the message at the start of the bytes; undefined if it needs more bytes to
 * be known.
 * @throws RangeError if this is no message, or a larger one than LARGEST_MESSAGE
 */
export function messageLength(bytes: Buffer): number | undefined {
  if (bytes.length < FIXED_HEADER) return undefined;
  const isBig = bytes[0] === 0x42;
  if ((!isBig && bytes[0] !== 0x6c) || bytes[3] !== 1) throw new RangeError('not a message of D-Bus');
  const u32 = (at: number) => (isBig ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
  const length = FIXED_HEADER + 8 * Math.ceil(u32(12) / 8) + u32(4);
  if (length > LARGEST_MESSAGE) throw new RangeError(`a message of ${length} bytes`);
  return length;
}

/** Reads one whole message. @throws RangeError if it is malformed */
export function decodeMessage(bytes: Buffer): DbusMessage {
  const reader = new Reader(bytes, bytes[0] === 0x42);
  const bodyLength = reader.u32(4);
  const fieldsEnd = FIXED_HEADER + reader.u32(12);
  const found = new Map<number, string | number>();
  for (reader.at = FIXED_HEADER; reader.at < fieldsEnd; ) {
    reader.align(8);
    const code = reader.byte();
    const signature = reader.signature();
    if (signature === 's' || signature === 'o') found.set(code, reader.string());
    else if (signature === 'g') found.set(code, reader.signature());
    else if (signature === 'u') found.set(code, reader.nextU32());
    else throw new RangeError(`a header field of type ${signature}`);
  }
  const text = (code: number) => {
    const value = found.get(code);
    return typeof value === 'string' ? value : undefined;
  };
  const replySerial = found.get(FIELD.replySerial);
  reader.at = bytes.length - bodyLength;
  return {
    type: bytes[1]!,
    replySerial: typeof replySerial === 'number' ? replySerial : undefined,
    sender: text(FIELD.sender),
    interface: text(FIELD.interface),
    member: text(FIELD.member),
    body: readBody(reader, text(FIELD.signature) ?? ''),
  };
}

function readBody(reader: Reader, signature: string): (string | boolean)[] | undefined {
  if (!/^[sob]*$/.test(signature)) return undefined;
  return Array.from(signature, type => (type === 'b' ? reader.nextU32() !== 0 : reader.string()));
}

class Writer {
  readonly all: number[] = [];

  get length(): number {
    return this.all.length;
  }

  align(to: number): void {
    while (this.all.length % to !== 0) this.all.push(0);
  }

  bytes(bytes: readonly number[]): void {
    for (const byte of bytes) this.all.push(byte);
  }

  u32(value: number): void {
    this.align(4);
    for (let shift = 0; shift < 32; shift += 8) this.all.push((value >>> shift) & 0xff);
  }

  string(text: string): void {
    const utf8 = [...Buffer.from(text)];
    this.u32(utf8.length);
    this.bytes([...utf8, 0]);
  }

  signature(text: string): void {
    this.bytes([text.length, ...Buffer.from(text), 0]);
  }
}

class Reader {
  at = 0;
  readonly #bytes: Buffer;
  readonly #isBig: boolean;

  constructor(bytes: Buffer, isBig: boolean) {
    this.#bytes = bytes;
    this.#isBig = isBig;
  }

  align(to: number): void {
    this.at = Math.ceil(this.at / to) * to;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.at++);
  }

  u32(at: number): number {
    return this.#isBig ? this.#bytes.readUInt32BE(at) : this.#bytes.readUInt32LE(at);
  }

  nextU32(): number {
    this.align(4);
    this.at += 4;
    return this.u32(this.at - 4);
  }

  string(): string {
    return this.#text(this.nextU32());
  }

  signature(): string {
    return this.#text(this.byte());
  }

  #text(length: number): string {
    const end = this.at + length;
    if (end >= this.#bytes.length) throw new RangeError('a string longer than its message');
    const text = this.#bytes.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }
}

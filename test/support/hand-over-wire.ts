/**
 * The wire of a hand-over for tests that send what no honest process sends: messages as bytes, one
 * end of a connection that sends any bytes, and random changes of a script.
 */
import { closeSync, readdirSync } from 'node:fs';
import { type RightsSocket, RunToken } from '../../src/io/rights.ts';
import type { Random } from './random.ts';

const KINDS = ['hello', 'offer', 'refusal', 'ready', 'state', 'received', 'erased', 'running'] as const;
export type Kind = (typeof KINDS)[number];

const HEADER_SIZE = 5;
const SEND_LIMIT_MS = 1000;
const MOST_DESCRIPTORS = 16;

/** Something to send. */
export interface Piece {
  readonly bytes: Uint8Array;
  /** How many descriptors go with it, of /dev/null, or these. */
  readonly descriptors: number | readonly number[];
}

/** Returns a message as bytes. */
export function message(kind: Kind, body: Uint8Array | object = new Uint8Array(0)): Uint8Array {
  const content = body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body));
  const bytes = new Uint8Array(HEADER_SIZE + content.length);
  new DataView(bytes.buffer).setUint32(0, content.length, true);
  bytes[4] = KINDS.indexOf(kind);
  bytes.set(content, HEADER_SIZE);
  return bytes;
}

/** Returns the kinds of the whole messages in these bytes. */
function kindsIn(bytes: Uint8Array): (Kind | undefined)[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const kinds: (Kind | undefined)[] = [];
  for (let at = 0; at + HEADER_SIZE <= bytes.length; ) {
    const next = at + HEADER_SIZE + view.getUint32(at, true);
    if (next > bytes.length) break;
    kinds.push(KINDS[bytes[at + 4]!]);
    at = next;
  }
  return kinds;
}

/** One end of a connection, which sends any bytes and reads everything. */
export class RawEnd {
  /** What arrived. */
  received = new Uint8Array(0);
  sent = new Uint8Array(0);
  hasEnded = false;
  readonly descriptors: number[] = [];
  readonly #socket: RightsSocket;
  readonly #null: number;
  #isClosed = false;

  /** Owns the socket. @param anyDescriptor a descriptor to send */
  constructor(socket: RightsSocket, anyDescriptor: number) {
    this.#socket = socket;
    this.#null = anyDescriptor;
    socket.onReadable(() => this.#read());
  }

  get kinds(): (Kind | undefined)[] {
    return kindsIn(this.received);
  }

  get sentKinds(): (Kind | undefined)[] {
    return kindsIn(this.sent);
  }

  /** Sends a piece, unless the other end is gone. */
  send({ bytes, descriptors }: Piece): void {
    if (this.#isClosed || bytes.length === 0) return;
    const given = typeof descriptors === 'number' ? new Array<number>(descriptors).fill(this.#null) : descriptors;
    try {
      this.#socket.send(bytes, given, SEND_LIMIT_MS);
      this.sent = joined(this.sent, bytes);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EPIPE' && code !== 'ECONNRESET') throw error;
    }
  }

  /** Claims the token that came with the state. @returns whether it was there */
  claim(): boolean {
    const [token] = this.descriptors;
    return token !== undefined && new RunToken(token).claim();
  }

  /** Idempotent. */
  close(): void {
    if (!this.#isClosed) this.#socket.close();
    this.#isClosed = true;
    for (const each of this.descriptors.splice(0)) closeSync(each);
  }

  #read(): void {
    if (this.#isClosed) return;
    const bytes = new Uint8Array(1 << 16);
    try {
      const count = this.#socket.receive(bytes, this.descriptors);
      if (count > 0) this.received = joined(this.received, bytes.subarray(0, count));
      if (count === 0) this.#end();
    } catch {
      this.#end();
    }
  }

  #end(): void {
    this.hasEnded = true;
    this.#isClosed = true;
    this.#socket.close();
  }
}

/** Returns the pieces of a script with some random changes. */
export function disturbed(script: readonly Piece[], random: Random): Piece[] {
  const pieces = [...script];
  for (let changes = random.pick([0, 1, 1, 1, 2, 3]); changes > 0 && pieces.length > 0; changes--) {
    const at = random.below(pieces.length);
    pieces.splice(at, 1, ...random.pick(CHANGES)(pieces[at]!, random, pieces));
  }
  // the end of the script, somewhere within a message
  if (random.chance(0.2)) {
    const last = pieces.splice(random.below(pieces.length + 1))[0];
    if (last) pieces.push({ ...last, bytes: last.bytes.subarray(0, random.below(last.bytes.length + 1)) });
  }
  return pieces;
}

type Change = (piece: Piece, random: Random, all: readonly Piece[]) => readonly Piece[];

const withBytes = (piece: Piece, change: (bytes: Uint8Array) => void): readonly Piece[] => {
  const bytes = piece.bytes.slice();
  change(bytes);
  return [{ ...piece, bytes }];
};

const CHANGES: readonly Change[] = [
  // dropped, doubled, or followed by another one
  () => [],
  piece => [piece, piece],
  (piece, random, all) => [piece, random.pick(all)],
  // of another kind
  (piece, random) => withBytes(piece, bytes => void bytes.fill(random.pick([random.below(9), 255]), 4, 5)),
  // of another length than it says
  (piece, random) =>
    withBytes(piece, bytes => {
      const size = random.pick([0, bytes.length, 16_384, 16_385, 2 ** 20, 2 ** 30 + 1, 2 ** 32 - 1]);
      if (bytes.length >= 4) new DataView(bytes.buffer).setUint32(0, size, true);
    }),
  // with other bytes in the body
  (piece, random) =>
    withBytes(piece, bytes => {
      for (let times = 1 + random.below(8); times > 0; times--)
        if (bytes.length > HEADER_SIZE)
          bytes[HEADER_SIZE + random.below(bytes.length - HEADER_SIZE)] = random.below(256);
    }),
  // after any bytes
  (piece, random) => [{ bytes: random.bytes(1 + random.below(40)), descriptors: 0 }, piece],
  // with other descriptors
  (piece, random) => [{ ...piece, descriptors: random.below(MOST_DESCRIPTORS + 1) }],
  // in two pieces, each with descriptors
  (piece, random) => {
    const at = random.below(piece.bytes.length + 1);
    return [
      { bytes: piece.bytes.subarray(0, at), descriptors: piece.descriptors },
      { bytes: piece.bytes.subarray(at), descriptors: random.pick([0, 0, MOST_DESCRIPTORS]) },
    ];
  },
];

/** Returns the number of this process's open descriptors. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/**
 * Splits a stream of bytes, in chunks of any size, into the operations of the cross-platform
 * userspace interface (wireguard.com/xplatform). A connection may carry several requests in
 * sequence.
 *
 * A request is stored unparsed until it is complete. An incomplete request thus takes no more
 * memory than its bytes, and its keys are in one place that can be overwritten. UapiLimits bounds
 * the memory for any input. If a line is too long, the parser discards it with the rest of its
 * request, up to the blank line. A client that is still writing then receives an errno instead of a
 * broken pipe.
 *
 * uapi-set.ts and uapi-get.ts parse and format the operations. This file does not use sockets.
 */
import { ConfigError, quoteKey } from './errors.ts';
import type { DeviceConfig } from './model.ts';
import { latin1, latin1Bytes, SecretText } from './secret-text.ts';
import { readSetRequest } from './uapi-set.ts';
import { numericZones, type Zones } from './zones.ts';

export type UapiRequest =
  | { readonly kind: 'get' }
  | { readonly kind: 'set'; readonly config: DeviceConfig }
  /** An extension of this project: asks for the counters, by name. */
  | { readonly kind: 'counters' }
  | InvalidRequest;

/**
 * An invalid request, to be answered with formatErrno(error.errno) (uapi-get.ts). If `close` is
 * true, the parser reads nothing more: end the connection after the answer.
 */
export interface InvalidRequest {
  readonly kind: 'invalid';
  readonly error: ConfigError;
  readonly close: boolean;
}

/**
 * A complete request. A `set` is still unparsed: pass it to UapiRequestParser.read, or erase it.
 */
export type UapiFrame = Exclude<UapiRequest, { kind: 'set' }> | { readonly kind: 'set'; readonly text: SecretText };

export interface UapiLimits {
  /** Characters of one line without its newline. The longest legal line without a zone has 77. */
  readonly lineLength: number;
  /** Characters of one request. */
  readonly requestLength: number;
}

/**
 * A request may hold about 500,000 allowed_ip lines: 100,000 take 2 MB for IPv4 and 5.5 MB for the
 * longest IPv6 ones.
 */
export const DEFAULT_UAPI_LIMITS: UapiLimits = { lineLength: 1024, requestLength: 16 * 1024 * 1024 };

const [NEWLINE, RETURN] = [0x0a, 0x0d];

export class UapiRequestParser {
  readonly #zones: Zones;
  readonly #limits: UapiLimits;
  /**
   * The current request without its first line. While the first line is incomplete, the text holds
   * that line.
   */
  #text = new SecretText();
  /** Characters of the current line so far. */
  #lineLength = 0;
  #endsInReturn = false;
  /** Whether to discard the rest of the current line. */
  #skipping = false;
  #operation: 'none' | 'get' | 'set' | 'counters' = 'none';
  #error: ConfigError | undefined;
  #lineNumber = 0;
  #length = 0;
  #closed = false;

  constructor(zones: Zones = numericZones, limits: UapiLimits = DEFAULT_UAPI_LIMITS) {
    this.#zones = zones;
    this.#limits = limits;
  }

  /**
   * Parses a received chunk and returns the operations that it completes, in order. Never throws.
   */
  push(chunk: Uint8Array | string): UapiRequest[] {
    return this.frames(typeof chunk === 'string' ? latin1Bytes(chunk) : chunk).map(frame => {
      const reading = this.read(frame);
      for (;;) {
        const { done, value } = reading.next();
        if (done) return value;
      }
    });
  }

  /**
   * Works like push, but leaves each `set` unparsed, because parsing may take long. Bytes of the
   * chunk are copied into erasable memory only.
   */
  frames(chunk: Uint8Array): UapiFrame[] {
    const frames: UapiFrame[] = [];
    for (let at = 0; at < chunk.length && !this.#closed; ) {
      const newline = chunk.indexOf(NEWLINE, at);
      const end = newline < 0 ? chunk.length : newline;
      this.#length += end - at + 1;
      this.#take(chunk, at, end);
      if (this.#length > this.#limits.requestLength) {
        const error = new ConfigError('too-large', `a request of more than ${this.#limits.requestLength} characters`);
        frames.push(this.#close(this.#error ?? error));
        break;
      }
      if (newline < 0) break;
      at = newline + 1;
      const frame = this.#endLine();
      if (frame) frames.push(frame);
    }
    return frames;
  }

  /** Parses a frame, yielding regularly, and erases it. Never throws. */
  *read(frame: UapiFrame): Generator<undefined, UapiRequest> {
    if (frame.kind !== 'set') return frame;
    try {
      return { kind: 'set', config: yield* readSetRequest(frame.text, this.#zones) };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return { kind: 'invalid', error, close: false };
    } finally {
      frame.text.erase();
    }
  }

  /** The number of characters of the incomplete request, which is also its size in memory. */
  get pending(): number {
    return this.#length;
  }

  /**
   * Abandons the incomplete request and reads nothing more from this connection.
   * @returns the invalid request to answer
   */
  giveUp(reason: string, errno?: number): InvalidRequest {
    return this.#close(new ConfigError('too-large', reason, { errno }));
  }

  /**
   * Handles the end of the stream.
   * @returns the incomplete request, if any; it must not be applied
   */
  end(): InvalidRequest | undefined {
    if (this.#closed || (this.#operation === 'none' && this.#length === 0)) return undefined;
    const error = this.#error ?? new ConfigError('incomplete', 'the request ended without its blank line');
    return this.#close(error);
  }

  /** Appends a part of the current line. */
  #take(chunk: Uint8Array, from: number, to: number): void {
    if (to === from || this.#skipping) return;
    if (this.#lineLength + to - from > this.#limits.lineLength) {
      const line = this.#lineNumber + 1;
      this.#fail(
        new ConfigError('line-too-long', `a line of more than ${this.#limits.lineLength} characters`, { line }),
      );
      this.#skipping = true;
      return;
    }
    this.#lineLength += to - from;
    this.#endsInReturn = chunk[to - 1] === RETURN;
    if (!this.#error) this.#text.append(chunk, from, to);
  }

  #endLine(): UapiFrame | undefined {
    const skipped = this.#skipping;
    const length = this.#lineLength - (this.#endsInReturn ? 1 : 0);
    this.#skipping = false;
    this.#lineLength = 0;
    this.#endsInReturn = false;
    this.#lineNumber++;
    if (this.#operation === 'none') return this.#begin(length, skipped);
    if (skipped) return undefined;
    if (length === 0) return this.#finish();
    if (this.#error) return undefined;
    if (this.#operation === 'set') this.#text.append(END_OF_LINE);
    else {
      const what = quoteKey(this.#firstOf(length));
      const line = this.#lineNumber;
      this.#fail(
        new ConfigError('bad-value', `${what} after ${this.#operation}=1, which takes no further lines`, { line }),
      );
    }
    return undefined;
  }

  #begin(length: number, skipped: boolean): UapiFrame | undefined {
    const line = skipped ? '' : this.#firstOf(length);
    this.#text.erase();
    if (!skipped && line === 'get=1') this.#operation = 'get';
    else if (!skipped && line === 'counters=1') this.#operation = 'counters';
    else if (!skipped && line === 'set=1') this.#operation = 'set';
    else {
      // this is another protocol, so the beginning of its next request is unknown
      return this.#close(
        this.#error ??
          new ConfigError('syntax', `${quoteKey(line)} is not an operation; operations are get=1 and set=1`, {
            line: 1,
          }),
      );
    }
    return undefined;
  }

  /** Returns the beginning of the first line, which is the only line stored. */
  #firstOf(length: number): string {
    const [piece] = this.#text.pieces();
    return piece ? latin1(piece, 0, length) : '';
  }

  #finish(): UapiFrame {
    const kind = this.#operation as 'get' | 'set' | 'counters';
    const text = this.#text;
    const error = this.#error;
    if (!error && kind === 'set') this.#text = new SecretText();
    this.#reset();
    if (error) return { kind: 'invalid', error, close: false };
    return kind === 'set' ? { kind, text } : { kind };
  }

  #fail(error: ConfigError): void {
    this.#error ??= error;
    this.#text.erase();
  }

  #close(error: ConfigError): InvalidRequest {
    this.#reset();
    this.#closed = true;
    return { kind: 'invalid', error, close: true };
  }

  #reset(): void {
    this.#operation = 'none';
    this.#text.erase();
    this.#error = undefined;
    this.#lineLength = 0;
    this.#endsInReturn = false;
    this.#skipping = false;
    this.#lineNumber = 0;
    this.#length = 0;
  }
}

const END_OF_LINE = Uint8Array.of(NEWLINE);

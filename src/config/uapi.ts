/**
 * Requests of the cross-platform userspace interface (wireguard.com/xplatform) as a stream: bytes in, in pieces of any size;
 * operations out. A connection may carry several, one after another. Memory is bounded by UapiLimits whatever arrives: a line that is too long
 * is skipped and not kept, and so is the rest of a request that has gone wrong, to its blank line, so that a client that is still
 * writing gets to read its errno instead of a broken pipe. The text of single operations is in uapi-set.ts and
 * uapi-get.ts. No sockets here.
 */
import { ConfigError, quoteKey } from './errors.ts';
import type { DeviceConfig } from './model.ts';
import { SetRequest } from './uapi-set.ts';
import { numericZones, type Zones } from './zones.ts';

export type UapiRequest =
  | { readonly kind: 'get' }
  | { readonly kind: 'set'; readonly config: DeviceConfig }
  /** Our own: the drop counters by name. */
  | { readonly kind: 'counters' }
  /**
   * Answer with formatErrno(error.errno) (uapi-get.ts). With `close`, nothing more is read from this connection: end it
   * after the answer.
   */
  | { readonly kind: 'invalid'; readonly error: ConfigError; readonly close: boolean };

export interface UapiLimits {
  /** Characters of one line without its newline. The longest legal line has 77, but for zones. */
  readonly lineLength: number;
  /** Characters of one request. */
  readonly requestLength: number;
}

/** One request may hold some 500,000 allowed_ip lines. */
export const DEFAULT_UAPI_LIMITS: UapiLimits = { lineLength: 1024, requestLength: 16 * 1024 * 1024 };

export class UapiRequestParser {
  readonly #zones: Zones;
  readonly #limits: UapiLimits;
  /** The beginning of a line whose end has not come yet. */
  #partial = '';
  /** The rest of the current line is thrown away. */
  #skipping = false;
  #operation: 'none' | 'get' | 'set' | 'counters' = 'none';
  #set: SetRequest | undefined;
  #error: ConfigError | undefined;
  #lineNumber = 0;
  #length = 0;
  #closed = false;

  constructor(zones: Zones = numericZones, limits: UapiLimits = DEFAULT_UAPI_LIMITS) {
    this.#zones = zones;
    this.#limits = limits;
  }

  /** Takes what arrived and returns the operations that it completed, in order. Never throws. */
  push(chunk: Uint8Array | string): UapiRequest[] {
    const requests: UapiRequest[] = [];
    if (typeof chunk === 'string') this.#push(chunk, requests);
    else
      for (let at = 0; at < chunk.length; at += DECODE_STEP)
        this.#push(String.fromCharCode(...chunk.subarray(at, at + DECODE_STEP)), requests);
    return requests;
  }

  /** Characters of the request that is not complete yet: what it holds in memory is some dozen times as much. */
  get pending(): number {
    return this.#length;
  }

  /** Gives up the request that is not complete. @returns what to answer; nothing more is read from this connection */
  giveUp(reason: string): UapiRequest {
    return this.#close(new ConfigError('too-large', reason));
  }

  /** The other side has finished. @returns the request that it broke off, if there is one: it must not be applied. */
  end(): UapiRequest | undefined {
    if (this.#closed || (this.#operation === 'none' && this.#partial === '' && !this.#skipping)) return undefined;
    const error = this.#error ?? new ConfigError('incomplete', 'the request ended without its blank line');
    return this.#close(error);
  }

  #push(text: string, requests: UapiRequest[]): void {
    let at = 0;
    while (at < text.length && !this.#closed) {
      const newline = text.indexOf('\n', at);
      const end = newline < 0 ? text.length : newline;
      this.#length += end - at + 1;
      if (!this.#skipping) {
        if (this.#partial.length + end - at > this.#limits.lineLength) {
          this.#fail(
            new ConfigError('line-too-long', `a line of more than ${this.#limits.lineLength} characters`, {
              line: this.#lineNumber + 1,
            }),
          );
          this.#skipping = true;
          this.#partial = '';
        } else this.#partial += text.slice(at, end);
      }
      if (this.#length > this.#limits.requestLength) {
        const tooLarge = new ConfigError(
          'too-large',
          `a request of more than ${this.#limits.requestLength} characters`,
        );
        requests.push(this.#close(this.#error ?? tooLarge));
        return;
      }
      if (newline < 0) return;
      at = newline + 1;
      const request = this.#endLine();
      if (request) requests.push(request);
    }
  }

  #endLine(): UapiRequest | undefined {
    const line = this.#partial.endsWith('\r') ? this.#partial.slice(0, -1) : this.#partial;
    const skipped = this.#skipping;
    this.#partial = '';
    this.#skipping = false;
    this.#lineNumber++;
    if (this.#operation === 'none') return this.#begin(line, skipped);
    if (skipped) return undefined;
    if (line === '') return this.#finish();
    if (this.#error) return undefined;
    if (!this.#set) {
      this.#fail(
        new ConfigError('bad-value', `${quoteKey(line)} after ${this.#operation}=1, which has no lines of its own`, {
          line: this.#lineNumber,
        }),
      );
      return undefined;
    }
    try {
      this.#set.line(line);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#fail(error.at({ line: this.#lineNumber }));
    }
    return undefined;
  }

  #begin(line: string, skipped: boolean): UapiRequest | undefined {
    if (!skipped && line === 'get=1') this.#operation = 'get';
    else if (!skipped && line === 'counters=1') this.#operation = 'counters';
    else if (!skipped && line === 'set=1') {
      this.#operation = 'set';
      this.#set = new SetRequest(this.#zones);
    } else {
      // not our protocol: where its next request would begin is unknown
      return this.#close(
        this.#error ??
          new ConfigError('syntax', `${quoteKey(line)} is no operation; there are get=1 and set=1`, { line: 1 }),
      );
    }
    return undefined;
  }

  #finish(): UapiRequest {
    const operation = this.#operation as 'get' | 'set' | 'counters';
    const set = this.#set;
    const error = this.#error;
    this.#reset();
    if (error) return { kind: 'invalid', error, close: false };
    return operation === 'set' ? { kind: 'set', config: set!.finish() } : { kind: operation };
  }

  #fail(error: ConfigError): void {
    this.#error ??= error;
    this.#set = undefined;
  }

  #close(error: ConfigError): UapiRequest {
    this.#reset();
    this.#closed = true;
    return { kind: 'invalid', error, close: true };
  }

  #reset(): void {
    this.#operation = 'none';
    this.#set = undefined;
    this.#error = undefined;
    this.#partial = '';
    this.#skipping = false;
    this.#lineNumber = 0;
    this.#length = 0;
  }
}

/** Arguments of one call. */
const DECODE_STEP = 8192;

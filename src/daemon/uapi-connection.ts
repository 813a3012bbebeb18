/**
 * One connection of the control socket, which handles its requests strictly in order. Limits for
 * all connections together (unfinished requests, unread answers, parsing) keep a client from
 * delaying other clients or packets for long. Bytes arrive in one buffer that is erased at once:
 * Node would allocate a Buffer for each piece, and free it with keys in the clear.
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { newSecret } from '../base/bytes.ts';
import { ERRNO } from '../config/errors.ts';
import { type DeviceConfig, type DeviceStatus, eraseConfig, eraseStatus } from '../config/model.ts';
import { SecretText } from '../config/secret-text.ts';
import { DEFAULT_UAPI_LIMITS, type UapiFrame, type UapiRequest, UapiRequestParser } from '../config/uapi.ts';
import { formatCountersResponse, formatErrno, writeGetResponse } from '../config/uapi-get.ts';
import type { Zones } from '../config/zones.ts';
import { withBuffer } from './buffered-socket.ts';
import type { Sharing, UapiShare } from './uapi-share.ts';
import type { UapiDevice } from './uapi-socket.ts';
import { systemErrno } from './uapi-socket.ts';

export interface ConnectionOptions {
  readonly device: UapiDevice;
  readonly zones: Zones;
  /** Called when a request was refused, for the log. The message never holds a secret. */
  readonly onRefused: (message: string) => void;
  /** Called when the client sent data or read a piece of an answer. */
  readonly onBusy: () => void;
}

/** Limit of characters in unfinished requests of all connections; one request may use it all. */
const MAX_PENDING = DEFAULT_UAPI_LIMITS.requestLength;
/** A request up to this size is always accepted: each connection has room for one. */
const SMALL_REQUEST = 65_536;
/** Time limit for a larger request to arrive; a client writes 16 MB in less than one second. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Time limit for a client to read some of its answer, or to close after the end. */
const READ_TIMEOUT_MS = 10_000;
/** Most `get` answers in progress; each has a snapshot of the device. One more ends a stuck one. */
const MAX_ANSWERS = 2;
const STUCK_AFTER_MS = 1_000;
/** After the end, a client that sends nothing for this long has stopped writing. */
const IDLE_AFTER_MS = 200;
const PAUSE_MS = 20;
/** How long an answer is written before packets pass. */
const SHARE_MS = 0.5;

const [received, encoder] = [newSecret(65_536), new TextEncoder()];

export class UapiConnection {
  readonly #options: ConnectionOptions;
  readonly #share: UapiShare;
  readonly #parser: UapiRequestParser;
  readonly #socket: Socket;
  /** Bytes of complete requests that are waiting. */
  #waiting = 0;
  #deadline: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();
  /** Actions that are queued or running. */
  #actions = 0;
  #isPaused = false;
  /** Set after the last answer, until the client stops writing. */
  #ending: NodeJS.Timeout | undefined;

  /**
   * Takes over a connection that was accepted, but not read from (pauseOnConnect).
   * @param onClose called when the connection is closed
   */
  constructor(accepted: Socket, share: UapiShare, options: ConnectionOptions, onClose: () => void) {
    this.#options = options;
    this.#share = share;
    this.#parser = new UapiRequestParser(options.zones);
    this.#socket = withBuffer(accepted, received, count => this.#received(count));
    const socket = this.#socket;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(this.#deadline);
      this.#parser.giveUp('');
      share.connections.delete(this);
      onClose();
    });
    socket.on('end', () => void this.#enqueue(() => this.#finish()));
    share.connections.add(this);
    socket.resume();
  }

  get pending(): number {
    return this.#parser.pending + this.#waiting;
  }

  get isBusy(): boolean {
    return this.pending > 0 || this.#actions > 0;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Reads nothing more, until resume(). */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#actions === 0) this.#socket.resume();
  }

  /** Handles received bytes. @returns true if reading may go on at once */
  #received(count: number): boolean {
    const bytes = received.subarray(0, count);
    this.#options.onBusy();
    // discard data after the end, so that the client reads its errno and not a reset
    const frames = this.#ending ? [] : this.#parser.frames(bytes);
    bytes.fill(0);
    if (this.#ending) {
      this.#ending.refresh();
      return true;
    }
    for (const frame of frames) if (frame.kind === 'set') this.#waiting += frame.text.length;
    if (this.pending > SMALL_REQUEST && this.#share.pending > MAX_PENDING && this.#parser.pending > 0)
      frames.push(this.#parser.giveUp(`more than ${MAX_PENDING} characters of unfinished requests at once`));
    this.#watchDeadline();
    if (frames.length === 0) return true;
    void this.#enqueue(() => this.#serve(frames));
    return false;
  }

  /** Limits the time that a large request takes to arrive, since it blocks other clients. */
  #watchDeadline(): void {
    if (this.#parser.pending <= SMALL_REQUEST) {
      clearTimeout(this.#deadline);
      this.#deadline = undefined;
    } else
      this.#deadline ??= setTimeout(() => {
        const seconds = REQUEST_TIMEOUT_MS / 1000;
        const frame = this.#parser.giveUp(`a request that was incomplete after ${seconds} s`, ERRNO.ETIMEDOUT);
        void this.#enqueue(() => this.#serve([frame]));
      }, REQUEST_TIMEOUT_MS);
  }

  /** Queues a request after all earlier ones. */
  #enqueue(action: () => Promise<void>): Promise<void> {
    this.#actions++;
    this.#working = this.#working
      .then(action)
      .catch(() => this.destroy())
      .finally(() => this.#actions--);
    return this.#working;
  }

  async #serve(frames: readonly UapiFrame[]): Promise<void> {
    for (const frame of frames) {
      if (this.#socket.destroyed) {
        if (frame.kind === 'set') frame.text.erase();
        continue;
      }
      await this.#answer(frame);
      if (frame.kind === 'invalid' && frame.close) this.#end();
      // let packets pass between many requests
      await turn();
    }
    if (!this.#isPaused) this.#socket.resume();
  }

  async #finish(): Promise<void> {
    const broken = this.#ending ? undefined : this.#parser.end();
    if (broken) await this.#answer(broken);
    this.#socket.end();
  }

  /**
   * Accepts no more requests. Our end stays open while the client writes: some clients treat a
   * close as an error and do not read their errno.
   */
  #end(): void {
    const socket = this.#socket;
    if (this.#ending || socket.destroyed) return;
    this.#ending = setTimeout(() => socket.end(), IDLE_AFTER_MS);
    const limit = setTimeout(() => socket.destroy(), REQUEST_TIMEOUT_MS);
    socket.once('close', () => {
      clearTimeout(this.#ending);
      clearTimeout(limit);
    });
  }

  async #answer(frame: UapiFrame): Promise<void> {
    const { device, onRefused } = this.#options;
    switch (frame.kind) {
      case 'get':
        return this.#answerGet();
      case 'counters':
        return this.#write(formatCountersResponse(device.counters()));
      case 'set':
        return this.#write(formatErrno(await this.#set(frame)));
      case 'invalid':
        onRefused(frame.error.message);
        return this.#write(formatErrno(frame.error.errno));
    }
  }

  async #answerGet(): Promise<void> {
    const { answers } = this.#share;
    await this.#roomForAnswer();
    if (this.#socket.destroyed) return;
    let status: DeviceStatus;
    try {
      status = this.#options.device.status();
    } catch (error) {
      await this.#write(formatErrno(systemErrno(error) ?? ERRNO.EIO));
      return;
    }
    let shareEnd = 0;
    const text = new SecretText((line, into) => encoder.encodeInto(line, into));
    try {
      for (const _ of writeGetResponse(status, text, this.#options.zones)) {
        // move to the end: progress was made just now
        answers.delete(this);
        answers.set(this, performance.now());
        for (const piece of text.pieces()) await this.#write(piece);
        text.erase();
        if (this.#socket.destroyed) return;
        if (performance.now() < shareEnd) continue;
        await turn();
        shareEnd = performance.now() + SHARE_MS;
      }
    } finally {
      answers.delete(this);
      text.erase();
      eraseStatus(status);
    }
  }

  async #roomForAnswer(): Promise<void> {
    const { answers } = this.#share;
    while (answers.size >= MAX_ANSWERS && !this.#socket.destroyed) {
      const [[stuck, since]] = answers as unknown as [[Sharing, number]];
      if (performance.now() - since > STUCK_AFTER_MS) {
        answers.delete(stuck);
        stuck.destroy();
      } else await sleep(PAUSE_MS);
    }
  }

  /** Applies a `set` request. @returns 0 or a positive errno */
  async #set(frame: UapiFrame & { kind: 'set' }): Promise<number> {
    const turnOfOthers = this.#share.setting;
    let done = () => {};
    this.#share.setting = new Promise<void>(resolve => {
      done = resolve;
    });
    try {
      await turnOfOthers;
      this.#waiting -= frame.text.length;
      const request = await this.#read(frame);
      if (request.kind === 'set') return this.#configure(request.config);
      if (request.kind !== 'invalid') return ERRNO.EIO;
      this.#options.onRefused(request.error.message);
      return request.error.errno;
    } finally {
      done();
    }
  }

  /** Parses a large request in parts, so that packets pass in between. */
  async #read(frame: UapiFrame): Promise<UapiRequest> {
    const reading = this.#parser.read(frame);
    for (;;) {
      const { done, value } = reading.next();
      if (done) return value;
      await turn();
    }
  }

  #configure(config: DeviceConfig): number {
    try {
      this.#options.device.configure(config);
      return 0;
    } catch (error) {
      this.#options.onRefused((error as Error).message);
      return systemErrno(error) ?? ERRNO.EIO;
    } finally {
      eraseConfig(config);
    }
  }

  /** Writes a piece; then it may be erased. Drops a client that does not read for long. */
  #write(data: string | Uint8Array): Promise<void> {
    const socket = this.#socket;
    return new Promise(resolve => {
      if (socket.destroyed) return resolve();
      const limit = setTimeout(() => socket.destroy(), READ_TIMEOUT_MS);
      socket.write(data, () => {
        clearTimeout(limit);
        this.#options.onBusy();
        resolve();
      });
    });
  }
}

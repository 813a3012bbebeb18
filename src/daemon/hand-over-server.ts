/**
 * The end of a hand-over in the process that runs the device: a socket beside the control socket,
 * and one hand-over at a time (hand-over-giver.ts). A client that may connect can get all keys, so
 * only root and this process's own user can.
 */
import { closeSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { RightsListener, type RightsSocket, RunToken, removeFile } from '../io/rights.ts';
import {
  GIVER_START,
  type Giver,
  type GiverAction,
  type GiverInput,
  isMessage,
  stepGiver,
} from '../protocol/hand-over-giver.ts';
import { isTrusted } from './device-owner.ts';
import { factsOf, HandOverChannel, type HandOverMessage } from './hand-over-channel.ts';
import type { GivenDevice } from './hand-over-device.ts';
import { makeOffer, objectionTo, programOf } from './hand-over-greeting.ts';
import type { Log } from './log.ts';
import { handOverPath } from './uapi-socket.ts';

export interface HandOverServerOptions {
  /** The control socket, whose folder and name the path follows. */
  readonly controlPath: string;
  readonly device: GivenDevice;
  /** The version of this program. */
  readonly program: string;
  readonly log: Log;
}

/**
 * Time limits in milliseconds. `ready` includes the warm-up of the other process. `received` is the
 * longest that a silent process can keep the device frozen.
 */
const LIMITS_MS = { hello: 2_000, ready: 60_000, received: 2_000, running: 2_000 } as const;
/** `received` is longer for a large state: a busy machine reads 14 MB of 20,000 peers in 2 s. */
const RECEIVED_BYTES_PER_MS = 2000;

/**
 * Connections that have not greeted yet. Some only ask who listens (pidOf), and must not displace a
 * process whose greeting is on its way.
 */
const MOST_SILENT = 8;

export class HandOverServer {
  readonly #options: HandOverServerOptions;
  readonly #listener: RightsListener;
  /** In the order of their connections. */
  #exchanges: Exchange[] = [];

  /** Makes the socket, and replaces one that an earlier process left. @throws Error with `code` */
  constructor(options: HandOverServerOptions) {
    const path = handOverPath(options.controlPath);
    this.#options = options;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    removeFile(path);
    this.#listener = new RightsListener(path);
    this.#listener.onConnection(
      socket => this.#accept(socket),
      error => options.log.error(`no other process can take over at the moment: ${error.message}`),
    );
  }

  /**
   * Accepts no more, and waits until an exchange in progress has decided which process has the
   * device. One that has not stopped the device yet is ended.
   */
  async settled(): Promise<void> {
    this.#listener.close();
    await Promise.all(this.#exchanges.map(each => each.settled()));
  }

  /** Removes the socket. Idempotent. */
  close(): void {
    removeFile(handOverPath(this.#options.controlPath));
    this.release();
  }

  /** Leaves the path to the process that has taken over. */
  release(): void {
    for (const exchange of this.#exchanges) exchange.close();
    this.#listener.close();
  }

  #accept(socket: RightsSocket): void {
    if (!isTrusted(socket.peer.uid)) {
      socket.close();
      return;
    }
    this.#exchanges = this.#exchanges.filter(each => !each.isOver);
    const silent = this.#exchanges.filter(each => each.isSilent);
    if (silent.length >= MOST_SILENT) silent[0]!.close();
    const isBusy = () => this.#exchanges.some(each => !each.isSilent && !each.isOver);
    this.#exchanges.push(new Exchange(this.#options, socket, isBusy));
  }
}

/** One connection, from its greeting to its end. */
class Exchange {
  readonly #options: HandOverServerOptions;
  readonly #channel: HandOverChannel;
  readonly #peer: number;
  readonly #isBusy: () => boolean;
  #giver: Giver = GIVER_START;
  readonly #inputs: GiverInput[] = [];
  #isStepping = false;
  #timer: NodeJS.Timeout | undefined;
  #token: RunToken | undefined;
  /** Whether freeze() of the device was called. */
  #isFrozen = false;
  #stateBytes = 0;
  #program = '';
  #objection = '';
  #onDecided: (() => void) | undefined;

  /** @param isBusy tells whether another exchange is past its greeting */
  constructor(options: HandOverServerOptions, socket: RightsSocket, isBusy: () => boolean) {
    this.#options = options;
    this.#isBusy = isBusy;
    this.#peer = socket.peer.pid;
    this.#channel = new HandOverChannel(socket, {
      onMessage: message => void this.#onMessage(message),
      onBroken: () => this.#input('broken'),
      onEnd: () => this.#input('end'),
    });
    this.#arm();
  }

  get isSilent(): boolean {
    return this.#giver.phase === 'hello';
  }

  get isOver(): boolean {
    return this.#giver.phase === 'over';
  }

  /** Ends the exchange, unless the device depends on it. */
  close(): void {
    if (this.isSilent) this.#input('end');
  }

  /** Returns once it is decided which process has the device; each wait has a time limit. */
  async settled(): Promise<void> {
    if (this.isOver) return;
    const decided = new Promise<void>(resolve => {
      this.#onDecided = resolve;
    });
    const { phase } = this.#giver;
    // the device has not stopped yet
    if (phase === 'hello' || phase === 'ready') this.#input('end');
    else this.#checkDecided();
    await decided;
  }

  #checkDecided(): void {
    const { phase, isLimited } = this.#giver;
    // without a limit, the taker has the token: it runs the device, although it has not said so yet
    if (phase === 'running' && !isLimited) this.#input('running');
    else if (this.isOver) this.#onDecided?.();
  }

  async #onMessage(message: HandOverMessage): Promise<void> {
    const { kind, body, descriptors } = message;
    for (const descriptor of descriptors) closeSync(descriptor);
    // only a confused process sends a state here; it may hold keys
    if (kind === 'state') body.fill(0);
    if (descriptors.length > 0) return this.#input('broken');
    if (kind === 'hello') return this.#onHello(message);
    if (kind === 'ready' && this.#giver.phase === 'ready') await this.#options.device.settle();
    this.#input(kind === 'ready' || kind === 'received' || kind === 'running' ? kind : 'broken');
  }

  #onHello(message: HandOverMessage): void {
    const { device, program } = this.#options;
    const hello = factsOf(message);
    // a second greeting is out of place, and changes nothing that people read about the first
    if (this.isSilent) this.#program = programOf(hello);
    const busy = this.#isBusy() ? 'another process is taking it over' : undefined;
    const objection = busy ?? objectionTo(hello, program) ?? device.boundBy;
    this.#objection = objection ?? '';
    this.#input(objection === undefined ? 'hello' : 'unfit');
  }

  /** Steps through the inputs in order; an action may add one. */
  #input(input: GiverInput): void {
    this.#inputs.push(input);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#inputs.shift(); next; next = this.#inputs.shift()) {
        const step = stepGiver(this.#giver, next);
        this.#giver = step.next;
        this.#follow(step.actions);
      }
    } finally {
      this.#isStepping = false;
    }
    this.#arm();
    if (this.#onDecided) this.#checkDecided();
  }

  /** Does what a step says. After a failure, its messages are left out: they are not true. */
  #follow(actions: readonly GiverAction[]): void {
    let hasFailed = false;
    for (const action of actions) {
      if (hasFailed && isMessage(action)) continue;
      try {
        this.#do(action);
      } catch (error) {
        // this ends the process: no other process runs the device, or only another one does
        if (action === 'thaw' || action === 'restart' || action === 'finish') throw error;
        hasFailed = true;
        this.#options.log.error(`hand-over to ${this.#successor}: ${(error as Error).message}`);
        this.#inputs.push('broken');
      }
    }
  }

  #goOn(action: 'thaw' | 'restart'): void {
    const { device, log } = this.#options;
    const outcome = action === 'thaw' ? 'goes on' : 'goes on with new sessions, because the keys were already erased';
    log.error(`the hand-over to ${this.#successor} failed; this process ${outcome}`);
    if (action === 'restart') device.restart();
    else if (this.#isFrozen) device.thaw();
  }

  get #successor(): string {
    return `process ${this.#peer} (version ${this.#program})`;
  }

  #do(action: GiverAction): void {
    const { device, program, log } = this.#options;
    switch (action) {
      case 'sendOffer':
        this.#channel.sendText('offer', makeOffer(program));
        device.rehearse();
        break;
      case 'sendRefusal':
        log.error(`refused to hand over to ${this.#successor}: ${this.#objection}`);
        this.#channel.sendText('refusal', { reason: this.#objection });
        break;
      case 'freeze':
        this.#token = new RunToken();
        break;
      case 'sendState':
        this.#sendState();
        break;
      case 'erase':
        device.eraseKeys();
        break;
      case 'sendErased':
        this.#channel.send('erased');
        break;
      case 'claim':
        // without a token, no other process was given the device
        this.#inputs.push(!this.#token || this.#token.claim() ? 'claimed' : 'lost');
        break;
      case 'thaw':
      case 'restart':
        this.#goOn(action);
        break;
      case 'finish':
        device.finish(this.#successor);
        this.#end();
        break;
      case 'close':
        this.#end();
        break;
    }
  }

  #sendState(): void {
    this.#isFrozen = true;
    const { state, descriptors } = this.#options.device.freeze();
    this.#stateBytes = state.length;
    try {
      this.#channel.send('state', state, [this.#token!.descriptor, ...descriptors]);
    } finally {
      state.fill(0);
    }
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#channel.close();
    this.#token?.close();
    this.#token = undefined;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { phase, isLimited } = this.#giver;
    if (!isLimited || !(phase in LIMITS_MS)) return;
    const more = phase === 'received' ? Math.floor(this.#stateBytes / RECEIVED_BYTES_PER_MS) : 0;
    this.#timer = setTimeout(() => this.#input('timeout'), LIMITS_MS[phase as keyof typeof LIMITS_MS] + more);
  }
}

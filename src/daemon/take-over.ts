/**
 * The end of a hand-over in the process that takes the device (hand-over-taker.ts): connects,
 * greets, warms up, receives, and runs the device once the token is ours.
 */
import { closeSync } from 'node:fs';
import { RightsSocket, RunToken } from '../io/rights.ts';
import {
  stepTaker,
  TAKER_START,
  type TakerAction,
  type TakerInput,
  type TakerPhase,
} from '../protocol/hand-over-taker.ts';
import { isTrusted } from './device-owner.ts';
import { factsOf, HandOverChannel, type HandOverMessage } from './hand-over-channel.ts';
import { handOverError } from './hand-over-error.ts';
import { makeHello, programOf, shown } from './hand-over-greeting.ts';

export interface TakeOverOptions {
  /** The hand-over socket of the running device. */
  readonly path: string;
  /** The version of this program. */
  readonly program: string;
  /** Compiles and loads everything that the device needs. */
  readonly warmUp: () => void;
  /**
   * Builds the device from its state, and reads nothing. The bytes are erased afterwards.
   * @param descriptors owned by the callee, also if it throws
   * @throws Error that names what is wrong
   */
  readonly build: (state: Uint8Array, descriptors: readonly number[]) => void;
  /** Runs the device. @param hasSessions false if it must make new sessions */
  readonly goLive: (hasSessions: boolean) => void;
  /** Closes the device if it was built; it must not run. */
  readonly discard: () => void;
  /** Gives up, unless the device already runs here. */
  readonly signal?: AbortSignal;
}

/** The process that had the device. */
export interface Predecessor {
  readonly pid: number;
  readonly program: string;
  /** Whether its sessions continue. */
  readonly hasSessions: boolean;
}

/** Time limits in milliseconds. For `state`, the other side finishes requests of clients first. */
const LIMITS_MS: Partial<Record<TakerPhase, number>> = { offer: 5_000, state: 10_000, erased: 10_000 };

/** The actions after which this process runs the device, or which say so. */
const OF_OWNER: readonly TakerAction[] = ['goLive', 'recover', 'sendRunning'];

/**
 * Takes a device over. Returns once it runs here.
 * @throws Error with `code` ENOOWNER if no process answers, EREFUSED if the old process goes on
 */
export function takeOver(options: TakeOverOptions): Promise<Predecessor> {
  const socket = connect(options.path);
  return new Promise((resolve, reject) => new Taking(options, socket, resolve, reject).begin());
}

function connect(path: string): RightsSocket {
  let socket: RightsSocket;
  try {
    socket = RightsSocket.connect(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') throw handOverError('ENOOWNER', `${path}: ${message}`);
    throw handOverError('EREFUSED', `${path}: ${message}`);
  }
  const { pid, uid } = socket.peer;
  if (isTrusted(uid)) return socket;
  socket.close();
  throw handOverError('EREFUSED', `${path}: process ${pid} belongs to user ${uid}, neither root nor the own user`);
}

class Taking {
  readonly #options: TakeOverOptions;
  readonly #pid: number;
  readonly #channel: HandOverChannel;
  readonly #resolve: (predecessor: Predecessor) => void;
  readonly #reject: (error: Error) => void;
  #phase: TakerPhase = TAKER_START;
  readonly #inputs: TakerInput[] = [];
  #isStepping = false;
  #timer: NodeJS.Timeout | undefined;
  #state: HandOverMessage | undefined;
  #token: RunToken | undefined;
  #program = 'unknown';
  #problem = '';
  #hasSessions = false;

  constructor(
    options: TakeOverOptions,
    socket: RightsSocket,
    resolve: (predecessor: Predecessor) => void,
    reject: (error: Error) => void,
  ) {
    this.#options = options;
    this.#pid = socket.peer.pid;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#channel = new HandOverChannel(socket, {
      onMessage: message => this.#onMessage(message),
      onBroken: problem => this.#fail('broken', problem),
      onEnd: () => this.#fail('end', 'the other side ended'),
    });
  }

  begin(): void {
    const { signal, program } = this.#options;
    signal?.addEventListener('abort', () => this.#fail('broken', 'asked to stop'), { once: true });
    if (signal?.aborted) {
      this.#fail('broken', 'asked to stop');
      return;
    }
    try {
      this.#channel.sendText('hello', makeHello(program));
      this.#arm();
    } catch (error) {
      this.#fail('broken', (error as Error).message);
    }
  }

  #onMessage(message: HandOverMessage): void {
    const { kind, body, descriptors } = message;
    if (kind === 'state' && this.#phase === 'state') {
      this.#state = message;
      this.#input('state');
      return;
    }
    for (const descriptor of descriptors) closeSync(descriptor);
    if (kind === 'state') body.fill(0);
    if (kind === 'offer') {
      this.#program = programOf(factsOf(message));
      this.#input('offer');
    } else if (kind === 'refusal') this.#fail('refusal', shown(factsOf(message)['reason'] ?? 'no reason was given'));
    else if (kind === 'erased') this.#input('erased');
    else this.#fail('broken', `an unexpected message ${kind}`);
  }

  #fail(input: TakerInput, problem: string): void {
    this.#problem ||= problem;
    this.#input(input);
  }

  /** Steps through the inputs in order; an action may add one. */
  #input(input: TakerInput): void {
    this.#inputs.push(input);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#inputs.shift(); next; next = this.#inputs.shift()) {
        const step = stepTaker(this.#phase, next);
        this.#phase = step.next;
        for (const action of step.actions) this.#act(action);
      }
    } finally {
      this.#isStepping = false;
    }
    this.#arm();
  }

  #act(action: TakerAction): void {
    try {
      this.#do(action);
    } catch (error) {
      // this ends the process, and the old one goes on: it takes a connection that ends without
      // `running` for a death of this process
      if (OF_OWNER.includes(action)) throw error;
      this.#problem ||= (error as Error).message;
      this.#inputs.push('broken');
    }
  }

  #goLive(hasSessions: boolean): void {
    this.#hasSessions = hasSessions;
    this.#options.goLive(hasSessions);
  }

  #do(action: TakerAction): void {
    switch (action) {
      case 'goLive':
      case 'recover':
        this.#goLive(action === 'goLive');
        break;
      case 'warmUp':
        this.#options.warmUp();
        this.#inputs.push('warm');
        break;
      case 'sendReady':
        this.#channel.send('ready');
        break;
      case 'check':
        this.#build();
        this.#inputs.push('checked');
        break;
      case 'sendReceived':
        this.#channel.send('received');
        break;
      case 'claim':
        this.#inputs.push(this.#token?.claim() ? 'claimed' : 'lost');
        break;
      case 'sendRunning':
        this.#channel.send('running');
        break;
      case 'fail':
        this.#options.discard();
        break;
      case 'close':
        this.#end();
        break;
    }
  }

  #build(): void {
    const { body, descriptors } = this.#state!;
    const [token, ...others] = descriptors;
    this.#state = undefined;
    try {
      if (token === undefined) throw new Error('the state came without descriptors');
      this.#token = new RunToken(token);
      this.#options.build(body, others);
    } finally {
      body.fill(0);
    }
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#channel.close();
    this.#token?.close();
    this.#token = undefined;
    const hasFailed = this.#phase === 'failed';
    if (!hasFailed) this.#resolve({ pid: this.#pid, program: this.#program, hasSessions: this.#hasSessions });
    else this.#reject(this.#failure());
  }

  /** Tells whether the old process goes on by connecting again. */
  #failure(): Error {
    try {
      RightsSocket.connect(this.#options.path).close();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED')
        return handOverError('ENOOWNER', `the old process died (${this.#problem})`);
    }
    return handOverError('EREFUSED', this.#problem || 'it took the interface back');
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const limit = LIMITS_MS[this.#phase];
    if (limit !== undefined)
      this.#timer = setTimeout(() => this.#fail('timeout', `no answer for ${limit / 1000} s`), limit);
  }
}

/**
 * Questions and answers over a channel: numbers them, matches what comes back, turns refusals into NetlinkError, puts the parts of a
 * dump together, and asks again for a dump that something changed under (NLM_F_DUMP_INTR).
 *
 * The kernel acts on requests in the order of the calls. Some requests may be under way at once, but only one dump, for a second
 * would be told EBUSY; and no more than its answers have room for.
 */
import { errnoOf } from './errno.ts';
import { NetlinkError } from './errors.ts';
import { decodeMessages, decodeVerdict, encodeMessage, FLAG, MESSAGE, type NetlinkMessage } from './message.ts';
import type { NetlinkChannel, NetlinkPort } from './port.ts';

const AT_ONCE = 64;
const DUMP_ATTEMPTS = 20;

interface Question {
  /** For people: `adding address 10.0.0.1/24 to wg0`. */
  readonly attempted: string;
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
  readonly dump: boolean;
  readonly resolve: (answers: NetlinkMessage[]) => void;
  readonly reject: (error: unknown) => void;
  answers: NetlinkMessage[];
  interrupted: boolean;
  attempts: number;
}

export class NetlinkSocket {
  readonly #channel: NetlinkChannel;
  readonly #waiting: Question[] = [];
  readonly #asked = new Map<number, Question>();
  #sequence = 0;
  #closed: Error | undefined;

  /** @throws NetlinkError when there is no such socket to be had */
  constructor(port: NetlinkPort, protocol: number) {
    this.#channel = attempt('opening a netlink socket', () =>
      port.open(protocol, [], {
        datagram: bytes => this.#datagram(bytes),
        lost: () => this.#lost(),
        failed: error => this.#end(error),
      }),
    );
  }

  /**
   * Asks for something to be done, or for one thing.
   * @returns what was answered, without the acknowledgement
   * @throws NetlinkError (a rejection)
   */
  request(attempted: string, type: number, flags: number, body: Uint8Array): Promise<NetlinkMessage[]> {
    return this.#ask(attempted, type, flags | FLAG.ack, body, false);
  }

  /** Asks for all there is of a kind. */
  dump(attempted: string, type: number, body: Uint8Array): Promise<NetlinkMessage[]> {
    return this.#ask(attempted, type, FLAG.dump, body, true);
  }

  /** What is not yet answered is rejected. Idempotent. */
  close(): void {
    this.#end(new Error('the netlink socket was closed'));
  }

  #ask(attempted: string, type: number, flags: number, body: Uint8Array, dump: boolean): Promise<NetlinkMessage[]> {
    return new Promise((resolve, reject) => {
      const state = { answers: [], interrupted: false, attempts: 0 };
      this.#waiting.push({ attempted, type, flags: flags | FLAG.request, body, dump, resolve, reject, ...state });
      this.#next();
    });
  }

  #next(): void {
    for (;;) {
      const question = this.#waiting[0];
      if (!question) return;
      if (!this.#closed && !this.#mayAsk(question)) return;
      this.#waiting.shift();
      if (this.#closed) question.reject(ended(question, this.#closed));
      else this.#send(question);
    }
  }

  #mayAsk(question: Question): boolean {
    if (this.#asked.size >= AT_ONCE) return false;
    return !question.dump || [...this.#asked.values()].every(other => !other.dump);
  }

  #send(question: Question): void {
    const { attempted, type, flags, body } = question;
    const sequence = this.#takeSequence();
    question.answers = [];
    question.interrupted = false;
    question.attempts++;
    this.#asked.set(sequence, question);
    const message = encodeMessage({ type, flags, sequence, port: 0, body });
    try {
      attempt(attempted, () => this.#channel.send(message));
    } catch (error) {
      this.#asked.delete(sequence);
      question.reject(error);
    } finally {
      // there may be a key in it
      message.fill(0);
    }
  }

  #takeSequence(): number {
    do this.#sequence = (this.#sequence + 1) >>> 0;
    while (this.#sequence === 0 || this.#asked.has(this.#sequence));
    return this.#sequence;
  }

  #datagram(bytes: Uint8Array): void {
    try {
      for (const message of decodeMessages(bytes)) this.#message(message);
    } catch (error) {
      this.#end(error as Error);
    }
    this.#next();
  }

  #message(message: NetlinkMessage): void {
    const question = this.#asked.get(message.sequence);
    if (!question || message.type === MESSAGE.noop) return;
    if (message.flags & FLAG.dumpInterrupted && question.dump) question.interrupted = true;
    if (message.type === MESSAGE.error || message.type === MESSAGE.done) this.#verdict(question, message);
    else if (message.type === MESSAGE.overrun) question.interrupted = true;
    else question.answers.push(message);
  }

  #verdict(question: Question, message: NetlinkMessage): void {
    const { errno, ...refusal } = decodeVerdict(message);
    // the acknowledgement of a dump's request, where one was sent, comes before what was asked for
    if (question.dump && message.type === MESSAGE.error && errno === 0) return;
    this.#asked.delete(message.sequence);
    if (errno !== 0) question.reject(new NetlinkError(question.attempted, errno, refusal));
    else if (!question.interrupted) question.resolve(question.answers);
    else if (question.attempts < DUMP_ATTEMPTS) this.#waiting.unshift(question);
    else {
      const detail = `it changed each of the ${question.attempts} times while it was read`;
      question.reject(new NetlinkError(question.attempted, errnoOf('EINTR')!, { detail }));
    }
  }

  /** Parts of a dump wait for room and are not lost; an acknowledgement may be, and then nobody knows what it said. */
  #lost(): void {
    const detail = "there was no room for the kernel's answer; it may or may not be done";
    for (const [sequence, question] of this.#asked) {
      question.interrupted = true;
      if (question.dump) continue;
      this.#asked.delete(sequence);
      question.reject(new NetlinkError(question.attempted, errnoOf('ENOBUFS')!, { detail }));
    }
    this.#next();
  }

  #end(why: Error): void {
    if (this.#closed) return;
    this.#closed = why;
    this.#channel.close();
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const question of asked) question.reject(ended(question, why));
    this.#next();
  }
}

/** Does something that may throw a system's error, and says of that what it was for. */
export function attempt<T>(attempted: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { errno, message } = error as { errno?: unknown; message?: string };
    throw typeof errno === 'number' ? new NetlinkError(attempted, Math.abs(errno), { detail: message }) : error;
  }
}

function ended({ attempted }: Question, why: Error): Error {
  return new Error(`${attempted}: ${why.message}`, { cause: why });
}

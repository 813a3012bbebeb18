/**
 * Hears from logind, over the system's D-Bus, that the machine is about to sleep
 * (org.freedesktop.login1.Manager, PrepareForSleep). Does nothing on a machine without a bus.
 */
import { connect, type Socket } from 'node:net';
import { type DbusMessage, decodeMessage, encodeCall, METHOD_RETURN, messageLength, SIGNAL } from './dbus-message.ts';

const DEFAULT_BUS = '/run/dbus/system_bus_socket';
const BUS = 'org.freedesktop.DBus';
const LOGIND = 'org.freedesktop.login1';
const MANAGER = 'org.freedesktop.login1.Manager';
const OWNER_SERIAL = 4;
/** A line of the authentication. */
const LONGEST_LINE = 1024;
/** Longer messages are skipped: signals of logind and of names have a few hundred bytes. */
const LONGEST_READ = 1 << 16;
/**
 * Every local user may send us signals. After this many messages that are not for us in this time,
 * the socket is not read for as long, and the bus holds the sender back.
 */
const FOREIGN_BURST = 64;
const FOREIGN_PAUSE_MS = 1_000;

export interface SleepSignal {
  /** Called shortly before the machine sleeps (true), and after it woke or stayed awake (false). */
  readonly onSleep: (isAhead: boolean) => void;
  /**
   * Called once if the bus does not answer, or answers no more, with the reason, and whether there
   * was a connection.
   */
  readonly onEnd: (reason: string, hadBus: boolean) => void;
}

/**
 * Listens until the returned function is called or the bus ends the connection. It does not connect
 * again: a restarted bus is not supported by the programs around it either, and a suspend is also
 * seen by the clocks.
 * @param bus the path of the socket; default: busSocket()
 */
export function watchSleep({ onSleep, onEnd }: SleepSignal, bus: string | undefined = busSocket()): () => void {
  if (bus === undefined) return () => {};
  const socket = connect(bus).unref();
  let isOpen = true;
  let hadBus = false;
  const end = (reason?: string) => {
    if (!isOpen) return;
    isOpen = false;
    socket.destroy();
    if (reason !== undefined) onEnd(reason, hadBus);
  };
  const reader = new SignalReader(socket, onSleep);
  socket.on('connect', () => {
    hadBus = true;
    socket.write(`\0AUTH EXTERNAL ${Buffer.from(`${process.getuid!()}`).toString('hex')}\r\n`);
  });
  socket.on('data', bytes => {
    try {
      if (isOpen) reader.take(bytes);
    } catch (error) {
      end((error as Error).message);
    }
  });
  socket.on('error', error => end(error.message));
  socket.on('close', () => end('the bus closed the connection'));
  socket.on('close', () => reader.close());
  return () => end();
}

/**
 * Returns the path of the system bus' socket, from DBUS_SYSTEM_BUS_ADDRESS if set.
 * @returns undefined if the address has no Unix socket
 */
export function busSocket(address = process.env['DBUS_SYSTEM_BUS_ADDRESS']): string | undefined {
  if (address === undefined || address === '') return DEFAULT_BUS;
  for (const one of address.split(';')) {
    const path = /^unix:(?:.*,)?(path|abstract)=([^,]*)/.exec(one);
    if (path) return (path[1] === 'abstract' ? '\0' : '') + unescaped(path[2]!);
  }
  return undefined;
}

function unescaped(text: string): string {
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Reads the bus: one line of authentication, then messages. */
class SignalReader {
  readonly #socket: Socket;
  readonly #onSleep: (isAhead: boolean) => void;
  #bytes = Buffer.alloc(0);
  #isAccepted = false;
  /** How many bytes of a message that is too long are still to come. */
  #skip = 0;
  #foreign = 0;
  #foreignSince = Number.NEGATIVE_INFINITY;
  #pause: NodeJS.Timeout | undefined;
  /** The unique name of logind. Every local user may send us a signal, but not from this name. */
  #owner: string | undefined;

  constructor(socket: Socket, onSleep: (isAhead: boolean) => void) {
    this.#socket = socket;
    this.#onSleep = onSleep;
  }

  /** @throws Error if the bus refuses us or sends anything else than messages */
  take(bytes: Buffer): void {
    const skipped = Math.min(this.#skip, bytes.length);
    this.#skip -= skipped;
    if (skipped === bytes.length) return;
    this.#bytes = Buffer.concat([this.#bytes, bytes.subarray(skipped)]);
    if (!this.#isAccepted && !this.#authenticate()) return;
    for (;;) {
      const length = messageLength(this.#bytes);
      if (length === undefined) return;
      if (length > LONGEST_READ) {
        this.#skip = Math.max(0, length - this.#bytes.length);
        this.#bytes = this.#bytes.subarray(length);
        this.#countForeign();
        continue;
      }
      if (this.#bytes.length < length) return;
      const message = this.#bytes.subarray(0, length);
      this.#bytes = this.#bytes.subarray(length);
      if (!this.#heed(message)) this.#countForeign();
    }
  }

  close(): void {
    clearTimeout(this.#pause);
  }

  /** Stops reading for a while if there are too many messages that are not for us. */
  #countForeign(): void {
    const now = performance.now();
    if (now - this.#foreignSince >= FOREIGN_PAUSE_MS) {
      this.#foreignSince = now;
      this.#foreign = 0;
    }
    if (++this.#foreign !== FOREIGN_BURST) return;
    this.#socket.pause();
    this.#pause = setTimeout(() => this.#socket.resume(), FOREIGN_PAUSE_MS).unref();
  }

  #authenticate(): boolean {
    const end = this.#bytes.indexOf('\r\n');
    if (end < 0 && this.#bytes.length < LONGEST_LINE) return false;
    if (end < 0 || !this.#bytes.toString('latin1').startsWith('OK ')) throw new Error('the bus refuses this process');
    this.#bytes = this.#bytes.subarray(end + 2);
    this.#isAccepted = true;
    this.#socket.write('BEGIN\r\n');
    this.#call(1, 'Hello');
    this.#call(2, 'AddMatch', `type='signal',sender='${LOGIND}',interface='${MANAGER}',member='PrepareForSleep'`);
    this.#call(3, 'AddMatch', `type='signal',sender='${BUS}',member='NameOwnerChanged',arg0='${LOGIND}'`);
    this.#call(OWNER_SERIAL, 'GetNameOwner', LOGIND);
    return true;
  }

  #call(serial: number, member: string, ...strings: string[]): void {
    const to = { destination: BUS, path: '/org/freedesktop/DBus', interface: BUS };
    this.#socket.write(encodeCall({ serial, ...to, member, strings }));
  }

  /** Reads one message. @returns whether the bus or logind sent it */
  #heed(bytes: Buffer): boolean {
    let message: DbusMessage;
    try {
      message = decodeMessage(bytes);
    } catch {
      // Its end is known from its header, so that the next message can be read.
      return false;
    }
    const { type, replySerial, sender, interface: from, member, body } = message;
    if (type === METHOD_RETURN && replySerial === OWNER_SERIAL && sender === BUS) this.#own(body?.[0]);
    if (type !== SIGNAL) return sender === BUS;
    if (sender === BUS && member === 'NameOwnerChanged' && body?.[0] === LOGIND) this.#own(body[2]);
    const isLogind = this.#owner !== undefined && sender === this.#owner;
    const isAhead = body?.[0];
    if (isLogind && member === 'PrepareForSleep' && from === MANAGER && typeof isAhead === 'boolean')
      this.#onSleep(isAhead);
    return isLogind || sender === BUS;
  }

  #own(name: string | boolean | undefined): void {
    this.#owner = typeof name === 'string' && name !== '' ? name : undefined;
  }
}

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

export interface SleepSignal {
  /** Called shortly before the machine sleeps (true), and after it woke or stayed awake (false). */
  readonly onSleep: (isAhead: boolean) => void;
  /** Called once if the bus does not answer, or answers no more, with the reason. */
  readonly onEnd: (reason: string) => void;
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
  const end = (reason?: string) => {
    if (!isOpen) return;
    isOpen = false;
    socket.destroy();
    if (reason !== undefined) onEnd(reason);
  };
  const reader = new SignalReader(socket, onSleep);
  socket.on('connect', () =>
    socket.write(`\0AUTH EXTERNAL ${Buffer.from(`${process.getuid!()}`).toString('hex')}\r\n`),
  );
  socket.on('data', bytes => {
    try {
      if (isOpen) reader.take(bytes);
    } catch (error) {
      end((error as Error).message);
    }
  });
  socket.on('error', error => end(error.message));
  socket.on('close', () => end('the bus closed the connection'));
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
  /** The unique name of logind. Every local user may send us a signal, but not from this name. */
  #owner: string | undefined;

  constructor(socket: Socket, onSleep: (isAhead: boolean) => void) {
    this.#socket = socket;
    this.#onSleep = onSleep;
  }

  /** @throws Error if the bus refuses us or sends anything else than messages */
  take(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (!this.#isAccepted && !this.#authenticate()) return;
    for (;;) {
      const length = messageLength(this.#bytes);
      if (length === undefined || this.#bytes.length < length) return;
      const message = decodeMessage(this.#bytes.subarray(0, length));
      this.#bytes = this.#bytes.subarray(length);
      this.#heed(message);
    }
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

  #heed({ type, replySerial, sender, interface: from, member, body }: DbusMessage): void {
    if (type === METHOD_RETURN && replySerial === OWNER_SERIAL && sender === BUS) this.#own(body?.[0]);
    if (type !== SIGNAL) return;
    if (sender === BUS && member === 'NameOwnerChanged' && body?.[0] === LOGIND) this.#own(body[2]);
    const isAhead = body?.[0];
    if (member !== 'PrepareForSleep' || from !== MANAGER || typeof isAhead !== 'boolean') return;
    if (this.#owner !== undefined && sender === this.#owner) this.#onSleep(isAhead);
  }

  #own(name: string | boolean | undefined): void {
    this.#owner = typeof name === 'string' && name !== '' ? name : undefined;
  }
}

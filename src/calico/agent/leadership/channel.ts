/**
 * The lock of a node's leadership, and the connections of other agents to its holder: a socket in
 * Linux's abstract namespace. Pods with hostNetwork share that namespace with the host. The kernel
 * frees the name even if its process is killed.
 *
 * Any user may connect to such a name or take it. Both sides therefore check the other's user
 * (SO_PEERCRED), and only root counts. But containers with hostNetwork often run as root too, with
 * few rights. Only a process that can read the key folder may make the leader step down: the
 * request carries the token in that folder (step-down-token.ts).
 */
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_LOCK, abstractName } from '../../../base/abstract-name.ts';
import { sameBytes } from '../../../base/bytes.ts';
import { encodeText } from '../../../base/utf8.ts';
import type { SocketOwner } from '../../../netlink/unix-diag.ts';
import type { Claim, Holder, LeadershipChannel, Successor } from './leadership.ts';
import {
  type AgentIdentity,
  describeAgent,
  formatMessage,
  LONGEST_LINE,
  type Message,
  parseMessage,
} from './messages.ts';
import type { TokenFile } from './step-down-token.ts';

export interface ChannelOptions {
  readonly self: AgentIdentity;
  /** Returns the user at the other end; undefined if it is unknown. */
  peerUser(socket: Socket): number | undefined;
  /** Returns who owns a name; undefined if no process has it. */
  owner(name: string): Promise<SocketOwner | undefined>;
  readonly token: TokenFile;
  warn(text: string): void;
  /** The name of the lock, for tests. */
  readonly name?: string;
}

const NAME = abstractName(AGENT_LOCK);
/** A holder that is silent for this long when it must introduce itself cannot be asked. */
const INTRODUCTION_MS = 2_000;
/** A holder that was silent is asked again after this time. */
const SILENT_MS = 10_000;
/** Pause before the next attempt to claim the lock of a holder that refuses connections. */
const POLL_MS = 250;
/**
 * Agents that wait for the leader's end keep a silent connection, so silence ends none. One more
 * than these ends the oldest, which connects again if it is an agent.
 */
const MAX_CONNECTIONS = 32;
const ROOT = 0;

/** Opens the channel of this network namespace. */
export function leadershipChannel(options: ChannelOptions): LeadershipChannel {
  const { name = NAME, warn } = options;
  const warned = new Set<string>();
  const warnOnce = (text: string): void => {
    if (!warned.has(text)) warn(text);
    warned.add(text);
  };
  return {
    claim: () => claim(name, { ...options, warn: warnOnce }),
    contact: () => contact(name, options),
  };
}

function claim(name: string, { self, peerUser, token, warn }: ChannelOptions): Promise<Claim | undefined> {
  return new Promise((resolve, reject) => {
    const open = new Set<Socket>();
    let kept: Socket | undefined;
    let onAsked: (successor: Successor) => void;
    const asked = new Promise<Successor>(done => {
      onAsked = done;
    });
    const server = createServer(socket => {
      socket.on('error', () => {});
      if (peerUser(socket) !== ROOT) return void socket.destroy();
      open.add(socket);
      const oldest = [...open].find(each => each !== kept);
      if (open.size > MAX_CONNECTIONS && oldest && open.delete(oldest)) oldest.destroy();
      socket.on('close', () => open.delete(socket));
      socket.write(formatMessage({ type: 'leader', agent: self }));
      onMessages(socket, message => {
        if (message?.type !== 'step-down') return void socket.destroy();
        const refuse = (reason: string): void => void socket.end(formatMessage({ type: 'refused', reason }));
        const fault = tokenFault(message.token, token);
        if (fault !== undefined) {
          warn(`did not step down for a process that says it is an agent: ${fault}`);
          return refuse(fault);
        }
        if (kept) return refuse('it steps down for another agent');
        kept = socket;
        onAsked({
          agent: message.agent,
          ended: whenClosed(socket),
          grant: () => void socket.write(formatMessage({ type: 'stepped-down' })),
          close: () => void socket.destroy(),
        });
      });
    });
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(name, () => {
      try {
        token.ensure();
      } catch (error) {
        warn(`no other agent can ask this one to step down: ${(error as Error).message}`);
      }
      resolve({
        asked,
        release() {
          server.close();
          for (const socket of open) if (socket !== kept) socket.destroy();
        },
      });
    });
  });
}

/** Returns why a request to step down is refused; undefined if its token is right. */
function tokenFault(given: string | undefined, file: TokenFile): string | undefined {
  let token: string | undefined;
  try {
    token = file.read();
  } catch {
    // The reason may hold what the other agent would not read.
  }
  if (token === undefined) return `the leader cannot read ${file.name} in its key folder`;
  if (given === undefined) return `the request has no token (${file.name} in the key folder)`;
  const isRight = sameBytes(encodeText(given), encodeText(token));
  return isRight ? undefined : `the token of the request is not the one of ${file.name} in the leader's key folder`;
}

async function contact(name: string, { self, peerUser, owner, token }: ChannelOptions): Promise<Holder | undefined> {
  const socket = connect(name);
  const ended = whenClosed(socket);
  const failure = await new Promise<NodeJS.ErrnoException | undefined>(resolve => {
    socket.once('connect', () => resolve(undefined)).once('error', resolve);
  });
  socket.on('error', () => {});
  if (failure) return refusing(failure, await owner(name).catch(() => undefined), socket);
  const user = peerUser(socket);
  if (user !== ROOT) return stranger(user, socket);
  const messages = queueOf(socket);
  const first = await Promise.race([messages.next(), sleep(INTRODUCTION_MS, 'silent' as const, { ref: false })]);
  if (first === 'ended') return cannotBeAsked('closing', 'a process that ends connections', sleep(POLL_MS), socket);
  if (first === 'silent') {
    const again = Promise.race([ended, sleep(SILENT_MS, undefined, { ref: false })]);
    return cannotBeAsked('silent', 'an agent that does not answer', again, socket);
  }
  if (first?.type !== 'leader') return cannotBeAsked('unreadable', 'an agent of another version', ended, socket);
  return {
    kind: 'agent',
    agent: first.agent,
    description: describeAgent(first.agent),
    ended,
    async askToStepDown() {
      socket.write(formatMessage({ type: 'step-down', agent: self, ...ownToken(token) }));
      const answer = await messages.next();
      if (answer === 'ended' || answer?.type === 'stepped-down') return undefined;
      return answer?.type === 'refused' ? answer.reason : 'it gave an answer that this version cannot read';
    },
    close: () => void socket.destroy(),
  };
}

/** An older leader has made no token, and asks for none. */
function ownToken(file: TokenFile): { readonly token?: string } {
  try {
    const token = file.read();
    return token === undefined ? {} : { token };
  } catch {
    // The leader says what it lacks.
    return {};
  }
}

/** Judges a name that accepted no connection. @returns undefined if no process has it */
function refusing(
  { code, message }: NodeJS.ErrnoException,
  owner: SocketOwner | undefined,
  socket: Socket,
): Holder | undefined {
  const listens = code !== 'ECONNREFUSED' && code !== 'ENOENT';
  if (!listens && !owner) return undefined;
  if (owner?.user !== undefined && owner.user !== ROOT) return stranger(owner.user, socket);
  // A busy agent may have a full queue (EAGAIN), but an agent always listens.
  const kind = listens ? 'silent' : 'deaf';
  return cannotBeAsked(kind, `a process that refuses connections (${message})`, sleep(POLL_MS), socket);
}

function stranger(user: number | undefined, socket: Socket): Holder {
  socket.destroy();
  return cannotBeAsked('stranger', `a process of user ${user ?? 'unknown'}`, Promise.resolve(), socket);
}

function cannotBeAsked(kind: Holder['kind'], description: string, ended: Promise<void>, socket: Socket): Holder {
  return {
    kind,
    description,
    ended,
    askToStepDown: () => Promise.resolve('it cannot be asked'),
    close: () => void socket.destroy(),
  };
}

function whenClosed(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.once('close', () => resolve()));
}

/** Passes each line on as a message, and undefined for one that cannot be read. */
function onMessages(socket: Socket, listener: (message: Message | undefined) => void): void {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    const lines = text.split('\n');
    text = lines.pop()!;
    for (const line of lines) listener(parseMessage(line));
    if (text.length > LONGEST_LINE) socket.destroy();
  });
}

/** Messages in the order of arrival; 'ended' once the connection has ended. */
function queueOf(socket: Socket): { next(): Promise<Message | undefined | 'ended'> } {
  const received: (Message | undefined | 'ended')[] = [];
  let wake = (): void => {};
  const push = (message: Message | undefined | 'ended'): void => {
    received.push(message);
    wake();
  };
  onMessages(socket, push);
  socket.once('close', () => push('ended'));
  return {
    async next() {
      if (received.length === 0)
        await new Promise<void>(resolve => {
          wake = resolve;
        });
      return received.shift();
    },
  };
}

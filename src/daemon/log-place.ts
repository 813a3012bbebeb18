/**
 * Chooses where a device in the background logs: the first available of journal, system log and
 * file. WGTS_LOG selects one. The parent opens the log and also passes it as standard error, so
 * that messages of a crashing Node reach the log.
 */
import { spawn } from 'node:child_process';
import { closeSync, constants, existsSync, lstatSync, mkdirSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { delimiter, join } from 'node:path';
import { codedError } from '../base/coded-error.ts';

const LOG_PLACES = ['auto', 'journal', 'syslog', 'file', 'none'] as const;

export interface LogPlace {
  readonly kind: 'journal' | 'syslog' | 'file';
  /** The child's standard error. A stream is also passed as WGTS_LOG_FD. */
  readonly output: Socket | number;
  /** The path of a log file; undefined for a stream. */
  readonly path?: string;
  /** Call once the child has inherited the output. Idempotent. */
  close(): void;
}

/** Folders for log files. Only root can write to them. The first usable one is taken. */
export const LOG_FOLDERS = ['/var/log/wireguard-ts', '/run/wireguard-ts/log'] as const;
export const JOURNAL_SOCKET = '/run/systemd/journal/stdout';
const SYSLOG_SOCKET = '/dev/log';
const CONNECT_LIMIT_MS = 1000;
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

/** Returns the identifier of a device's messages in the journal and the system log. */
export function logIdentifier(name: string): string {
  return `wireguard-ts-${name}`;
}

/** Opens the log of a device. @throws Error for an unknown or unavailable WGTS_LOG */
export async function openLogPlace(name: string, setting = process.env['WGTS_LOG']): Promise<LogPlace | undefined> {
  const wanted = LOG_PLACES.find(each => each === (setting || 'auto'));
  if (wanted === undefined) throw codedError('EINVAL', `WGTS_LOG=${setting}: choose one of ${LOG_PLACES.join(', ')}`);
  const openers = { journal: openJournal, syslog: openSyslog, file: openFile };
  if (wanted === 'none') return undefined;
  if (wanted !== 'auto') {
    const place = await openers[wanted](name);
    if (place) return place;
    throw codedError('ENOENT', `WGTS_LOG=${wanted}: ${MISSING[wanted]}`);
  }
  return (await openJournal(name)) ?? openSyslog(name) ?? openFile(name);
}

const MISSING = {
  journal: `no journal answers at ${JOURNAL_SOCKET}`,
  syslog: `there is no ${SYSLOG_SOCKET}, or no logger(1)`,
  file: `neither ${LOG_FOLDERS.join(' nor ')} can be written`,
};

/** Connects to the journal's stream socket, as systemd-cat(1) does. */
async function openJournal(name: string): Promise<LogPlace | undefined> {
  if (!existsSync(JOURNAL_SOCKET)) return undefined;
  const socket = connect(JOURNAL_SOCKET);
  const isOpen = await new Promise<boolean>(resolve => {
    const timer = setTimeout(() => resolve(false), CONNECT_LIMIT_MS);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => clearTimeout(timer));
    socket.once('connect', () => clearTimeout(timer));
  });
  socket.on('error', () => {});
  if (!isOpen) {
    socket.destroy();
    return undefined;
  }
  // identifier, unit, priority, whether lines begin with a priority, and three flags for forwarding
  await new Promise<void>(resolve => socket.write(`${logIdentifier(name)}\n\n6\n1\n0\n0\n0\n`, () => resolve()));
  return { kind: 'journal', output: socket, close: () => socket.destroy() };
}

/**
 * Uses logger(1), since Node has no UNIX datagram sockets. logger ends when the device that writes
 * to it ends.
 */
function openSyslog(name: string): LogPlace | undefined {
  const logger = `${process.env['PATH'] ?? ''}:/usr/bin:/bin`
    .split(delimiter)
    .map(folder => join(folder, 'logger'))
    .find(path => existsSync(path));
  if (logger === undefined || !existsSync(SYSLOG_SOCKET)) return undefined;
  const child = spawn(logger, ['-t', logIdentifier(name), '-p', 'daemon.notice'], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  child.on('error', () => {});
  child.unref();
  const output = child.stdin as Socket;
  output.on('error', () => {});
  return { kind: 'syslog', output, close: () => output.destroy() };
}

function openFile(name: string): LogPlace | undefined {
  for (const folder of LOG_FOLDERS)
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const { mode, uid } = lstatSync(folder);
      // do not write through a link, or into a folder that other users may change
      if ((mode & constants.S_IFMT) !== constants.S_IFDIR || mode & 0o022 || uid !== process.geteuid?.()) continue;
      const path = join(folder, `${name}.log`);
      const fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
      let isOpen = true;
      const close = () => {
        if (isOpen) closeSync(fd);
        isOpen = false;
      };
      return { kind: 'file', output: fd, path, close };
    } catch {
      // try the next one
    }
  return undefined;
}

/**
 * `wgts logs`: prints what the process of an interface logged. Searches every place where that
 * process may log (daemon/log-place.ts).
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codedError } from '../../base/coded-error.ts';
import { quote } from '../../config/errors.ts';
import { JOURNAL_SOCKET, LOG_FOLDERS, logIdentifier } from '../../daemon/log-place.ts';
import { logs as model } from '../help/texts/logs.ts';
import { interfaceArgument } from '../interface-argument.ts';
import { readLogLines } from '../log-lines.ts';
import { parseOptions } from '../parse-options.ts';
import { type Command, type Terminal, UsageError } from '../terminal.ts';

const DEFAULT_LINES = 100;
/**
 * Files for messages that a syslog daemon does not write to a separate file: on Debian, on Red Hat
 * and busybox, and on older Debian.
 */
const SYSTEM_LOGS = ['/var/log/syslog', '/var/log/messages', '/var/log/daemon.log'];
const LOOK_MS = 500;

interface Wanted {
  readonly name: string;
  readonly lines: number;
  readonly follow: boolean;
}

export const logs: Command = async (args, terminal) => {
  const { values, positionals } = parseOptions(model, args, { least: 1 });
  const name = interfaceArgument(positionals[0]);
  const wanted = { name, lines: parseLines(values['lines']), follow: values['follow'] === true };
  const file = newest(LOG_FOLDERS.map(folder => join(folder, `${name}.log`)));
  if (existsSync(JOURNAL_SOCKET) && (file === undefined || isInJournal(name))) return showJournal(wanted);
  if (file !== undefined) return showFile(file, wanted, terminal, () => true);
  const tag = `${logIdentifier(name)}[`;
  const isOurs = (line: string) => line.includes(` ${tag}`) || line.includes(` ${logIdentifier(name)}:`);
  const system = SYSTEM_LOGS.find(path => existsSync(path) && readLogLines(path).lines.some(isOurs));
  if (system !== undefined) return showFile(system, wanted, terminal, isOurs);
  throw codedError(
    'ENOENT',
    `there is no log of ${name}: either no userspace process ran it on this machine, or its process runs in the foreground, has WGTS_LOG=none, or logs to a system log other than ${SYSTEM_LOGS.join(', ')} (as ${logIdentifier(name)})`,
  );
};

function parseLines(text: string | true | undefined): number {
  if (text === undefined) return DEFAULT_LINES;
  if (typeof text === 'string' && /^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`option --lines cannot be ${quote(String(text))}: it must be a number of lines`);
}

function showJournal({ name, lines, follow }: Wanted): Promise<number> {
  const args = ['--no-pager', '-n', String(lines), ...(follow ? ['-f'] : [])];
  const child = spawn('journalctl', [...args, ...matchesOf(name)], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', error => reject(codedError('ENOENT', `journalctl cannot be run: ${error.message}`)));
    child.once('exit', status => resolve(status ?? 1));
  });
}

function isInJournal(name: string): boolean {
  const { stdout } = spawnSync('journalctl', ['-q', '-n', '1', '-o', 'cat', ...matchesOf(name)], { encoding: 'utf8' });
  return Boolean(stdout);
}

/**
 * Returns journalctl's matches for a device. A device under a service manager appears in the
 * journal under its unit (systemd/wgts@.service). Any user may write to the journal under any
 * identifier. Only lines from processes of root or of our own user therefore count.
 */
function matchesOf(name: string): string[] {
  const identifier = `SYSLOG_IDENTIFIER=${logIdentifier(name)}`;
  const uids = [...new Set([0, process.geteuid?.() ?? 0])];
  return [...uids.flatMap(uid => [identifier, `_UID=${uid}`, '+']), `_SYSTEMD_UNIT=wgts@${name}.service`];
}

async function showFile(
  path: string,
  { lines, follow }: Wanted,
  terminal: Terminal,
  isOurs: (line: string) => boolean,
): Promise<number> {
  const before = existsSync(`${path}.1`) ? readLogLines(`${path}.1`).lines : [];
  let inode = statSync(path).ino;
  const now = readLogLines(path);
  let { end } = now;
  // An incomplete last line is printed later, once it is complete.
  const last = follow ? [] : [now.rest].filter(rest => rest !== '');
  const all = [...before, ...now.lines, ...last].filter(isOurs);
  print(lines === 0 ? [] : all.slice(-lines), terminal);
  while (follow) {
    await sleep(LOOK_MS);
    const status = statSync(path, { throwIfNoEntry: false });
    if (!status || (status.ino === inode && status.size === end)) continue;
    const fresh = readLogLines(path, status.ino === inode && status.size > end ? end : 0);
    inode = status.ino;
    end = fresh.end;
    print(fresh.lines.filter(isOurs), terminal);
  }
  return 0;
}

function print(lines: readonly string[], terminal: Terminal): void {
  if (lines.length > 0) terminal.out(`${lines.map(visible).join('\n')}\n`);
}

function newest(paths: readonly string[]): string | undefined {
  const found = paths.filter(path => existsSync(path));
  return found.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
}

/** Escapes control characters, which the terminal would act on. */
function visible(line: string): string {
  return line.replace(/[^\P{Cc}\t]/gu, c => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

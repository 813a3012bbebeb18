/**
 * Starts a device in the background. Node cannot fork, so the program starts itself again with
 * WG_PROCESS_FOREGROUND=1 in a new session, as wireguard-go does. wg-quick expects the interface
 * when the command returns. So the parent ends only after the child reports that interface and
 * socket exist, or reports why it failed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { programStart } from '../io/installation.ts';
import { pidOf } from './device-owner.ts';
import { handOverCode } from './hand-over-error.ts';
import { type LogPlace, openLogPlace } from './log-place.ts';
import { LOG_BOTH_VARIABLE, LOG_FD_VARIABLE, LOG_FILE_VARIABLE } from './log-sink.ts';

/** The variable that names the descriptor on which the child reports that it is ready. */
export const READY_FD_VARIABLE = 'WGTS_READY_FD';
/**
 * If 1, the child ends if its parent was killed before the child was ready: no caller would know
 * about the device.
 */
export const NEEDS_PARENT_VARIABLE = 'WGTS_NEEDS_PARENT';
const READY_FD = 3;
const TUN_FD = 4;
const UAPI_FD = 5;
const LOG_FD = 6;
const READY = 'ready\n';
const START_LIMIT_MS = 30_000;

export interface BackgroundOptions {
  /** The arguments of `wireguard-ts`. */
  readonly args: readonly string[];
  /** The interface's name, for its log. */
  readonly name: string;
  /** Whether the child also writes to our output, which then stays open while the child lives. */
  readonly keepOutput: boolean;
  /** Inherited descriptors for the child. */
  readonly tunFd: number | undefined;
  readonly uapiFd: number | undefined;
  /** Variables added to our environment, and with undefined, left out of it. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Starts the child and waits for its report.
 * @throws Error with the child's reason if it could not start; with `code` after a failed hand-over
 */
export async function startInBackground(options: BackgroundOptions): Promise<void> {
  const { name, keepOutput, tunFd, uapiFd } = options;
  const place = isInJournal(keepOutput) ? undefined : await openLogPlace(name);
  const env = {
    ...process.env,
    ...options.env,
    WG_PROCESS_FOREGROUND: '1',
    [READY_FD_VARIABLE]: String(READY_FD),
    ...(tunFd !== undefined && { WG_TUN_FD: String(TUN_FD) }),
    ...(uapiFd !== undefined && { WG_UAPI_FD: String(UAPI_FD) }),
    ...(place && logEnvironment(place, keepOutput)),
  };
  const { file, args, argv0 } = programStart('wireguard-ts');
  const child = spawn(file, [...args, ...options.args], {
    argv0,
    detached: true,
    env,
    // the child must not hold our output open: its reader waits until it is closed
    stdio: [
      'ignore',
      'ignore',
      keepOutput ? 'inherit' : (place?.output ?? 'ignore'),
      'pipe',
      tunFd ?? 'ignore',
      uapiFd ?? 'ignore',
      place && place.kind !== 'file' ? place.output : 'ignore',
    ],
  });
  place?.close();
  const report = child.stdio[READY_FD] as NodeJS.ReadableStream;
  const text = await new Promise<string>((resolve, reject) => {
    let received = '';
    const limit = setTimeout(() => {
      const reason = `it did not start within ${START_LIMIT_MS / 1000} s`;
      if (mayRun(child, options))
        reject(new Error(`${reason}; process ${child.pid} may run the interface and goes on`));
      else {
        child.kill();
        reject(new Error(reason));
      }
    }, START_LIMIT_MS);
    report.setEncoding('utf8');
    report.on('data', (chunk: string) => {
      received += chunk;
      if (received.endsWith(READY)) done();
    });
    report.on('end', done);
    child.on('error', reject);
    function done(): void {
      clearTimeout(limit);
      resolve(received);
    }
  });
  if (text !== READY) {
    const code = handOverCode(text);
    throw Object.assign(new Error(text.trim() || 'it ended before it was ready'), code && { code });
  }
  child.unref();
}

/** Returns whether a child that takes a device over may run it by now: then it must not end. */
function mayRun({ pid }: ChildProcess, { args, name }: BackgroundOptions): boolean {
  if (!args.includes('--take-over')) return false;
  const owner = pidOf(name);
  return owner === undefined || owner === pid;
}

function logEnvironment({ path }: LogPlace, keepOutput: boolean): Record<string, string> {
  const where = path === undefined ? { [LOG_FD_VARIABLE]: String(LOG_FD) } : { [LOG_FILE_VARIABLE]: path };
  return keepOutput ? { ...where, [LOG_BOTH_VARIABLE]: '1' } : where;
}

/**
 * Reports whether our standard error already goes to the journal; a second log would repeat every
 * line.
 */
function isInJournal(keepOutput: boolean): boolean {
  return keepOutput && process.env['JOURNAL_STREAM'] !== undefined;
}

/**
 * Reports once from the child to a waiting parent; does nothing without one.
 * @returns false if the parent is gone and the child must end too
 */
export function reportToParent(outcome: 'ready' | Error): boolean {
  const fd = Number(process.env[READY_FD_VARIABLE] ?? -1);
  const needed = process.env[NEEDS_PARENT_VARIABLE] === '1';
  delete process.env[READY_FD_VARIABLE];
  delete process.env[NEEDS_PARENT_VARIABLE];
  if (!Number.isInteger(fd) || fd < 3) return true;
  try {
    writeSync(fd, outcome === 'ready' ? READY : `${outcome.message}\n`);
    closeSync(fd);
    return true;
  } catch {
    // the parent was killed
    return !needed;
  }
}

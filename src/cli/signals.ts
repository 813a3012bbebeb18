/**
 * Defuses signals that would harm our programs. On SIGUSR1 Node opens V8's debugger on
 * 127.0.0.1:9229 to every local user, and, in a pod on the host's network, to every other such pod:
 * a client of it runs code as root and reads all keys. SIGUSR2 ends a Node program. wireguard-go
 * ignores both. This module is loaded first, so it imports nothing slow.
 *
 * INSPECTOR_OFF, which the launchers in bin/ and a parent pass, covers the time before this module
 * runs.
 */
import { INSPECTOR_OFF } from '../io/inspector-off.ts';

export interface Program {
  main(): Promise<void>;
}

/** Until this time has passed, a signal from before the handler may still open the debugger. */
const LATE_MS = 1000;

/**
 * Defuses the signals, closes a debugger that was not requested, then loads and runs a program. If
 * that fails, Node ends with a stack trace.
 */
export async function startProgram(load: () => Promise<Program>): Promise<void> {
  ignoreUserSignals();
  const { main } = await load();
  if (mayBeOpen()) await closeInspector();
  await main();
}

/** Ignores both signals from now on. A handler of ours replaces Node's own. */
function ignoreUserSignals(): void {
  process.on('SIGUSR1', () => void closeInspector()).on('SIGUSR2', () => {});
  setTimeout(() => void closeInspector(), LATE_MS).unref();
}

/**
 * Closes a debugger that the command line did not request: one that an early SIGUSR1 opened, or one
 * from NODE_OPTIONS in an environment inherited from a developer's shell.
 */
async function closeInspector(): Promise<void> {
  if (!process.features.inspector || process.execArgv.some(isDebugging)) return;
  const inspector = await import('node:inspector');
  if (inspector.url() === undefined) return;
  inspector.close();
  process.stderr.write('the debugger was closed: it is open only if node itself was started with --inspect\n');
}

/**
 * The check loads much of Node, which would slow down short commands. It runs only if a signal or
 * the environment can have opened a debugger.
 */
function mayBeOpen(): boolean {
  return !process.execArgv.includes(INSPECTOR_OFF) || Boolean(process.env['NODE_OPTIONS']);
}

/** `--inspect-port` alone opens nothing. */
function isDebugging(argument: string): boolean {
  return /^--(inspect|inspect-brk|inspect-wait|debug)(=|$)/.test(argument);
}

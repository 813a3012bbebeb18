/**
 * Defuses signals that would harm our programs. On SIGUSR1, Node opens V8's debugger on
 * 127.0.0.1:9229. Every local user can then connect to it and, for a pod on the host's network, so
 * can every other such pod. A connected client runs code as root and reads all keys. SIGUSR2 ends a
 * Node program. wireguard-go ignores both signals. This module is loaded first, so it imports
 * nothing slow.
 *
 * The option INSPECTOR_OFF, which the launchers in bin/ and a parent process pass to Node, covers
 * the time before this module runs.
 */
import { INSPECTOR_OFF } from '../io/inspector-off.ts';

export interface Program {
  main(): Promise<void>;
}

/**
 * For this long, a signal that arrived before the handler was installed may still open the
 * debugger.
 */
const LATE_MS = 1000;

/**
 * Defuses the signals, closes a debugger that was not requested, then loads and runs a program. If
 * the program fails, Node exits with a stack trace.
 */
export async function startProgram(load: () => Promise<Program>): Promise<void> {
  ignoreUserSignals();
  const { main } = await load();
  if (mayBeOpen()) await closeInspector();
  await main();
}

/** Ignores both signals from now on. Our handler replaces Node's own. */
function ignoreUserSignals(): void {
  process.on('SIGUSR1', () => void closeInspector()).on('SIGUSR2', () => {});
  setTimeout(() => void closeInspector(), LATE_MS).unref();
}

/**
 * Closes a debugger that was not requested on the command line. Either an early SIGUSR1 opened it,
 * or NODE_OPTIONS did, inherited from a developer's shell.
 */
async function closeInspector(): Promise<void> {
  if (!process.features.inspector || process.execArgv.some(isDebugging)) return;
  const inspector = await import('node:inspector');
  if (inspector.url() === undefined) return;
  inspector.close();
  process.stderr.write('the debugger was closed: it is open only if node itself was started with --inspect\n');
}

/**
 * Returns whether a signal or the environment can have opened a debugger. Only then is the real
 * check worth its cost: it loads much of Node and would slow down short commands.
 */
function mayBeOpen(): boolean {
  return !process.execArgv.includes(INSPECTOR_OFF) || Boolean(process.env['NODE_OPTIONS']);
}

/** Returns whether an argument opens the debugger. `--inspect-port` alone does not. */
function isDebugging(argument: string): boolean {
  return /^--(inspect|inspect-brk|inspect-wait|debug)(=|$)/.test(argument);
}

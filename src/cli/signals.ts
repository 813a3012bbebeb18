/**
 * Signals that must do a program of ours no harm. Node opens V8's debugger on 127.0.0.1:9229 when SIGUSR1 comes, to every local user and,
 * in a pod on the host's network, to every other such pod: whoever reaches it runs code as root and reads all keys. SIGUSR2
 * ends a Node program. wireguard-go lets nothing happen on either. Loaded before anything else, so it imports nothing that takes time.
 *
 * The moments before this runs are closed by INSPECTOR_OFF, which the launchers in bin/ and a parent pass.
 */
import { INSPECTOR_OFF } from '../io/inspector-off.ts';

export interface Program {
  main(): Promise<void>;
}

/** Until this is gone by, a signal of the time before the handler may still be on its way to open the debugger. */
const LATE_MS = 1000;

/** Makes signals harmless, closes a debugger that nobody asked for, then loads and runs a program. A failure to do so ends Node with its stack. */
export async function startProgram(load: () => Promise<Program>): Promise<void> {
  ignoreUserSignals();
  const { main } = await load();
  if (mayBeOpen()) await closeInspector();
  await main();
}

/** From here on neither signal does anything. A handler of ours takes the place of Node's own. */
export function ignoreUserSignals(): void {
  process.on('SIGUSR1', () => void closeInspector()).on('SIGUSR2', () => {});
  setTimeout(() => void closeInspector(), LATE_MS).unref();
}

/**
 * Closes a debugger that was not asked for on the command line: one that an early SIGUSR1 opened, or NODE_OPTIONS in an environment that
 * was inherited from a developer's shell.
 */
export async function closeInspector(): Promise<void> {
  if (!process.features.inspector || process.execArgv.some(isDebugging)) return;
  const inspector = await import('node:inspector');
  if (inspector.url() === undefined) return;
  inspector.close();
  process.stderr.write('the debugger was closed: it is open only if node itself was started with --inspect\n');
}

/** Looking loads much of Node, which short commands would feel: not where neither a signal nor the environment can have opened one. */
function mayBeOpen(): boolean {
  return !process.execArgv.includes(INSPECTOR_OFF) || Boolean(process.env['NODE_OPTIONS']);
}

/** `--inspect-port` alone opens nothing. */
function isDebugging(argument: string): boolean {
  return /^--(inspect|inspect-brk|inspect-wait|debug)(=|$)/.test(argument);
}

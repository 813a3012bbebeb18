/**
 * `wireguard-ts [-f|--foreground] INTERFACE`: the program that wg-quick starts if the kernel has no
 * WireGuard. Arguments, environment, socket path, exit status and daemonizing follow wireguard-go
 * and must not change. Our own options begin with two dashes, and our own variables with WGTS_. The
 * default backend is userspace, even where --backend=auto would choose the kernel: a user of this
 * program either has no WireGuard in the kernel or wants a process with a control socket.
 */

import { takeBackend } from '../backend/choose.ts';
import { holdLink } from '../backend/hold.ts';
import { BACKENDS, type BackendChoice } from '../backend/names.ts';
import { checkInterfaceName } from '../base/interface-name.ts';
import { quote } from '../config/errors.ts';
import { READY_FD_VARIABLE, reportToParent, startInBackground } from '../daemon/background.ts';
import { SANDBOX_SETTINGS } from '../daemon/confine.ts';
import type { DeviceSettings } from '../daemon/device-settings.ts';
import { handOverStatus } from '../daemon/hand-over-error.ts';
import { keyLogWarning } from '../daemon/key-log.ts';
import { knownFaults, runningKernel } from '../daemon/known-kernels.ts';
import { makeLog, parseLogLevel } from '../daemon/log.ts';
import { type TakenLog, takeLog } from '../daemon/log-sink.ts';
import { isOffloadSwitch, OFFLOAD_SWITCHES, type OffloadSwitch } from '../daemon/offload-switches.ts';
import { MOST_THREADS_GIVEN } from '../daemon/processors.ts';
import { runDevice, STOP_SIGNALS } from '../daemon/run-device.ts';
import { systemNetlink } from '../io/netlink.ts';
import { AEADS, wireguardTs } from './help/texts/wireguard-ts.ts';
import { interfaceArgument } from './interface-argument.ts';
import { checkChoice, parseOptions } from './parse-options.ts';
import { processTerminal, type Terminal, UsageError, visible } from './terminal.ts';

/**
 * What the argument parser needs. Standard output is not included: it is opened only to print help
 * or the version.
 */
type World = Pick<Terminal, 'env' | 'err'>;

/** The exit status after an internal error: EX_SOFTWARE of sysexits.h. */
const CRASHED = 70;

interface Arguments {
  readonly foreground: boolean;
  readonly backend: BackendChoice;
  readonly settings: Omit<DeviceSettings, 'backend'>;
}

export async function main(): Promise<void> {
  const err = (text: string) => void process.stderr.write(visible(text));
  let parsed: Arguments | undefined;
  try {
    parsed = await answerOrParse(process.argv.slice(2), { env: process.env, err });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const { usageMessage } = await import('./usage-message.ts');
    err(usageMessage(error, 'wireguard-ts', 'wireguard-ts --help'));
    process.exitCode = 1;
    return;
  }
  if (!parsed) return;
  const { foreground, backend, settings } = parsed;
  const { name } = settings;
  const log = takeLog();
  logCrash(name, log);
  // The reader of the log may disappear; the tunnel must stay.
  process.stderr.on('error', () => {});
  // Installed before a signal could leave anything behind. The handlers stay installed, because
  // removing them could lose a signal that has just arrived.
  const stop = foreground ? stopSignal() : undefined;
  try {
    checkInterfaceName(name);
    if (settings.takesOver && settings.tunFd !== undefined)
      throw new Error('WG_TUN_FD is set: --take-over gets the TUN from the running process; unset it');
    const taken = await takeBackend(backend, {
      name,
      port: systemNetlink,
      adoptsTun: settings.tunFd !== undefined || settings.takesOver === true,
    });
    const early = makeLog(settings.logLevel, name, line => process.stderr.write(line));
    // If this process was started in the background, its parent has already reported this.
    if (process.env[READY_FD_VARIABLE] === undefined) early.verbose(`backend ${taken.kind}: ${taken.reason}`);
    if (taken.kind === 'kernel') {
      if (stop) early.verbose(`ended: ${await holdLink(systemNetlink, taken.link, stop)}`);
      process.exit(0);
    }
    if (settings.keyLogFile !== undefined && process.env[READY_FD_VARIABLE] === undefined)
      process.stderr.write(`${keyLogWarning(settings.keyLogFile)}\n`);
    if (!foreground) {
      await startInBackground({
        name,
        args: [...process.argv.slice(2), `--backend=${taken.by === 'auto' ? 'userspace' : taken.by}`],
        keepOutput: process.env['LOG_LEVEL'] !== undefined && settings.logLevel !== 'silent',
        tunFd: settings.tunFd,
        uapiFd: settings.uapiFd,
      });
      // Exits without waiting for pipes that the child has inherited.
      process.exit(0);
    }
    // A signal that arrives later is handled once runDevice has installed its own handlers.
    if (!stop?.aborted) await runDevice({ ...settings, backend: taken.by, log });
  } catch (error) {
    const message = `wireguard-ts: ${(error as Error).message}`;
    reportToParent(new Error((error as Error).message));
    process.stderr.write(`${message}\n`);
    process.exit(settings.takesOver ? handOverStatus(message) : 1);
  }
}

/**
 * Installs a handler that ends the device after an internal error and logs the error, but not the
 * values that Node would print with it.
 */
function logCrash(name: string, { sink, toStderr }: TakenLog): void {
  process.on('uncaughtException', error => {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const { error: say } = makeLog(
      'error',
      name,
      line => toStderr && process.stderr.write(line),
      undefined,
      line => sink?.write(line),
    );
    say(`crashed, please report this: ${stack}`);
    sink?.flush();
    process.exit(CRASHED);
  });
}

/** Returns a signal that aborts when the program must end. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => controller.abort();
  for (const signal of STOP_SIGNALS) process.on(signal, stop);
  return controller.signal;
}

/**
 * Prints the help or the version if requested. Otherwise parses the arguments.
 * @returns undefined if help or version was printed
 * @throws UsageError that names the wrong word
 */
async function answerOrParse(args: readonly string[], world: World): Promise<Arguments | undefined> {
  const asked = args.find(arg => ['-h', '--help', '--version'].includes(arg));
  const terminal = () => processTerminal('wireguard-ts');
  if (asked === '--version') {
    const { version } = await import('./commands/version.ts');
    await version(
      args.filter(arg => arg === '--verbose'),
      terminal(),
    );
    return undefined;
  }
  if (asked !== undefined) {
    const { renderHelp } = await import('./help/render.ts');
    terminal().out(renderHelp(wireguardTs));
    return undefined;
  }
  return parseArguments(args, world);
}

function parseArguments(args: readonly string[], { env, err }: World): Arguments {
  // A parent process appends its own options to the arguments that it received.
  const { values, positionals } = parseOptions(wireguardTs, args, { least: 1, lastCounts: true });
  const isSet = (name: string) => values[name] === true;
  const off = parseOffloads(env['WGTS_NO_OFFLOAD'], err);
  for (const each of OFFLOAD_SWITCHES) if (isSet('no-offload') || isSet(`no-${each}`)) off.add(each);
  const aead = choice(values['aead'], 'WGTS_AEAD', env, AEADS);
  const backend = choice(values['backend'], 'WGTS_BACKEND', env, BACKENDS) ?? 'userspace';
  const threads = parseThreads(values['threads'], env);
  const sandbox = isSet('no-sandbox') ? 'off' : choice(undefined, 'WGTS_SANDBOX', env, SANDBOX_SETTINGS);
  const tunFd = descriptor('WG_TUN_FD', env);
  const uapiFd = descriptor('WG_UAPI_FD', env);
  return {
    foreground: env['WG_PROCESS_FOREGROUND'] === '1' || isSet('foreground'),
    backend,
    settings: {
      name: interfaceArgument(positionals[0]),
      offloadsOff: off,
      kernelFaults: env['WGTS_NO_OFFLOAD'] === 'none' ? [] : knownFaults(runningKernel()),
      ...(aead !== undefined && { aead }),
      ...(threads !== undefined && { threads }),
      shareAlways: env['WGTS_SHARE'] === 'always',
      ...(sandbox !== undefined && { sandbox }),
      ...(isSet('take-over') && { takesOver: true }),
      logLevel: parseLogLevel(env['LOG_LEVEL']),
      persist: isSet('persist') || env['WGTS_PERSIST'] === '1',
      ...(tunFd !== undefined && { tunFd }),
      ...(uapiFd !== undefined && { uapiFd }),
      ...(env['WG_KEYLOGFILE'] !== undefined && env['WG_KEYLOGFILE'] !== '' && { keyLogFile: env['WG_KEYLOGFILE'] }),
    },
  };
}

/** Returns the value of an option, which is already validated, or else of the variable. */
function choice<T extends string>(
  given: string | true | undefined,
  variable: string,
  env: Terminal['env'],
  known: readonly T[],
): T | undefined {
  if (given !== undefined) return given as T;
  const text = env[variable];
  return text ? checkChoice(`$${variable}`, text, known) : undefined;
}

/** Returns the threads of the option or else of the variable; undefined for `auto`. */
function parseThreads(given: string | true | undefined, env: Terminal['env']): number | undefined {
  const [from, text] = typeof given === 'string' ? ['option --threads', given] : ['$WGTS_THREADS', env['WGTS_THREADS']];
  if (text === undefined || text === '' || text === 'auto') return undefined;
  if (/^[0-9]{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= MOST_THREADS_GIVEN) return Number(text);
  throw new UsageError(`${from} is ${quote(text)}: it must be a number from 1 to ${MOST_THREADS_GIVEN}, or auto`);
}

/**
 * Parses the variable. Warns about unknown words and ignores them, because a newer version may know
 * them.
 */
function parseOffloads(text = '', warn: (text: string) => void): Set<OffloadSwitch> {
  if (text === '' || text === 'none') return new Set();
  if (text === '1') return new Set(OFFLOAD_SWITCHES);
  const words = text.split(',');
  for (const word of words.filter(each => !isOffloadSwitch(each)))
    warn(
      `wireguard-ts: warning: $WGTS_NO_OFFLOAD names ${quote(word)}, which is ignored; it may be 1, none, or a list of ${OFFLOAD_SWITCHES.join(',')}\n`,
    );
  return new Set(words.filter(isOffloadSwitch));
}

function descriptor(variable: string, env: Terminal['env']): number | undefined {
  const text = env[variable];
  if (text === undefined || text === '') return undefined;
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`$${variable} is ${quote(text)}: it must be the number of an open descriptor, or unset`);
}

/**
 * `wireguard-ts [-f|--foreground] INTERFACE`: the program that wg-quick runs where the kernel has no WireGuard. Arguments,
 * environment, socket path, exit and backgrounding are wireguard-go's, and are not ours to change; what is our own is in
 * options that begin with two dashes, and in variables that begin with WGTS_. So it is userspace unless --backend says otherwise:
 * who runs this has been refused by the kernel, or wants a process with a control socket.
 */
import { fileURLToPath } from 'node:url';
import { holdLink } from '../backend/hold.ts';
import { BACKENDS, type BackendName, isBackend, takeBackend } from '../backend/take.ts';
import { READY_FD_VARIABLE, startInBackground, tellParent } from '../daemon/background.ts';
import { checkInterfaceName } from '../daemon/interface-name.ts';
import { keyLogWarning } from '../daemon/key-log.ts';
import { knownFaults, runningKernel } from '../daemon/known-kernels.ts';
import { makeLog, parseLogLevel } from '../daemon/log.ts';
import { isOffloadSwitch, OFFLOAD_SWITCHES, type OffloadSwitch } from '../daemon/offloads.ts';
import { type DeviceSettings, runDevice, STOP_SIGNALS } from '../daemon/run-device.ts';
import { version } from '../daemon/version.ts';
import { systemNetlink } from '../io/netlink.ts';
import { UsageError } from './terminal.ts';

const USAGE = `Usage: wireguard-ts [-f|--foreground] [--backend=${BACKENDS.join('|')}] [--no-offload] INTERFACE
       wireguard-ts --version

Brings up a WireGuard interface, in userspace unless told otherwise; configure it with wg(8) or wgts.

  -f, --foreground   stay in the foreground (also WG_PROCESS_FOREGROUND=1)
      --backend      who moves the bytes (also WGTS_BACKEND): native (the addon) or pure (TypeScript alone, slower);
                     userspace, the default, takes native if it can; kernel is the kernel's own WireGuard, whose interface
                     needs no process: it is made, and stays (with -f: until this ends); auto is kernel if it can, or userspace
      --no-offload   no offloads at all; or one of them: ${OFFLOAD_SWITCHES.map(name => `--no-${name}`).join(' ')}
                     (also WGTS_NO_OFFLOAD=1 or, for example, WGTS_NO_OFFLOAD=uso,gro). What this kernel is known to mangle
                     is not used (wgts doctor names it); WGTS_NO_OFFLOAD=none uses that too
      --aead=NAME    ipsec-mb, openssl-parts or openssl; otherwise the fastest one

Environment: LOG_LEVEL=verbose|error|silent  WG_TUN_FD  WG_UAPI_FD  WG_KEYLOGFILE (secrets! for Wireshark alone)
`;

interface Arguments {
  readonly foreground: boolean;
  readonly backend: BackendName;
  readonly settings: Omit<DeviceSettings, 'backend'>;
}

export async function main(): Promise<void> {
  let parsed: Arguments | string;
  try {
    parsed = parseArguments(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}${USAGE}`);
    process.exitCode = 1;
    return;
  }
  if (typeof parsed === 'string') {
    process.stdout.write(`${parsed}\n`);
    return;
  }
  const { foreground, backend, settings } = parsed;
  const { name } = settings;
  // who read the log may go; the tunnel stays
  process.stderr.on('error', () => {});
  // before there is anything that a signal could leave behind; for good, since taking it away would lose one that has just come
  const stop = foreground ? stopSignal() : undefined;
  try {
    checkInterfaceName(name);
    const taken = await takeBackend(backend, {
      name,
      port: systemNetlink,
      adoptsTun: settings.tunFd !== undefined,
    });
    const log = makeLog(settings.logLevel, name, line => process.stderr.write(line));
    // who went to the background has said so before
    if (process.env[READY_FD_VARIABLE] === undefined) log.verbose(`backend ${taken.kind}: ${taken.reason}`);
    if (taken.kind === 'kernel') {
      if (stop) log.verbose(`ended: ${await holdLink(systemNetlink, taken.link, stop)}`);
      process.exit(0);
    }
    if (settings.keyLogFile !== undefined && process.env[READY_FD_VARIABLE] === undefined)
      process.stderr.write(`${keyLogWarning(settings.keyLogFile)}\n`);
    if (!foreground) {
      await startInBackground({
        script: fileURLToPath(new URL('./wireguard-ts.js', import.meta.url)),
        args: [...process.argv.slice(2), `--backend=${taken.by === 'auto' ? 'userspace' : taken.by}`],
        keepOutput: process.env['LOG_LEVEL'] !== undefined && settings.logLevel !== 'silent',
        tunFd: settings.tunFd,
        uapiFd: settings.uapiFd,
      });
      // do not wait for what the child inherited
      process.exit(0);
    }
    // one that comes later is dispatched when runDevice listens too
    if (!stop?.aborted) await runDevice({ ...settings, backend: taken.by });
  } catch (error) {
    const message = `wireguard-ts: ${(error as Error).message}`;
    tellParent(new Error((error as Error).message));
    process.stderr.write(`${message}\n`);
    process.exit(1);
  }
}

/** Aborts when this is to end. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => controller.abort();
  for (const signal of STOP_SIGNALS) process.on(signal, stop);
  return controller.signal;
}

/** A text when that is all that was asked for. @throws UsageError that says what is not understood */
function parseArguments(args: readonly string[]): Arguments | string {
  const { env } = process;
  let foreground = env['WG_PROCESS_FOREGROUND'] === '1';
  const off = parseOffloads(env['WGTS_NO_OFFLOAD']);
  let aead = env['WGTS_AEAD'];
  let backend = env['WGTS_BACKEND'] ?? 'userspace';
  let name: string | undefined;
  for (const arg of args) {
    if (arg === '--version') return `wireguard-ts v${version()}`;
    if (arg === '--help' || arg === '-h') return USAGE.trimEnd();
    if (arg === '-f' || arg === '--foreground') foreground = true;
    else if (arg === '--no-offload') for (const each of OFFLOAD_SWITCHES) off.add(each);
    else if (arg.startsWith('--no-') && isOffloadSwitch(arg.slice('--no-'.length)))
      off.add(arg.slice('--no-'.length) as OffloadSwitch);
    else if (arg.startsWith('--aead=')) aead = arg.slice('--aead='.length);
    else if (arg.startsWith('--backend=')) backend = arg.slice('--backend='.length);
    else if (arg.startsWith('-')) throw new UsageError(`wireguard-ts: there is no option ${arg}\n\n`);
    else if (name !== undefined) throw new UsageError(`wireguard-ts: one interface, not ${name} and ${arg}\n\n`);
    else name = arg;
  }
  if (name === undefined) throw new UsageError('');
  if (!isBackend(backend)) throw new UsageError(`wireguard-ts: there is no backend ${backend}\n\n`);
  const tunFd = descriptor('WG_TUN_FD');
  const uapiFd = descriptor('WG_UAPI_FD');
  return {
    foreground,
    backend,
    settings: {
      name,
      offloadsOff: off,
      kernelFaults: env['WGTS_NO_OFFLOAD'] === 'none' ? [] : knownFaults(runningKernel()),
      ...(aead !== undefined && { aead }),
      logLevel: parseLogLevel(env['LOG_LEVEL']),
      ...(tunFd !== undefined && { tunFd }),
      ...(uapiFd !== undefined && { uapiFd }),
      ...(env['WG_KEYLOGFILE'] !== undefined && env['WG_KEYLOGFILE'] !== '' && { keyLogFile: env['WG_KEYLOGFILE'] }),
    },
  };
}

/** Unknown words are passed over: the variable may be meant for a newer version. */
function parseOffloads(text = ''): Set<OffloadSwitch> {
  return new Set(text === '1' ? OFFLOAD_SWITCHES : text.split(',').filter(isOffloadSwitch));
}

function descriptor(variable: string): number | undefined {
  const text = process.env[variable];
  if (text === undefined || text === '') return undefined;
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`wireguard-ts: ${variable}=${text} is no descriptor: give a number, or unset it\n\n`);
}

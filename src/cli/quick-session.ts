/** What `wgts up`, `down` and `save` begin with: the file that was named, and the machine that it is for. */
import { existsSync } from 'node:fs';
import { resolve as absolute } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BackendName } from '../backend/take.ts';
import { ConfigError } from '../config/errors.ts';
import type { DeviceConfig, PeerConfig } from '../config/model.ts';
import { fileVersion, readQuickFile } from '../host/conf-file.ts';
import { type Machine, openMachine } from '../host/machine.ts';
import { readState } from '../host/run-state.ts';
import { systemZones } from '../io/zones.ts';
import { interfaceName, parseQuickFile, type QuickFile } from '../quick/file.ts';
import type { UpTarget } from '../quick/quick.ts';
import { resolveEndpoint } from './resolve.ts';
import type { Terminal } from './terminal.ts';

export interface SessionOptions {
  readonly backend: BackendName;
  /** Names that cannot be resolved now are for later. */
  readonly watch: boolean;
  /** The file may be gone, if the interface is remembered. */
  readonly mayLack?: boolean;
  readonly signal?: AbortSignal;
}

export interface Session {
  readonly machine: Machine;
  readonly file: QuickFile;
  readonly target: UpTarget;
  /** The file as it is by then. @throws ConfigError */
  readonly reread: () => UpTarget;
}

const SCRIPT = fileURLToPath(new URL('./wireguard-ts.js', import.meta.url));

/** @throws ConfigError; Error when this machine has no addon or no netlink */
export function openSession(path: string, terminal: Terminal, options: SessionOptions): Session {
  const warn = warner(terminal);
  const lacking = options.mayLack && !existsSync(path) && readState(interfaceName(path)) !== undefined;
  if (lacking) warn(`\`${path}' does not exist: its hooks are not run`);
  const file = lacking ? parseQuickFile('', path, { zones: systemZones }) : readQuickFile(path, warn);
  const machine = openMachine({
    backend: options.backend,
    script: SCRIPT,
    keepOutput: options.watch || terminal.env['LOG_LEVEL'] !== undefined,
    say: text => terminal.err(`[#] ${text}\n`),
    warn,
  });
  const { watch, signal } = options;
  const targetOf = (read: QuickFile): UpTarget => ({
    file: read,
    path: absolute(path),
    zones: systemZones,
    version: lacking ? '' : fileVersion(path),
    resolve: () => resolveFile(read, terminal, watch, signal),
    interrupted: () => signal?.aborted === true,
  });
  return { machine, file, target: targetOf(file), reread: () => targetOf(readQuickFile(path, warn)) };
}

export function warner({ err }: Terminal): (message: string) => void {
  return message => err(`wgts: warning: ${message}\n`);
}

/** One after another, as wg does. @param later those that cannot be found now are left out, not an error */
async function resolveFile(
  { wireguard, path }: QuickFile,
  terminal: Terminal,
  later: boolean,
  signal: AbortSignal | undefined,
): Promise<DeviceConfig> {
  const { env, err } = terminal;
  const retries = later ? '0' : env['WG_ENDPOINT_RESOLUTION_RETRIES'];
  const wait = (milliseconds: number) => sleep(milliseconds, undefined, { ...(signal && { signal }) });
  const peers: PeerConfig[] = [];
  for (const { endpoint, endpointLine, ...peer } of wireguard.peers)
    try {
      const found =
        endpoint instanceof Uint8Array || !endpoint
          ? endpoint
          : await resolveEndpoint(endpoint, { retries, err, wait });
      peers.push(found ? { ...peer, endpoint: found } : peer);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const placed = error.at({ file: path, line: endpointLine });
      if (!later) throw placed;
      warner(terminal)(`${placed.message}; it is tried again`);
      peers.push(peer);
    }
  return { ...wireguard, peers };
}

/** Begins `wgts up`, `down`, `reload` and `save`: reads the named file and opens the machine. */
import { existsSync } from 'node:fs';
import { resolve as absolute } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackendChoice } from '../backend/choose.ts';
import { formatKeyBase64 } from '../base/key.ts';
import type { ConfPeer } from '../config/conf.ts';
import { ConfigError } from '../config/errors.ts';
import type { DeviceConfig, PeerConfig } from '../config/model.ts';
import { fileVersion, readQuickFile } from '../host/conf-file.ts';
import { type Machine, openMachine } from '../host/machine.ts';
import { readState } from '../host/run-state.ts';
import { systemZones } from '../io/zones.ts';
import { withKnownEndpoints } from '../quick/adoption.ts';
import { interfaceName, parseQuickFile, type QuickFile } from '../quick/file.ts';
import type { UpTarget } from '../quick/ports.ts';
import { reachable } from '../quick/reachable.ts';
import { resolveAll } from './resolve.ts';
import type { Terminal } from './terminal.ts';

/** How long names are looked up before the addresses that they had are used. */
const RECOVERY_LOOKUP_MS = 2_000;

export interface SessionOptions {
  readonly backend: BackendChoice;
  /** Whether to keep running: names that cannot be resolved now are then resolved later. */
  readonly watch: boolean;
  /** Whether the file may be absent if state of its interface is recorded. */
  readonly mayLack?: boolean;
  readonly signal?: AbortSignal;
}

export interface Session {
  readonly machine: Machine;
  readonly file: QuickFile;
  readonly target: UpTarget;
  /** Reads the file again. @throws ConfigError */
  readonly reread: () => UpTarget;
}

/**
 * Opens a session. @throws ConfigError; Error if the addon or netlink is missing on this machine
 */
export function openSession(path: string, terminal: Terminal, options: SessionOptions): Session {
  const warn = warner(terminal);
  const lacking = options.mayLack && !existsSync(path) && readState(interfaceName(path)) !== undefined;
  if (lacking) warn(`\`${path}' does not exist: its hooks are not run`);
  const file = lacking ? parseQuickFile('', path, { zones: systemZones }) : readQuickFile(path, warn);
  const machine = openMachine({
    backend: options.backend,
    keepOutput: options.watch,
    say: text => terminal.err(`[#] ${text}\n`),
    warn,
  });
  const { watch, signal } = options;
  const targetOf = (read: QuickFile): UpTarget => ({
    file: read,
    path: absolute(path),
    zones: systemZones,
    version: lacking ? '' : fileVersion(path),
    resolve: () => resolveFile(read, machine, terminal, watch, signal),
    resolveNow: () => resolveFile(read, machine, terminal, true, signal),
    recover: known => recoverFile(read, known, () => resolveFile(read, machine, terminal, true, signal)),
    interrupted: () => signal?.aborted === true,
  });
  return { machine, file, target: targetOf(file), reread: () => targetOf(readQuickFile(path, warn)) };
}

export function warner({ err }: Terminal): (message: string) => void {
  return message => err(`wgts: warning: ${message}\n`);
}

/**
 * Resolves the names of a file's endpoints: sequentially, as wg does, or all at once if
 * unresolvable names are deferred. Among the addresses of a name, chooses the first with a route.
 * The system's own order is not sufficient: it ignores the mark, and once the tunnel is up, it
 * finds a route to every address.
 * @param later omits names that cannot be resolved now
 */
async function resolveFile(
  { wireguard, path, name }: QuickFile,
  { network, devices }: Machine,
  terminal: Terminal,
  later: boolean,
  signal: AbortSignal | undefined,
): Promise<DeviceConfig> {
  const { env, err } = terminal;
  const retries = later ? '0' : env['WG_ENDPOINT_RESOLUTION_RETRIES'];
  const wait = (milliseconds: number) => sleep(milliseconds, undefined, { ...(signal && { signal }) });
  const link = wireguard.peers.some(isNamed) ? await network.links.find(name) : undefined;
  const mark = wireguard.fwmark || (link && (await devices.status(name))?.fwmark) || 0;
  const resolvePeer = async ({ endpoint, endpointLine, ...peer }: ConfPeer): Promise<PeerConfig> => {
    if (!endpoint) return peer;
    if (endpoint instanceof Uint8Array) return { ...peer, endpoint };
    try {
      const found = await resolveAll(endpoint, { retries, err, wait });
      const [best = found[0]!] = found.length > 1 ? await reachable(network, found, mark, link?.index) : found;
      return { ...peer, endpoint: best };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const placed = error.at({ file: path, line: endpointLine });
      if (!later) throw placed;
      warner(terminal)(`${placed.message}; it will be retried`);
      return peer;
    }
  };
  if (later) return { ...wireguard, peers: await Promise.all(wireguard.peers.map(resolvePeer)) };
  const peers: PeerConfig[] = [];
  for (const peer of wireguard.peers) peers.push(await resolvePeer(peer));
  return { ...wireguard, peers };
}

/**
 * Returns the configuration for an interface whose process died. The server of the names may be
 * reachable only through the tunnel: then the peers keep the addresses that their names had.
 */
async function recoverFile(
  file: QuickFile,
  known: ReadonlyMap<string, Uint8Array>,
  lookUp: () => Promise<DeviceConfig>,
): Promise<DeviceConfig> {
  const found = file.wireguard.peers.some(isNamed)
    ? await Promise.race([lookUp().catch(() => undefined), sleep(RECOVERY_LOOKUP_MS, undefined, { ref: false })])
    : undefined;
  const fresh = found?.peers?.flatMap(({ publicKey, endpoint }) =>
    endpoint ? [[formatKeyBase64(publicKey), endpoint] as const] : [],
  );
  return withKnownEndpoints(file, new Map([...known, ...(fresh ?? [])]));
}

function isNamed({ endpoint }: ConfPeer): boolean {
  return endpoint !== undefined && !(endpoint instanceof Uint8Array);
}

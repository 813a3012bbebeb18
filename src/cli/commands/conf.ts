/** `wgts showconf`, `setconf`, `addconf`, `syncconf`: read and write whole files in wg's format. */
import { readFileSync } from 'node:fs';
import { type ConfFile, type ConfPeer, formatConf, parseConf } from '../../config/conf.ts';
import { ConfigError } from '../../config/errors.ts';
import type { DeviceConfig, PeerConfig } from '../../config/model.ts';
import { systemZones } from '../../io/zones.ts';
import { interfaceArgument, unexpected, useInterface } from '../interface-argument.ts';
import { resolveEndpoint } from '../resolve.ts';
import { type Command, type Terminal, UsageError } from '../terminal.ts';

const NO_KEY = new Uint8Array(32);

export const showconf: Command = async (args, terminal) => {
  const name = interfaceArgument(args[0]);
  if (args.length > 1) throw unexpected(args[1]!, name);
  const status = await useInterface(terminal, name, backend => backend.get(name));
  terminal.out(formatConf(status, systemZones));
  return 0;
};

export const addconf: Command = async (args, terminal) => {
  const { name, config } = await load(args, terminal);
  await useInterface(terminal, name, backend => backend.set(name, config));
  return 0;
};

/** Applies a file and removes the settings and peers that it does not name. */
export const setconf: Command = async (args, terminal) => {
  const { name, config } = await load(args, terminal);
  const whole = { privateKey: NO_KEY, listenPort: 0, fwmark: 0, ...config, replacePeers: true };
  await useInterface(terminal, name, backend => backend.set(name, whole));
  return 0;
};

export const syncconf: Command = async (args, terminal) => {
  const { name, config } = await load(args, terminal);
  await useInterface(terminal, name, backend => backend.sync(name, config));
  return 0;
};

async function load(args: readonly string[], terminal: Terminal): Promise<{ name: string; config: DeviceConfig }> {
  const [first, file, extra] = args;
  const name = interfaceArgument(first);
  if (!file) throw new UsageError(`the argument FILE is ${file === undefined ? 'missing' : 'empty'}`);
  if (extra !== undefined) throw unexpected(extra, file);
  let text: string;
  try {
    text = file === '/dev/stdin' ? terminal.input() : readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError('missing', `the configuration cannot be read: ${(error as Error).message}`, { file });
  }
  const conf = parseConf(text, file, systemZones, message => terminal.err(`Warning: ${message}\n`));
  return { name, config: await resolveConf(conf, file, terminal) };
}

async function resolveConf(conf: ConfFile, file: string, terminal: Terminal): Promise<DeviceConfig> {
  const peers: PeerConfig[] = [];
  // Resolve names sequentially, as wg does: later names do not delay the error for an earlier one.
  for (const peer of conf.peers) peers.push(await resolvePeer(peer, file, terminal));
  return { ...conf, peers };
}

async function resolvePeer(
  { endpoint, endpointLine, ...peer }: ConfPeer,
  file: string,
  terminal: Terminal,
): Promise<PeerConfig> {
  if (!endpoint) return peer;
  if (endpoint instanceof Uint8Array) return { ...peer, endpoint };
  const { env, err } = terminal;
  try {
    const resolved = await resolveEndpoint(endpoint, { retries: env['WG_ENDPOINT_RESOLUTION_RETRIES'], err });
    return { ...peer, endpoint: resolved };
  } catch (error) {
    throw error instanceof ConfigError ? error.at({ file, line: endpointLine }) : error;
  }
}

/** `wgts set`, in wg's own syntax: settings of the device, then of peer after peer. */
import type { DeviceConfig, PeerConfig } from '../../config/model.ts';
import {
  isIncremental,
  parseAllowedIps,
  parseEndpointValue,
  parseFwmark,
  parseKeepalive,
  parseKeyValue,
  parsePortValue,
} from '../../config/values.ts';
import { systemZones } from '../../io/zones.ts';
import { readKeyFile } from '../key-file.ts';
import { resolveEndpoint } from '../resolve.ts';
import { type Command, type Terminal, UsageError, useBackend } from '../terminal.ts';

const USAGE =
  'Usage: wgts set <interface> [listen-port <port>] [fwmark <mark>] [private-key <file path>] [peer <base64 public key> [remove] ' +
  '[preshared-key <file path>] [endpoint <ip>:<port>] [persistent-keepalive <interval seconds>] ' +
  '[allowed-ips [+|-]<ip1>/<cidr1>[,[+|-]<ip2>/<cidr2>]...] ]...';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export const set: Command = async (args, terminal) => {
  const [name, ...words] = args;
  if (name === undefined || name.startsWith('-') || words.length === 0) throw new UsageError(USAGE);
  const config = await parseSet(words, terminal);
  await useBackend(terminal, backend => backend.set(name, config));
  return 0;
};

/** @throws ConfigError, UsageError */
async function parseSet(words: readonly string[], terminal: Terminal): Promise<DeviceConfig> {
  const device: Mutable<DeviceConfig> = {};
  const peers: Mutable<PeerConfig>[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const value = (): string => {
      const next = words[++i];
      if (next === undefined) throw new UsageError(`\`${word}' wants a value.\n${USAGE}`);
      return next;
    };
    const peer = peers.at(-1);
    if (word === 'peer') peers.push({ publicKey: parseKeyValue(value(), 'the public key', false) });
    else if (peer) await setPeer(peer, word, value, terminal);
    else setDevice(device, word, value);
  }
  if (peers.length > 0) device.peers = peers;
  return device;
}

function setDevice(device: Mutable<DeviceConfig>, word: string, value: () => string): void {
  switch (word) {
    case 'listen-port':
      device.listenPort = parsePortValue(value());
      return;
    case 'fwmark':
      device.fwmark = parseFwmark(value());
      return;
    case 'private-key':
      device.privateKey = readKeyFile(value(), 'private-key');
      return;
    default:
      throw new UsageError(`Invalid argument: ${word}\n${USAGE}`);
  }
}

async function setPeer(
  peer: Mutable<PeerConfig>,
  word: string,
  value: () => string,
  terminal: Terminal,
): Promise<void> {
  switch (word) {
    case 'remove':
      peer.remove = true;
      return;
    case 'preshared-key':
      peer.presharedKey = readKeyFile(value(), 'preshared-key');
      return;
    case 'endpoint': {
      const endpoint = parseEndpointValue(value(), systemZones);
      const { env, err } = terminal;
      const options = { retries: env['WG_ENDPOINT_RESOLUTION_RETRIES'], err };
      peer.endpoint = endpoint instanceof Uint8Array ? endpoint : await resolveEndpoint(endpoint, options);
      return;
    }
    case 'persistent-keepalive':
      peer.persistentKeepalive = parseKeepalive(value());
      return;
    case 'allowed-ips': {
      // the shell kept the spaces together; a second list adds to the first
      const list = value().replace(/[ \t\n\v\f\r]/g, '');
      const added = parseAllowedIps(list, message => terminal.err(`Warning: ${message}\n`));
      peer.replaceAllowedIps = !isIncremental(list);
      peer.allowedIps = [...(peer.allowedIps ?? []), ...added];
      return;
    }
    default:
      throw new UsageError(`Invalid argument: ${word}\n${USAGE}`);
  }
}

/** `wgts set`, in wg's own syntax: settings of the device, then each peer with its settings. */
import type { Mutable } from '../../base/mutable.ts';
import { quote } from '../../config/errors.ts';
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
import { interfaceArgument, useInterface } from '../interface-argument.ts';
import { readKeyFile } from '../key-file.ts';
import { resolveEndpoint } from '../resolve.ts';
import { type Command, type Terminal, UsageError } from '../terminal.ts';

export const set: Command = async (args, terminal) => {
  const [first, ...words] = args;
  const name = interfaceArgument(first);
  if (words.length === 0) throw new UsageError(`nothing to set: add a setting, such as: listen-port 51820`);
  const config = await parseSet(words, terminal);
  await useInterface(terminal, name, backend => backend.set(name, config));
  return 0;
};

/** Parses the words. @throws ConfigError, UsageError */
async function parseSet(words: readonly string[], terminal: Terminal): Promise<DeviceConfig> {
  const device: Mutable<DeviceConfig> = {};
  const peers: Mutable<PeerConfig>[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const value = (): string => {
      const next = words[++i];
      if (next === undefined) throw new UsageError(`${quote(word)} needs a value after it`);
      return next;
    };
    const peer = peers.at(-1);
    if (word === 'peer') peers.push({ publicKey: parseKeyValue(value(), 'the public key', false) });
    else if (peer) await setPeer(peer, word, value, terminal);
    else await setDevice(device, word, value);
  }
  if (peers.length > 0) device.peers = peers;
  return device;
}

async function setDevice(device: Mutable<DeviceConfig>, word: string, value: () => string): Promise<void> {
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
      throw await misplaced(word, 'interface');
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
      // Remove spaces within a shell argument. A second list adds to the first.
      const list = value().replace(/[ \t\n\v\f\r]/g, '');
      const added = parseAllowedIps(list, message => terminal.err(`Warning: ${message}\n`));
      peer.replaceAllowedIps = !isIncremental(list);
      peer.allowedIps = [...(peer.allowedIps ?? []), ...added];
      return;
    }
    default:
      throw await misplaced(word, 'peer');
  }
}

/** Returns the error for a word that is unknown or in the wrong place. */
async function misplaced(word: string, place: 'interface' | 'peer'): Promise<UsageError> {
  const { DEVICE_WORDS, PEER_WORDS } = await import('../help/texts/set.ts');
  const [ofDevice, ofPeer] = [DEVICE_WORDS, PEER_WORDS].map(words => words.map(({ name }) => name));
  if (place === 'peer' && ofDevice!.includes(word))
    return new UsageError(`${quote(word)} is a setting of the interface: write it before the first peer`);
  if (place === 'interface' && ofPeer!.includes(word))
    return new UsageError(`${quote(word)} is a setting of a peer: write peer and its public key before it`);
  const known = place === 'peer' ? ['peer', ...ofPeer!] : [...ofDevice!, ...ofPeer!];
  return new UsageError(`there is no setting ${quote(word)}`, { given: word, known });
}

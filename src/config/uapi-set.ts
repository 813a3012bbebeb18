/**
 * The `set` operation of the cross-platform userspace interface (wireguard.com/xplatform, Configuration Protocol): lines to
 * DeviceConfig and back. Which lines are right and which errno the wrong ones earn is wireguard-go's (device/uapi.go).
 * It differs in one thing: there, lines take effect as they are read; here the request becomes one config, applied whole or
 * not at all. Where the place of a line inside its peer matters, the peer becomes several entries.
 *
 * One line is this project's own: `initiate_handshake=true`. Other programs refuse it, with EINVAL.
 */
import { formatKeyHex, KEY_SIZE, parseKeyHex } from '../base/key.ts';
import { formatPrefix, parsePrefix } from '../base/prefix.ts';
import { ConfigError, quote, quoteKey } from './errors.ts';
import type { AllowedIpConfig, DeviceConfig, PeerConfig } from './model.ts';
import { formatZonedEndpoint, numericZones, parseZonedEndpoint, type Zones } from './zones.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type PeerEntry = Mutable<Omit<PeerConfig, 'allowedIps'>> & { allowedIps?: AllowedIpConfig[] };

/** Gathers the lines of one request. A line that is wrong throws ConfigError; after that the gathered part is of no use. */
export class SetRequest {
  readonly #zones: Zones;
  readonly #device: Mutable<Omit<DeviceConfig, 'peers'>> = {};
  readonly #peers: PeerEntry[] = [];
  /** Where in #peers the entries of the current public_key begin. */
  #sectionAt = 0;
  #removed = false;

  constructor(zones: Zones = numericZones) {
    this.#zones = zones;
  }

  /** Takes one line, without its newline. */
  line(text: string): void {
    const equals = text.indexOf('=');
    if (equals < 0) throw new ConfigError('syntax', `${quoteKey(text)} is not of the form key=value`);
    const key = text.slice(0, equals);
    const value = text.slice(equals + 1);
    if (key === 'public_key') this.#beginPeer(value);
    else if (this.#peers.length === 0) this.#deviceLine(key, value);
    else this.#peerLine(key, value);
  }

  finish(): DeviceConfig {
    this.#endPeer();
    return this.#peers.length === 0 ? this.#device : { ...this.#device, peers: this.#peers };
  }

  #deviceLine(key: string, value: string): void {
    switch (key) {
      case 'private_key':
        this.#device.privateKey = parseKey(key, value);
        return;
      case 'listen_port':
        this.#device.listenPort = parseNumber(key, value, 0xffff);
        return;
      case 'fwmark':
        this.#device.fwmark = parseNumber(key, value, 0xffffffff);
        return;
      case 'replace_peers':
        requireTrue(key, value);
        this.#device.replacePeers = true;
        return;
      default:
        throw new ConfigError('unknown-key', `${quoteKey(key)} is no key of a device; a peer begins with public_key`);
    }
  }

  #beginPeer(value: string): void {
    this.#endPeer();
    this.#peers.push({ publicKey: parseKey('public_key', value) });
  }

  /** update_only speaks of the peer as the request found it, so it holds for every entry that the peer became. */
  #endPeer(): void {
    const entries = this.#peers.slice(this.#sectionAt);
    if (entries.some(entry => entry.updateOnly)) for (const entry of entries) entry.updateOnly = true;
    this.#sectionAt = this.#peers.length;
    this.#removed = false;
  }

  #peerLine(key: string, value: string): void {
    // what follows remove=true concerns nobody, but must still be right
    const entry = this.#removed ? { publicKey: this.#last().publicKey } : this.#last();
    switch (key) {
      case 'update_only':
        requireTrue(key, value);
        this.#last().updateOnly = true;
        return;
      case 'remove':
        requireTrue(key, value);
        if (this.#removed) return;
        // prefixes given before are taken from their owners all the same
        if (entry.allowedIps) this.#peers.push({ publicKey: entry.publicKey, remove: true });
        else entry.remove = true;
        this.#removed = true;
        return;
      case 'preshared_key':
        entry.presharedKey = parseKey(key, value);
        return;
      case 'endpoint': {
        const endpoint = parseZonedEndpoint(value, this.#zones);
        if (!endpoint)
          throw new ConfigError('bad-value', `endpoint: ${quote(value)} is neither IPV4:PORT nor [IPV6]:PORT`, {
            value,
          });
        entry.endpoint = endpoint;
        return;
      }
      case 'persistent_keepalive_interval':
        entry.persistentKeepalive = parseNumber(key, value, 0xffff);
        return;
      case 'replace_allowed_ips':
        requireTrue(key, value);
        if (entry.allowedIps) this.#peers.push({ publicKey: entry.publicKey, replaceAllowedIps: true });
        else entry.replaceAllowedIps = true;
        return;
      case 'allowed_ip': {
        const allowedIp = parseAllowedIp(value);
        if (entry.allowedIps) entry.allowedIps.push(allowedIp);
        else entry.allowedIps = [allowedIp];
        return;
      }
      case 'initiate_handshake':
        requireTrue(key, value);
        entry.initiate = true;
        return;
      case 'protocol_version':
        if (value !== '1')
          throw new ConfigError('bad-value', `protocol_version: ${quote(value)} is not spoken here; only 1 is`, {
            value,
          });
        return;
      default:
        throw new ConfigError('unknown-key', `${quoteKey(key)} is no key of a peer`);
    }
  }

  #last(): PeerEntry {
    return this.#peers.at(-1)!;
  }
}

/** The text of a set request, from `set=1` to the blank line, in the order in which `wg` writes it. */
export function formatSetRequest(config: DeviceConfig, zones: Zones = numericZones): string {
  const lines = ['set=1'];
  if (config.privateKey) lines.push(`private_key=${formatKeyHex(config.privateKey)}`);
  if (config.listenPort !== undefined) lines.push(`listen_port=${config.listenPort}`);
  if (config.fwmark !== undefined) lines.push(`fwmark=${config.fwmark}`);
  if (config.replacePeers) lines.push('replace_peers=true');
  for (const peer of config.peers ?? []) {
    lines.push(`public_key=${formatKeyHex(peer.publicKey)}`);
    if (peer.updateOnly) lines.push('update_only=true');
    if (peer.remove) {
      lines.push('remove=true');
      continue;
    }
    if (peer.presharedKey) lines.push(`preshared_key=${formatKeyHex(peer.presharedKey)}`);
    if (peer.endpoint) lines.push(`endpoint=${formatZonedEndpoint(peer.endpoint, zones)}`);
    if (peer.persistentKeepalive !== undefined) lines.push(`persistent_keepalive_interval=${peer.persistentKeepalive}`);
    if (peer.initiate) lines.push('initiate_handshake=true');
    if (peer.replaceAllowedIps) lines.push('replace_allowed_ips=true');
    for (const { prefix, remove } of peer.allowedIps ?? [])
      lines.push(`allowed_ip=${remove ? '-' : ''}${formatPrefix(prefix)}`);
  }
  return `${lines.join('\n')}\n\n`;
}

/** A key that is wrong is not repeated in the message: it may be a secret with one digit too few. */
function parseKey(key: string, value: string): Uint8Array {
  const bytes = parseKeyHex(value);
  if (!bytes)
    throw new ConfigError(
      'bad-value',
      `${key}: a key is ${2 * KEY_SIZE} hex digits; this has ${value.length} characters${value.length === 2 * KEY_SIZE ? ', not all of them hex digits' : ''}`,
    );
  return bytes;
}

function parseNumber(key: string, value: string, max: number): number {
  if (!/^[0-9]{1,20}$/.test(value) || Number(value) > max)
    throw new ConfigError('bad-value', `${key}: ${quote(value)} is not a number from 0 to ${max}`, { value });
  return Number(value);
}

function requireTrue(key: string, value: string): void {
  if (value !== 'true')
    throw new ConfigError('bad-value', `${key}: ${quote(value)}; the only value is true, else leave the line out`, {
      value,
    });
}

function parseAllowedIp(value: string): AllowedIpConfig {
  const remove = value.startsWith('-');
  const text = remove ? value.slice(1) : value;
  const prefix = text.includes('/') ? parsePrefix(text) : undefined;
  if (!prefix)
    throw new ConfigError(
      'bad-value',
      `allowed_ip: ${quote(value)} is not [-]ADDRESS/LENGTH, as 10.0.0.0/8 or fd00::/8`,
      {
        value,
      },
    );
  return remove ? { prefix, remove } : { prefix };
}

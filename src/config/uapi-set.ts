/**
 * The `set` operation of the cross-platform userspace interface (wireguard.com/xplatform,
 * Configuration Protocol): converts lines to a DeviceConfig and back. Accepts the same lines as
 * wireguard-go, with the same errno for each error (device/uapi.go). One thing differs:
 * wireguard-go applies each line when it reads it; here the request becomes one config that is
 * applied as a whole or not at all. If the order of lines within a peer matters, the peer becomes
 * several entries.
 *
 * The line `initiate_handshake=true` is an extension of this project. Other programs refuse it with
 * EINVAL.
 */
import { KEY_HEX_SIZE, readKeyHex } from '../base/key.ts';
import type { Mutable } from '../base/mutable.ts';
import { formatPrefix, parsePrefix } from '../base/prefix.ts';
import { ConfigError, quote, quoteKey } from './errors.ts';
import { type AllowedIpConfig, type DeviceConfig, eraseConfig, type PeerConfig } from './model.ts';
import { latin1, SecretText } from './secret-text.ts';
import { formatZonedEndpoint, numericZones, parseZonedEndpoint, type Zones } from './zones.ts';

type PeerEntry = Mutable<Omit<PeerConfig, 'allowedIps'>> & { allowedIps?: AllowedIpConfig[] };

/**
 * Reads a whole request without its first line. Yields regularly.
 * @returns the config, whose keys the caller erases (eraseConfig)
 * @throws ConfigError with the line number (the first line of the request is 1), after erasing the
 * keys read so far
 */
export function* readSetRequest(text: SecretText, zones: Zones): Generator<undefined, DeviceConfig> {
  const request = new SetRequest(zones);
  let line = 1;
  try {
    yield* text.eachLine((bytes, from, to) => {
      line++;
      request.line(bytes, from, bytes[to - 1] === RETURN ? to - 1 : to);
    });
    return request.finish();
  } catch (error) {
    eraseConfig(request.finish());
    throw error instanceof ConfigError ? error.at({ line }) : error;
  }
}

const [EQUALS, RETURN] = [0x3d, 0x0d];
const KEYS = new Set(['private_key', 'public_key', 'preshared_key']);

/**
 * Collects the lines of one request. After an invalid line, which throws ConfigError, the collected
 * part must not be used.
 */
class SetRequest {
  readonly #zones: Zones;
  readonly #device: Mutable<Omit<DeviceConfig, 'peers'>> = {};
  readonly #peers: PeerEntry[] = [];
  /** Index in #peers of the first entry of the current public_key. */
  #sectionAt = 0;
  #removed = false;
  #lastKey = '';

  constructor(zones: Zones = numericZones) {
    this.#zones = zones;
  }

  /** Reads one line, without its newline. */
  line(bytes: Uint8Array, from: number, to: number): void {
    const found = bytes.indexOf(EQUALS, from);
    if (found < 0 || found >= to)
      throw new ConfigError('syntax', `${quoteKey(latin1(bytes, from, to))} is not of the form key=value`);
    const key = this.#keyOf(bytes, from, found);
    if (KEYS.has(key)) this.#keyLine(key, bytes, found + 1, to);
    else if (this.#peers.length === 0) this.#deviceLine(key, latin1(bytes, found + 1, to));
    else this.#peerLine(key, latin1(bytes, found + 1, to));
  }

  /**
   * Returns the key of a line. Reuses the string of the last key, because thousands of consecutive
   * lines may have the same key.
   */
  #keyOf(bytes: Uint8Array, from: number, to: number): string {
    const last = this.#lastKey;
    let isSame = to - from === last.length;
    for (let i = 0; isSame && i < last.length; i++) isSame = bytes[from + i] === last.charCodeAt(i);
    if (!isSame) this.#lastKey = latin1(bytes, from, to);
    return this.#lastKey;
  }

  finish(): DeviceConfig {
    this.#endPeer();
    return this.#peers.length === 0 ? this.#device : { ...this.#device, peers: this.#peers };
  }

  /**
   * Reads a line whose value is a key. The value never becomes a string, because it may be secret.
   */
  #keyLine(key: string, bytes: Uint8Array, from: number, to: number): void {
    const inPeer = this.#peers.length > 0;
    if (key === 'public_key') {
      this.#endPeer();
      this.#peers.push({ publicKey: readKey(key, bytes, from, to) });
    } else if (key === 'private_key' && !inPeer) {
      this.#device.privateKey?.fill(0);
      this.#device.privateKey = readKey(key, bytes, from, to);
    } else if (key === 'preshared_key' && inPeer) {
      const presharedKey = readKey(key, bytes, from, to);
      if (this.#removed) {
        presharedKey.fill(0);
        return;
      }
      const entry = this.#last();
      entry.presharedKey?.fill(0);
      entry.presharedKey = presharedKey;
    } else if (inPeer) throw unknownInPeer(key);
    else throw unknownInDevice(key);
  }

  #deviceLine(key: string, value: string): void {
    switch (key) {
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
        throw unknownInDevice(key);
    }
  }

  /**
   * Ends the entries of the current peer. update_only refers to whether the peer existed before the
   * request, so it is set on every entry of the peer.
   */
  #endPeer(): void {
    const entries = this.#peers.slice(this.#sectionAt);
    if (entries.some(entry => entry.updateOnly)) for (const entry of entries) entry.updateOnly = true;
    this.#sectionAt = this.#peers.length;
    this.#removed = false;
  }

  #peerLine(key: string, value: string): void {
    // lines after remove=true have no effect, but they must still be valid
    const entry = this.#removed ? { publicKey: this.#last().publicKey } : this.#last();
    switch (key) {
      case 'update_only':
        requireTrue(key, value);
        this.#last().updateOnly = true;
        return;
      case 'remove':
        requireTrue(key, value);
        if (this.#removed) return;
        // prefixes that were listed before remove=true are still taken from their owners
        if (entry.allowedIps) this.#peers.push({ publicKey: entry.publicKey, remove: true });
        else entry.remove = true;
        this.#removed = true;
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
          throw new ConfigError(
            'bad-value',
            `protocol_version: ${quote(value)} is not supported; the only version is 1`,
            {
              value,
            },
          );
        return;
      default:
        throw unknownInPeer(key);
    }
  }

  #last(): PeerEntry {
    return this.#peers.at(-1)!;
  }
}

/**
 * Returns a UAPI request that applies a configuration, from `set=1` to the blank line, with its
 * lines in the order of `wg` (wireguard.com/xplatform).
 */
export function formatSetRequest(config: DeviceConfig, zones: Zones = numericZones): string {
  const text = writeSetRequest(config, zones);
  const parts = [...text.pieces()].map(piece => latin1(piece));
  text.erase();
  return parts.join('');
}

/** Formats a set request as bytes. The caller erases them, since they may contain keys. */
export function writeSetRequest(config: DeviceConfig, zones: Zones = numericZones): SecretText {
  const text = new SecretText();
  text.text('set=1\n');
  if (config.privateKey) text.keyLine('private_key', config.privateKey);
  if (config.listenPort !== undefined) text.text(`listen_port=${config.listenPort}\n`);
  if (config.fwmark !== undefined) text.text(`fwmark=${config.fwmark}\n`);
  if (config.replacePeers) text.text('replace_peers=true\n');
  for (const peer of config.peers ?? []) {
    text.keyLine('public_key', peer.publicKey);
    if (peer.updateOnly) text.text('update_only=true\n');
    if (peer.remove) {
      text.text('remove=true\n');
      continue;
    }
    if (peer.presharedKey) text.keyLine('preshared_key', peer.presharedKey);
    if (peer.endpoint) text.text(`endpoint=${formatZonedEndpoint(peer.endpoint, zones)}\n`);
    if (peer.persistentKeepalive !== undefined)
      text.text(`persistent_keepalive_interval=${peer.persistentKeepalive}\n`);
    if (peer.initiate) text.text('initiate_handshake=true\n');
    if (peer.replaceAllowedIps) text.text('replace_allowed_ips=true\n');
    for (const { prefix, remove } of peer.allowedIps ?? [])
      text.text(`allowed_ip=${remove ? '-' : ''}${formatPrefix(prefix)}\n`);
  }
  text.text('\n');
  return text;
}

/**
 * Returns the error for an invalid key. Its message does not repeat the key, which may be a secret
 * that lacks one digit.
 */
function readKey(key: string, bytes: Uint8Array, from: number, to: number): Uint8Array {
  const read = readKeyHex(bytes, from, to);
  if (read) return read;
  const length = to - from;
  throw new ConfigError(
    'bad-value',
    `${key}: a key is ${KEY_HEX_SIZE} hex digits; this has ${length} characters${length === KEY_HEX_SIZE ? ', not all of them hex digits' : ''}`,
  );
}

function unknownInDevice(key: string): ConfigError {
  return new ConfigError('unknown-key', `${quoteKey(key)} is not a key of a device; a peer begins with public_key`);
}

function unknownInPeer(key: string): ConfigError {
  return new ConfigError('unknown-key', `${quoteKey(key)} is not a key of a peer`);
}

function parseNumber(key: string, value: string, max: number): number {
  if (!/^[0-9]{1,20}$/.test(value) || Number(value) > max)
    throw new ConfigError('bad-value', `${key}: ${quote(value)} is not a number from 0 to ${max}`, { value });
  return Number(value);
}

function requireTrue(key: string, value: string): void {
  if (value !== 'true')
    throw new ConfigError(
      'bad-value',
      `${key}: ${quote(value)}; the only value is true; otherwise leave the line out`,
      {
        value,
      },
    );
}

function parseAllowedIp(value: string): AllowedIpConfig {
  const remove = value.startsWith('-');
  const text = remove ? value.slice(1) : value;
  const prefix = text.includes('/') ? parsePrefix(text) : undefined;
  if (!prefix)
    throw new ConfigError(
      'bad-value',
      `allowed_ip: ${quote(value)} is not [-]ADDRESS/LENGTH, such as 10.0.0.0/8 or fd00::/8`,
      {
        value,
      },
    );
  return remove ? { prefix, remove } : { prefix };
}

/**
 * The `get` operation of the cross-platform userspace interface (wireguard.com/xplatform,
 * Configuration Protocol). Formats a DeviceStatus in the order of wireguard-go (device/uapi.go).
 * For clients, parses an answer as tolerantly as `wg` does (ipc-uapi.h). Also has the `counters`
 * operation, an extension of this project that other daemons do not support.
 */
import { isZeroKey, KEY_HEX_SIZE, readKeyHex } from '../base/key.ts';
import type { Mutable } from '../base/mutable.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../base/prefix.ts';
import { ConfigError, ERRNO, quote } from './errors.ts';
import { type DeviceStatus, eraseStatus, type PeerStatus } from './model.ts';
import { latin1, latin1Bytes, PIECE_SIZE, SecretText } from './secret-text.ts';
import { formatZonedEndpoint, numericZones, parseZonedEndpoint, type Zones } from './zones.ts';

/**
 * Formats the end of an answer to any operation.
 * @param errno positive or 0; the protocol sends it negative
 */
export function formatErrno(errno: number): string {
  return `errno=${errno === 0 ? 0 : -Math.abs(errno)}\n\n`;
}

/**
 * Returns the whole answer to a UAPI request `get=1`, `errno=0` included (wireguard.com/xplatform).
 */
export function formatGetResponse(status: DeviceStatus, zones: Zones = numericZones): string {
  return [...getResponseChunks(status, zones)].join('');
}

/** Yields the same answer in pieces of about 16,000 characters. */
export function* getResponseChunks(status: DeviceStatus, zones: Zones = numericZones): Generator<string> {
  const text = new SecretText();
  for (const _ of writeGetResponse(status, text, zones)) {
    yield [...text.pieces()].map(piece => latin1(piece)).join('');
    text.erase();
  }
}

/**
 * Writes the answer into a text. Yields whenever a piece is ready, so that the caller can send the
 * piece and erase the text. Thus the answer of a large device never delays its packets, and no key
 * becomes a string. The last piece includes errno=0.
 */
export function* writeGetResponse(
  status: DeviceStatus,
  text: SecretText,
  zones: Zones = numericZones,
): Generator<undefined> {
  const { privateKey, listenPort, fwmark } = status;
  if (privateKey && !isZeroKey(privateKey)) text.keyLine('private_key', privateKey);
  if (listenPort !== 0) text.text(`listen_port=${listenPort}\n`);
  if (fwmark !== 0) text.text(`fwmark=${fwmark}\n`);
  for (const peer of status.peers) {
    text.keyLine('public_key', peer.publicKey);
    if (peer.presharedKey) text.keyLine('preshared_key', peer.presharedKey);
    // one string for most peers: each string that is written costs as much as a hundred characters
    let lines = peerLines(peer, zones);
    for (const prefix of peer.allowedIps) {
      lines += `allowed_ip=${formatPrefix(prefix)}\n`;
      if (lines.length < LINES) continue;
      text.text(lines);
      lines = '';
      if (text.length >= CHUNK) yield;
    }
    text.text(lines);
    if (text.length >= CHUNK) yield;
  }
  text.text(formatErrno(0));
  yield;
}

/** Characters of lines that are written together. */
const LINES = 512;
/** The lines of one more peer, or as many allowed IPs, still fit into one piece. */
const CHUNK = PIECE_SIZE - 1024;
const NO_PRESHARED_KEY = `preshared_key=${'0'.repeat(KEY_HEX_SIZE)}\n`;

/**
 * Formats the whole answer to `counters=1`: one `name=value` line per counter. Names contain
 * neither `=` nor control characters.
 */
export function formatCountersResponse(counters: Readonly<Record<string, number>>): string {
  const lines = Object.entries(counters).map(([name, value]) => `${name}=${value}\n`);
  return `${lines.join('')}${formatErrno(0)}`;
}

/**
 * Reads the answer to a UAPI `set` request, up to its blank line.
 * @throws ConfigError with code `refused` and the device's errno, or with code `incomplete` if the
 * answer has no errno
 */
export function parseSetResponse(text: string): void {
  for (const [key, value] of keyValueLines(text)) {
    if (key !== 'errno') continue;
    throwIfRefused(value);
    return;
  }
  throw incomplete();
}

/**
 * Parses the answer to a UAPI request `get=1` (wireguard.com/xplatform). Unknown keys are skipped.
 * The result has no `publicKey`, because the protocol does not send it and computing it needs a
 * curve.
 * @throws ConfigError, for example with code `refused` and the device's errno
 */
export function parseGetResponse(text: string, zones: Zones = numericZones): DeviceStatus {
  const bytes = new SecretText();
  bytes.append(latin1Bytes(text));
  try {
    return readGetResponse(bytes, zones);
  } finally {
    bytes.erase();
  }
}

/**
 * Parses the answer from bytes, so that no key becomes a string. The caller erases the keys of the
 * result (eraseStatus).
 */
export function readGetResponse(text: SecretText, zones: Zones = numericZones): DeviceStatus {
  const device: { privateKey?: Uint8Array; listenPort: number; fwmark: number } = { listenPort: 0, fwmark: 0 };
  const peers: PeerEntry[] = [];
  let answered = false;
  let ended = false;
  let number = 0;
  const take = (bytes: Uint8Array, from: number, to: number): void => {
    if (ended || from === to) {
      ended = true;
      return;
    }
    number++;
    const equals = bytes.indexOf(EQUALS, from);
    if (equals < 0 || equals >= to) throw notKeyValue(latin1(bytes, from, to), number);
    const key = latin1(bytes, from, equals);
    const value = () => latin1(bytes, equals + 1, to);
    const peer = peers.at(-1);
    try {
      if (key === 'errno') {
        throwIfRefused(value());
        answered = true;
      } else if (key === 'public_key') peers.push(newPeer(readKey(key, bytes, equals + 1, to)));
      else if (key === 'preshared_key' && peer) {
        const presharedKey = readKey(key, bytes, equals + 1, to);
        if (!isZeroKey(presharedKey)) peer.presharedKey = presharedKey;
      } else if (key === 'private_key' && !peer) device.privateKey = readKey(key, bytes, equals + 1, to);
      else if (peer) readPeerLine(peer, key, value(), zones);
      else if (key === 'listen_port') device.listenPort = parseNumber(key, value(), 0xffff);
      else if (key === 'fwmark') device.fwmark = parseNumber(key, value(), 0xffffffff);
    } catch (error) {
      throw error instanceof ConfigError && error.code !== 'refused' ? error.at({ line: number }) : error;
    }
  };
  try {
    for (const _ of text.eachLine(take));
    if (!ended || !answered) throw incomplete();
  } catch (error) {
    eraseStatus({ ...device, peers });
    throw error;
  }
  return { ...device, peers };
}

/**
 * Parses an answer to `counters`.
 * @throws ConfigError with code `refused` if the daemon does not support the operation
 */
export function parseCountersResponse(text: string): Record<string, number> {
  const counters: Record<string, number> = {};
  let answered = false;
  for (const [key, value] of keyValueLines(text)) {
    if (key === 'errno') {
      throwIfRefused(value);
      answered = true;
    } else if (/^[\w.]+$/.test(key)) counters[key] = parseNumber(key, value, Number.MAX_SAFE_INTEGER);
    else throw new ConfigError('syntax', `the device answered a counter named ${quote(key)}`, { value: key });
  }
  if (!answered) throw incomplete();
  return counters;
}

type PeerEntry = Mutable<PeerStatus> & { allowedIps: Prefix[] };

/**
 * Formats a peer without its keys and allowed IPs. It is a single expression, for speed: there may
 * be thousands of peers, and V8 has not yet optimized the code when it runs.
 */
function peerLines(peer: PeerStatus, zones: Zones): string {
  return `${peer.presharedKey ? '' : NO_PRESHARED_KEY}protocol_version=1
${peer.endpoint ? `endpoint=${formatZonedEndpoint(peer.endpoint, zones)}\n` : ''}last_handshake_time_sec=${peer.lastHandshakeSeconds}
last_handshake_time_nsec=${peer.lastHandshakeNanoseconds}
tx_bytes=${peer.txBytes}
rx_bytes=${peer.rxBytes}
persistent_keepalive_interval=${peer.persistentKeepalive}
`;
}

function newPeer(publicKey: Uint8Array): PeerEntry {
  return {
    publicKey,
    lastHandshakeSeconds: 0,
    lastHandshakeNanoseconds: 0,
    rxBytes: 0,
    txBytes: 0,
    persistentKeepalive: 0,
    allowedIps: [],
  };
}

function readPeerLine(peer: PeerEntry, key: string, value: string, zones: Zones): void {
  switch (key) {
    case 'endpoint': {
      const endpoint = parseZonedEndpoint(value, zones);
      if (!endpoint) throw new ConfigError('bad-value', `the device answered ${key}=${quote(value)}`, { value });
      peer.endpoint = endpoint;
      return;
    }
    case 'last_handshake_time_sec':
      peer.lastHandshakeSeconds = parseNumber(key, value, MAX_U64);
      return;
    case 'last_handshake_time_nsec':
      peer.lastHandshakeNanoseconds = parseNumber(key, value, MAX_U64);
      return;
    case 'tx_bytes':
      peer.txBytes = parseNumber(key, value, MAX_U64);
      return;
    case 'rx_bytes':
      peer.rxBytes = parseNumber(key, value, MAX_U64);
      return;
    case 'persistent_keepalive_interval':
      peer.persistentKeepalive = parseNumber(key, value, 0xffff);
      return;
    case 'allowed_ip': {
      const prefix = value.includes('/') ? parsePrefix(value) : undefined;
      if (!prefix) throw new ConfigError('bad-value', `the device answered ${key}=${quote(value)}`, { value });
      peer.allowedIps.push(prefix);
      return;
    }
  }
}

/**
 * The upper bound is 2^64 rather than 2^64 - 1, because doubles round byte counts beyond 2^53 (9
 * petabytes).
 */
const MAX_U64 = 2 ** 64;
const EQUALS = 0x3d;

function parseNumber(key: string, value: string, max: number): number {
  if (!/^[0-9]{1,20}$/.test(value) || Number(value) > max)
    throw new ConfigError(
      'bad-value',
      `the device answered ${key}=${quote(value)}, which is not a number up to ${max}`,
      {
        value,
      },
    );
  return Number(value);
}

function readKey(key: string, bytes: Uint8Array, from: number, to: number): Uint8Array {
  const read = readKeyHex(bytes, from, to);
  if (!read) throw new ConfigError('bad-value', `the device answered with a ${key} that is not 64 hex digits`);
  return read;
}

function notKeyValue(line: string, number: number): ConfigError {
  return new ConfigError('syntax', `the device answered ${quote(line)}`, { line: number, value: line });
}

function* keyValueLines(text: string): Generator<readonly [key: string, value: string]> {
  let at = 0;
  for (let number = 1; ; number++) {
    const end = text.indexOf('\n', at);
    if (end < 0) throw incomplete();
    if (end === at) return;
    const line = text.slice(at, end);
    const equals = line.indexOf('=');
    if (equals < 0) throw notKeyValue(line, number);
    yield [line.slice(0, equals), line.slice(equals + 1)];
    at = end + 1;
  }
}

function throwIfRefused(value: string): void {
  const match = /^-?([0-9]{1,9})$/.exec(value);
  if (!match) throw new ConfigError('syntax', `the device answered errno=${quote(value)}`, { value });
  const errno = Number(match[1]);
  if (errno !== 0) throw new ConfigError('refused', `the device refused: errno ${errno}`, { errno });
}

function incomplete(): ConfigError {
  return new ConfigError('incomplete', 'the device ended its answer in the middle', { errno: ERRNO.EPROTO });
}

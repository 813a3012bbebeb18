/**
 * The file format of `wg setconf`, `addconf`, `syncconf` and `showconf` (wireguard-tools config.c, wg(8) "CONFIGURATION FILE FORMAT"):
 * [Interface] and [Peer] sections of `Key = Value` lines, keys in any case, `#` begins a comment, white space never counts.
 * Not here: what wg-quick adds to the format (Address, DNS, MTU, ...; it strips those first), and resolving names.
 */
import { formatKeyBase64 } from '../base/key.ts';
import { formatPrefix } from '../base/prefix.ts';
import { ConfigError, quote, quoteKey } from './errors.ts';
import { confLines, placeError, withoutComment, withoutSpace } from './lines.ts';
import type { AllowedIpConfig, DeviceStatus, PeerConfig } from './model.ts';
import {
  type HostEndpoint,
  isIncremental,
  parseAllowedIps,
  parseEndpointValue,
  parseFwmark,
  parseKeepalive,
  parseKeyValue,
  parsePortValue,
} from './values.ts';
import { formatZonedEndpoint, numericZones, type Zones } from './zones.ts';

/** A DeviceConfig in which endpoints may still be names. Absent fields were not in the file. */
export interface ConfFile {
  readonly privateKey?: Uint8Array;
  readonly listenPort?: number;
  readonly fwmark?: number;
  readonly peers: readonly ConfPeer[];
}

export interface ConfPeer extends Pick<PeerConfig, 'publicKey' | 'presharedKey' | 'persistentKeepalive'> {
  readonly allowedIps: readonly AllowedIpConfig[];
  /** False when the last list had a sign (+ or -) somewhere: it then changes what the peer has. */
  readonly replaceAllowedIps: boolean;
  readonly endpoint?: Uint8Array | HostEndpoint;
  /** Of its endpoint, for messages about the name. */
  readonly endpointLine?: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Section = 'interface' | PeerSection | undefined;
interface PeerSection extends Mutable<Omit<ConfPeer, 'publicKey' | 'allowedIps'>> {
  publicKey?: Uint8Array;
  allowedIps: AllowedIpConfig[];
  /** Where it began. */
  readonly line: number;
}

/**
 * @param warn is told of what is odd and was put right
 * @throws ConfigError that names file, line and value
 */
export function parseConf(
  text: string,
  file: string,
  zones: Zones = numericZones,
  warn: (message: string) => void = () => {},
): ConfFile {
  const device: Mutable<Omit<ConfFile, 'peers'>> = {};
  const peers: PeerSection[] = [];
  let section: Section;
  let number = 0;
  for (const raw of confLines(text, file)) {
    number++;
    const line = withoutSpace(withoutComment(raw));
    if (line === '') continue;
    try {
      if (line.startsWith('[')) section = openSection(line, peers, number);
      else if (!section)
        throw new ConfigError(
          'syntax',
          `${quoteKey(line)} stands before any section: begin with [Interface] or [Peer]`,
        );
      else if (section === 'interface') readInterface(device, ...keyAndValue(line));
      else readPeer(section, ...keyAndValue(line), zones, number, warn);
    } catch (error) {
      throw placeError(error, file, number, line);
    }
  }
  return { ...device, peers: peers.map(peer => finish(peer, file)) };
}

/** As `wg showconf` prints it. */
export function formatConf(status: DeviceStatus, zones: Zones = numericZones): string {
  const lines = ['[Interface]'];
  if (status.listenPort) lines.push(`ListenPort = ${status.listenPort}`);
  if (status.fwmark) lines.push(`FwMark = 0x${status.fwmark.toString(16)}`);
  if (status.privateKey) lines.push(`PrivateKey = ${formatKeyBase64(status.privateKey)}`);
  lines.push('');
  for (const peer of status.peers) {
    lines.push('[Peer]', `PublicKey = ${formatKeyBase64(peer.publicKey)}`);
    if (peer.presharedKey) lines.push(`PresharedKey = ${formatKeyBase64(peer.presharedKey)}`);
    if (peer.allowedIps.length > 0) lines.push(`AllowedIPs = ${peer.allowedIps.map(formatPrefix).join(', ')}`);
    if (peer.endpoint) lines.push(`Endpoint = ${formatZonedEndpoint(peer.endpoint, zones)}`);
    if (peer.persistentKeepalive) lines.push(`PersistentKeepalive = ${peer.persistentKeepalive}`);
    lines.push('');
  }
  return `${lines.slice(0, status.peers.length > 0 ? -1 : undefined).join('\n')}\n`;
}

function openSection(line: string, peers: PeerSection[], number: number): Section {
  if (/^\[interface\]$/i.test(line)) return 'interface';
  if (!/^\[peer\]$/i.test(line))
    throw new ConfigError('unknown-key', `${quote(line)} is no section: there are [Interface] and [Peer]`, {
      value: line,
    });
  const peer: PeerSection = { allowedIps: [], replaceAllowedIps: true, line: number };
  peers.push(peer);
  return peer;
}

function keyAndValue(line: string): [key: string, value: string] {
  const equals = line.indexOf('=');
  if (equals < 0)
    throw new ConfigError('syntax', `${quoteKey(line)} is not of the form Key = Value; a comment begins with #`);
  const value = line.slice(equals + 1);
  // wg refuses such a line too, even where nothing would be a value, as in a list
  if (value === '')
    throw new ConfigError('syntax', `${quoteKey(line)} has no value: give it one or leave the line out`);
  return [line.slice(0, equals), value];
}

function readInterface(device: Mutable<Omit<ConfFile, 'peers'>>, key: string, value: string): void {
  switch (key.toLowerCase()) {
    case 'privatekey':
      device.privateKey = parseKeyValue(value, 'PrivateKey', true);
      return;
    case 'listenport':
      device.listenPort = parsePortValue(value);
      return;
    case 'fwmark':
      device.fwmark = parseFwmark(value);
      return;
    default:
      throw unknownKey(key, 'Interface', INTERFACE_KEYS, QUICK_KEYS.has(key.toLowerCase()));
  }
}

function readPeer(
  peer: PeerSection,
  key: string,
  value: string,
  zones: Zones,
  line: number,
  warn: (message: string) => void,
): void {
  switch (key.toLowerCase()) {
    case 'publickey':
      peer.publicKey = parseKeyValue(value, 'PublicKey', false);
      return;
    case 'presharedkey':
      peer.presharedKey = parseKeyValue(value, 'PresharedKey', true);
      return;
    case 'allowedips':
      for (const entry of parseAllowedIps(value, warn)) peer.allowedIps.push(entry);
      peer.replaceAllowedIps = !isIncremental(value);
      return;
    case 'endpoint':
      peer.endpoint = parseEndpointValue(value, zones);
      peer.endpointLine = line;
      return;
    case 'persistentkeepalive':
      peer.persistentKeepalive = parseKeepalive(value);
      return;
    default:
      throw unknownKey(key, 'Peer', 'PublicKey, PresharedKey, AllowedIPs, Endpoint and PersistentKeepalive', false);
  }
}

const INTERFACE_KEYS =
  'PrivateKey, ListenPort and FwMark; for `wgts up` also Address, DNS, MTU, Table, SaveConfig, PreUp, PostUp, PreDown and PostDown';
const QUICK_KEYS = new Set(['address', 'dns', 'mtu', 'table', 'preup', 'postup', 'predown', 'postdown', 'saveconfig']);

function unknownKey(key: string, section: string, known: string, quick: boolean): ConfigError {
  const hint = quick ? " (it is wg-quick's: use `wgts up', or `wgts strip' first)" : '';
  return new ConfigError('unknown-key', `${quoteKey(key)} is no key of [${section}]${hint}: it has ${known}`);
}

function finish(peer: PeerSection, file: string): ConfPeer {
  const { line, publicKey, ...rest } = peer;
  if (!publicKey)
    throw new ConfigError('missing', 'this [Peer] has no PublicKey: give it one, or take the section out', {
      file,
      line,
    });
  return { ...rest, publicKey };
}

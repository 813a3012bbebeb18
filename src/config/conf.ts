/**
 * The file format of `wg setconf`, `addconf`, `syncconf` and `showconf` (wireguard-tools config.c,
 * wg(8) "CONFIGURATION FILE FORMAT"): [Interface] and [Peer] sections of `Key = Value` lines. Keys
 * are case-insensitive, `#` begins a comment, white space is ignored. Unknown keys and sections are
 * errors, whose texts are in conf-keys.ts. This parser does not read the keys that wg-quick adds
 * (Address, DNS, MTU, ...), which src/quick removes first, and does not resolve names.
 */
import { formatKeyBase64 } from '../base/key.ts';
import type { Mutable } from '../base/mutable.ts';
import { formatPrefix } from '../base/prefix.ts';
import { beforeSections, type ConfFormat, notKeyValue, unknownKey, unknownSection } from './conf-keys.ts';
import { ConfigError } from './errors.ts';
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

/**
 * A file of `wg setconf` as parsed: a DeviceConfig in which endpoints may still be names. Fields
 * that the file does not set are absent.
 */
export interface ConfFile {
  /** 32 bytes. */
  readonly privateKey?: Uint8Array;
  /** UDP port. */
  readonly listenPort?: number;
  /** Firewall mark; 0 is off. */
  readonly fwmark?: number;
  /** In the file's order. A key may occur twice. */
  readonly peers: readonly ConfPeer[];
}

/** One `[Peer]` section of a file. */
export interface ConfPeer extends Pick<PeerConfig, 'publicKey' | 'presharedKey' | 'persistentKeepalive'> {
  /** All allowed IPs that the section lists, in order. */
  readonly allowedIps: readonly AllowedIpConfig[];
  /** False if the last list had a sign (+ or -): the list then changes the peer's current one. */
  readonly replaceAllowedIps: boolean;
  /** An endpoint record, or a name that the caller resolves. */
  readonly endpoint?: Uint8Array | HostEndpoint;
  /** The line number of the endpoint, for messages about its name. */
  readonly endpointLine?: number;
}

type Section = 'interface' | PeerSection | undefined;
interface PeerSection extends Mutable<Omit<ConfPeer, 'publicKey' | 'allowedIps'>> {
  publicKey?: Uint8Array;
  allowedIps: AllowedIpConfig[];
  /** The line number of its [Peer]. */
  readonly line: number;
}

/**
 * Parses a file of `wg setconf`, `addconf` or `syncconf` (wg(8), CONFIGURATION FILE FORMAT).
 * @param text the file's content
 * @param file its name, for messages
 * @param warn receives a message for each oddity that was corrected, such as host bits in a prefix
 * @param format `quick` lets messages about unknown keys mention wg-quick's
 * @throws ConfigError that names file, line and value
 */
export function parseConf(
  text: string,
  file: string,
  zones: Zones = numericZones,
  warn: (message: string) => void = () => {},
  format: ConfFormat = 'wg',
): ConfFile {
  const device: Mutable<Omit<ConfFile, 'peers'>> = {};
  const peers: PeerSection[] = [];
  let section: Section;
  let number = 0;
  for (const raw of confLines(text, file)) {
    number++;
    const content = withoutComment(raw);
    const line = withoutSpace(content);
    if (line === '') continue;
    const place = `${file}:${number}: `;
    const warnHere = (message: string) => warn(`${place}${message}`);
    try {
      if (line.startsWith('[')) section = openSection(line, peers, number);
      else if (!section) throw beforeSections(line);
      else if (section === 'interface') readInterface(device, ...keyAndValue(line, content, 'Interface'), format);
      else readPeer(section, ...keyAndValue(line, content, 'Peer'), { zones, line: number, warn: warnHere });
    } catch (error) {
      throw placeError(error, file, number, line);
    }
  }
  return { ...device, peers: peers.map(peer => finish(peer, file)) };
}

/** Returns a device's settings as `wg showconf` prints them, secrets included. */
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
  if (!/^\[peer\]$/i.test(line)) throw unknownSection(line);
  const peer: PeerSection = { allowedIps: [], replaceAllowedIps: true, line: number };
  peers.push(peer);
  return peer;
}

function keyAndValue(line: string, content: string, section: 'Interface' | 'Peer'): [key: string, value: string] {
  const equals = line.indexOf('=');
  if (equals < 0 || equals === line.length - 1) throw notKeyValue(content, section);
  return [line.slice(0, equals), line.slice(equals + 1)];
}

function readInterface(device: Mutable<Omit<ConfFile, 'peers'>>, key: string, value: string, format: ConfFormat): void {
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
      throw unknownKey(key, 'Interface', format);
  }
}

interface PeerLine {
  readonly zones: Zones;
  readonly line: number;
  readonly warn: (message: string) => void;
}

function readPeer(peer: PeerSection, key: string, value: string, { zones, line, warn }: PeerLine): void {
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
      peer.endpoint = parseEndpointValue(value, zones, warn);
      peer.endpointLine = line;
      return;
    case 'persistentkeepalive':
      peer.persistentKeepalive = parseKeepalive(value);
      return;
    default:
      throw unknownKey(key, 'Peer', 'wg');
  }
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

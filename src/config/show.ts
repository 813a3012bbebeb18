/**
 * The output of `wg show`, byte for byte (wireguard-tools show.c): the text for people, a single
 * field of every peer, and `dump`. Pure: the caller passes the status, the time and whether to use
 * colors.
 */
import { formatKeyBase64 } from '../base/key.ts';
import { formatPrefix } from '../base/prefix.ts';
import type { DeviceStatus, PeerStatus } from './model.ts';
import { formatZonedEndpoint, numericZones, type Zones } from './zones.ts';

/** How {@link formatDevice} writes its text. */
export interface ShowOptions {
  /** Unix time in seconds, for "latest handshake: 5 seconds ago". */
  readonly now: number;
  /** Whether to write the terminal colors of `wg`. */
  readonly color: boolean;
  /** Whether to write keys in place of "(hidden)", as with WG_HIDE_KEYS=never. */
  readonly secrets: boolean;
  /** The names of interfaces, for IPv6 zones. If absent, zones are written as numbers. */
  readonly zones?: Zones;
}

/** Returns what `wg show NAME` prints, byte for byte, without the blank line between devices. */
export function formatDevice(name: string, status: DeviceStatus, options: ShowOptions): string {
  const paint = painter(options.color);
  const hide = (key: Uint8Array) => (options.secrets ? formatKeyBase64(key) : '(hidden)');
  const field = (label: string, value: string) => `  ${paint('bold', label)}: ${value}\n`;
  let text = `${options.color ? RESET : ''}${paint('green+bold', 'interface')}: ${paint('green', name)}\n`;
  if (status.publicKey) text += field('public key', formatKeyBase64(status.publicKey));
  if (status.privateKey) text += field('private key', hide(status.privateKey));
  if (status.listenPort) text += field('listening port', String(status.listenPort));
  if (status.fwmark) text += field('fwmark', `0x${status.fwmark.toString(16)}`);
  for (const peer of status.peers.toSorted(byHandshake)) {
    text += `\n${paint('yellow+bold', 'peer')}: ${paint('yellow', formatKeyBase64(peer.publicKey))}\n`;
    if (peer.presharedKey) text += field('preshared key', hide(peer.presharedKey));
    if (peer.endpoint) text += field('endpoint', formatZonedEndpoint(peer.endpoint, options.zones));
    text += field(
      'allowed ips',
      peer.allowedIps.map(p => formatPrefix(p).replace('/', paint('cyan', '/'))).join(', ') || '(none)',
    );
    if (peer.lastHandshakeSeconds)
      text += field('latest handshake', ago(peer.lastHandshakeSeconds, options.now, paint));
    if (peer.rxBytes || peer.txBytes)
      text += field('transfer', `${bytes(peer.rxBytes, paint)} received, ${bytes(peer.txBytes, paint)} sent`);
    if (peer.persistentKeepalive)
      text += field('persistent keepalive', `every ${duration(peer.persistentKeepalive, paint)}`);
  }
  return text;
}

/**
 * Returns what `wg show NAME dump` prints, secrets included. With a prefix, returns lines of `wg
 * show all dump`.
 */
export function formatDump(status: DeviceStatus, prefix = '', zones: Zones = numericZones): string {
  const rows = [
    [keyOrNone(status.privateKey), keyOrNone(status.publicKey), String(status.listenPort), mark(status.fwmark)],
    ...status.peers.map(peer => [
      formatKeyBase64(peer.publicKey),
      keyOrNone(peer.presharedKey),
      peer.endpoint ? formatZonedEndpoint(peer.endpoint, zones) : '(none)',
      peer.allowedIps.map(formatPrefix).join(',') || '(none)',
      String(peer.lastHandshakeSeconds),
      String(peer.rxBytes),
      String(peer.txBytes),
      keepalive(peer),
    ]),
  ];
  return rows.map(row => `${prefix}${row.join('\t')}\n`).join('');
}

type DeviceField = (status: DeviceStatus) => string;
type PeerField = (peer: PeerStatus, zones: Zones) => string;

const DEVICE_FIELDS: Readonly<Record<string, DeviceField>> = {
  'public-key': status => keyOrNone(status.publicKey),
  'private-key': status => keyOrNone(status.privateKey),
  'listen-port': status => String(status.listenPort),
  fwmark: status => mark(status.fwmark),
};

/** The fields of a peer, printed after its public key and a tab. `peers` prints the key alone. */
const PEER_FIELDS: Readonly<Record<string, PeerField | undefined>> = {
  peers: undefined,
  'preshared-keys': peer => keyOrNone(peer.presharedKey),
  endpoints: (peer, zones) => (peer.endpoint ? formatZonedEndpoint(peer.endpoint, zones) : '(none)'),
  'allowed-ips': peer => peer.allowedIps.map(formatPrefix).join(' ') || '(none)',
  'latest-handshakes': peer => String(peer.lastHandshakeSeconds),
  transfer: peer => `${peer.rxBytes}\t${peer.txBytes}`,
  'persistent-keepalive': keepalive,
};

/** In wg's order. */
export const SHOW_FIELDS: readonly string[] = [...Object.keys(DEVICE_FIELDS), ...Object.keys(PEER_FIELDS), 'dump'];

/**
 * Formats `wg show NAME FIELD`. With a prefix, formats the device's lines of `wg show all FIELD`.
 * @returns undefined if there is no such field
 */
export function formatField(
  status: DeviceStatus,
  name: string,
  prefix = '',
  zones: Zones = numericZones,
): string | undefined {
  if (name === 'dump') return formatDump(status, prefix, zones);
  if (!SHOW_FIELDS.includes(name)) return undefined;
  const device = DEVICE_FIELDS[name];
  if (device) return `${prefix}${device(status)}\n`;
  const field = PEER_FIELDS[name];
  return status.peers
    .map(peer => `${prefix}${formatKeyBase64(peer.publicKey)}${field ? `\t${field(peer, zones)}` : ''}\n`)
    .join('');
}

function keyOrNone(key: Uint8Array | undefined): string {
  return key ? formatKeyBase64(key) : '(none)';
}

function mark(fwmark: number): string {
  return fwmark ? `0x${fwmark.toString(16)}` : 'off';
}

function keepalive(peer: PeerStatus): string {
  return peer.persistentKeepalive ? String(peer.persistentKeepalive) : 'off';
}

/** Latest handshake first, peers without one last. */
function byHandshake(a: PeerStatus, b: PeerStatus): number {
  return b.lastHandshakeSeconds - a.lastHandshakeSeconds || b.lastHandshakeNanoseconds - a.lastHandshakeNanoseconds;
}

type Paint = (style: string, text: string) => string;
const RESET = '\x1b[0m';
const CODES: Readonly<Record<string, string>> = {
  bold: '\x1b[1m',
  red: '\x1b[31m',
  green: '\x1b[32m',
  yellow: '\x1b[33m',
  cyan: '\x1b[36m',
};

function painter(color: boolean): Paint {
  if (!color) return (_style, text) => text;
  return (style, text) =>
    `${style
      .split('+')
      .map(name => CODES[name])
      .join('')}${text}${RESET}`;
}

function ago(then: number, now: number, paint: Paint): string {
  if (now === then) return 'Now';
  if (now < then) return `(${paint('red', 'System clock wound backward; connection problems may ensue.')})`;
  return `${duration(now - then, paint)} ago`;
}

const UNITS = [
  ['year', 365 * 86400],
  ['day', 86400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const;

function duration(seconds: number, paint: Paint): string {
  let left = seconds;
  const parts: string[] = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left %= size;
    if (count > 0) parts.push(`${count} ${paint('cyan', count === 1 ? unit : `${unit}s`)}`);
  }
  return parts.join(', ');
}

function bytes(count: number, paint: Paint): string {
  if (count < 1024) return `${count} ${paint('cyan', 'B')}`;
  let value = count / 1024;
  for (const unit of ['KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${twoPlaces(value)} ${paint('cyan', unit)}`;
    value /= 1024;
  }
  return `${twoPlaces(value)} ${paint('cyan', 'TiB')}`;
}

/**
 * Rounds ties to the even digit, as printf(3) does: 1152 bytes become 1.12 KiB, while toFixed would
 * give 1.13. All steps are exact.
 */
function twoPlaces(value: number): string {
  const whole = Math.floor(value);
  const exact = (value - whole) * 100;
  const down = Math.floor(exact);
  const up = exact - down > 0.5 || (exact - down === 0.5 && down % 2 === 1);
  const hundredths = up ? down + 1 : down;
  return hundredths === 100 ? `${whole + 1}.00` : `${whole}.${String(hundredths).padStart(2, '0')}`;
}

/**
 * Parsers of single values as written in a conf file and on the command line of `wg set`
 * (wireguard-tools config.c): keys, ports, marks, endpoints, and lists of allowed IPs with their
 * signs (`+10.0.0.3/32` adds, `-` removes). Each parser throws a ConfigError that names the value
 * and the valid form. Secrets are never quoted.
 */
import { parseKeyBase64 } from '../base/key.ts';
import { formatPrefix, hasHostBits, makePrefix, type Prefix, parseWithHostBits } from '../base/prefix.ts';
import { ConfigError, habitHint, quote } from './errors.ts';
import type { AllowedIpConfig } from './model.ts';
import { numericZones, parseNumericHost, parsePort, type Zones } from './zones.ts';

/** An endpoint with a host name, for a caller that can resolve the name. */
export interface HostEndpoint {
  /** A host name, unresolved. */
  readonly host: string;
  /** UDP port. */
  readonly port: number;
}

/**
 * Parses 44 characters of base64.
 * @param what the name of the value, for the error
 * @param secret whether to keep the text out of the error
 */
export function parseKeyValue(text: string, what: string, secret: boolean): Uint8Array {
  const key = parseKeyBase64(text);
  if (key) return key;
  const shown = secret ? `of ${text.length} characters` : quote(text);
  const why = whyNoKey(text) || (!secret && text.length > 15 ? `it has ${text.length} characters; ` : '');
  throw new ConfigError(
    'bad-value',
    `${what} ${shown} is not a key: ${why}a key is 44 characters of base64 that end in "="`,
    secret ? {} : { value: text },
  );
}

/**
 * Explains what is wrong with a text that is almost a key, without quoting it. The explanation ends
 * in `; ` or is empty.
 */
function whyNoKey(text: string): string {
  if (/^["'].*["']$/.test(text)) return 'take the quotes away; ';
  if (/^(0x)?[0-9a-fA-F]{64}$/.test(text)) return 'it is hexadecimal (convert it: echo HEX | xxd -r -p | base64); ';
  if (/^[A-Za-z0-9+/]{43}$/.test(text)) return 'its last character, "=", is missing; ';
  if (/^[A-Za-z0-9_-]{43}=?$/.test(text)) return 'it is URL-safe base64 (write + for - and / for _); ';
  if (/^(\/|\.{1,2}\/|~)/.test(text))
    return 'a path does not work here: write the key itself, or PostUp = wg set %i private-key FILE; ';
  if (text.length === 44) return 'it does not decode to 32 bytes, one character may be mistyped; ';
  return '';
}

export function parsePortValue(text: string): number {
  const port = parsePort(text);
  if (port !== undefined) return port;
  throw badValue('listen port', text, 'a port is a number from 0 to 65535, where 0 lets the system choose');
}

/**
 * Parses `off` in any case, a decimal number, or a hexadecimal one with 0x (not 0X), up to 32 bits.
 */
export function parseFwmark(text: string): number {
  if (isOff(text)) return 0;
  const number = /^(0x[0-9a-fA-F]+|[0-9]+)$/.test(text) ? Number(text) : Number.NaN;
  if (number <= 0xffffffff) return number;
  throw badValue('fwmark', text, 'a mark is "off", or a number up to 4294967295, also as 0x...');
}

/** Parses `off` in any case, or seconds up to 65535. */
export function parseKeepalive(text: string): number {
  if (isOff(text)) return 0;
  const seconds = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (seconds <= 65535) return seconds;
  throw badValue('persistent keepalive interval', text, 'it is "off", or a number of seconds from 0 to 65535');
}

/**
 * Parses a comma-separated list of prefixes, each optionally preceded by + or -. An empty text is
 * an empty list.
 * @param warn receives a message for each address with bits set beyond its prefix length; those
 * bits are cleared
 */
export function parseAllowedIps(text: string, warn: (message: string) => void = () => {}): AllowedIpConfig[] {
  if (text === '') return [];
  return text.split(',').map(item => {
    const sign = item.startsWith('+') || item.startsWith('-') ? item[0] : undefined;
    let prefix: Prefix | undefined = parseWithHostBits(sign ? item.slice(1) : item);
    if (!prefix) throw badValue('allowed IP', item, allowedIpsForm(item));
    if (hasHostBits(prefix)) {
      prefix = makePrefix(prefix.address, prefix.length);
      warn(`AllowedIP has nonzero host part: ${quote(item)} is used as ${formatPrefix(prefix)}`);
    }
    return sign === '-' ? { prefix, remove: true } : { prefix };
  });
}

function allowedIpsForm(text: string): string {
  const isAll = /^(any|all|\*|default)$/i.test(text);
  const why = isAll ? 'for all addresses write 0.0.0.0/0, ::/0; ' : '';
  return `${why}write addresses, or prefixes such as 10.0.0.0/8 or fd00::/8, with commas (not only spaces) between them`;
}

/**
 * Returns true if a list of allowed IPs changes the current ones (an item has a sign), false if it
 * replaces them.
 */
export function isIncremental(text: string): boolean {
  return /(^|,)[+-]/.test(text);
}

/**
 * Parses `host:port` or `[host]:port`. As in wg, the port follows the last colon (`::1:51820` is
 * port 51820 of ::1), and brackets may hold anything. Unlike in wg, a port must be a number from 0
 * to 65535: service names are not accepted, and larger numbers are not truncated to 16 bits.
 * @returns an endpoint record if the host is an address, otherwise the name
 */
export function parseEndpointValue(
  text: string,
  zones: Zones = numericZones,
  warn: (message: string) => void = () => {},
): Uint8Array | HostEndpoint {
  const match = /^(?:\[([^\]]+)\]|([^[].*)):([0-9]+)$/s.exec(text);
  const port = match ? parsePort(match[3]!) : undefined;
  if (!match || port === undefined) {
    const why = /^[^:]*$|^\[[^\]]*\]$/.test(text) ? 'it has no port: ' : '';
    throw badValue(
      'endpoint',
      text,
      `${why}write address:port, [address]:port for IPv6, or name:port, such as 192.0.2.1:51820`,
    );
  }
  const host = match[1] ?? match[2]!;
  const record = parseNumericHost(host, port, zones);
  if (record && match[2]?.includes(':'))
    warn(
      `Endpoint ${quote(text)} is read as [${host}]:${port}; write it that way, since IPv6 needs brackets before a port`,
    );
  if (record) return record;
  // names contain neither colons nor percent signs, and resolving a name with a NUL byte throws
  if (/[:%\0]/.test(host))
    throw badValue('endpoint', text, `${endpointFault(host, text)}write address:port, [address]:port or name:port`);
  return { host, port };
}

function endpointFault(host: string, text: string): string {
  if (text.includes('://')) return 'an endpoint is not a URL; ';
  if (/^[0-9a-fA-F:]+$/.test(host)) return 'IPv6 needs brackets, and a port after them; ';
  return 'that is not an address or a name, or its zone is not an interface of this host: ';
}

function isOff(text: string): boolean {
  return text.toLowerCase() === 'off';
}

function badValue(what: string, text: string, fix: string): ConfigError {
  return new ConfigError('bad-value', `${what} ${quote(text)}: ${habitHint(text)}${fix}`, { value: text });
}

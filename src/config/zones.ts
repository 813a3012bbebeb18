/**
 * Endpoints as text with IPv6 zones (RFC 4007 section 11; RFC 6874 leaves the brackets open):
 * `[fe80::1%eth0]:51820`. An endpoint record holds an interface index, and only the system can map
 * the index to a name, so the caller supplies the mapping. Host names are not resolved here.
 */
import { formatAddress, parseAddress } from '../base/address.ts';
import {
  ENDPOINT_ADDRESS,
  ENDPOINT_FAMILY,
  ENDPOINT_PORT,
  ENDPOINT_SCOPE,
  formatEndpoint,
  makeEndpoint,
} from '../base/endpoint.ts';

/**
 * Maps the indexes of network interfaces to names and back, for the zones of IPv6 addresses (RFC
 * 4007 section 11). Only the system knows the names, so the caller supplies this mapping.
 */
export interface Zones {
  /** Returns the index of an interface, or undefined if there is no such interface. */
  indexOf(name: string): number | undefined;
  /** Returns the name of an interface, or undefined if the index is not in use. */
  nameOf(index: number): string | undefined;
}

/** Has no names: zones are read and written as numbers. */
export const numericZones: Zones = { indexOf: () => undefined, nameOf: () => undefined };

/**
 * Parses `192.0.2.1:51820`, `[2001:db8::1]:51820`, `[fe80::1%eth0]:51820` or `[fe80::1%3]:51820`.
 * @returns an endpoint record (base/endpoint.ts), or undefined if the text has another form or the
 *   zone is unknown
 */
export function parseZonedEndpoint(text: string, zones: Zones = numericZones): Uint8Array | undefined {
  const colon = text.lastIndexOf(':');
  if (colon < 0) return undefined;
  const port = parsePort(text.slice(colon + 1));
  const bracketed = text.startsWith('[') && text[colon - 1] === ']';
  const host = bracketed ? text.slice(1, colon - 1) : text.slice(0, colon);
  if (port === undefined || (!bracketed && host.includes(':'))) return undefined;
  const record = parseNumericHost(host, port, zones);
  return record && bracketed === (record[ENDPOINT_FAMILY] === 6) ? record : undefined;
}

/**
 * Makes an endpoint from a numeric host (with its zone, without brackets) and a port.
 * @returns undefined if the host is not an address; it may be a name
 */
export function parseNumericHost(host: string, port: number, zones: Zones = numericZones): Uint8Array | undefined {
  const percent = host.indexOf('%');
  const address = parseAddress(percent < 0 ? host : host.slice(0, percent));
  if (!address) return undefined;
  if (percent < 0) return makeEndpoint(address, port);
  const scope = address.length === 16 ? parseZone(host.slice(percent + 1), zones) : undefined;
  return scope === undefined ? undefined : makeEndpoint(address, port, scope);
}

/**
 * Formats an endpoint as getnameinfo(3) does. The zone of a link-local address is the interface's
 * name; the zone of any other address is a number.
 */
export function formatZonedEndpoint(record: Uint8Array, zones: Zones = numericZones): string {
  if (record[ENDPOINT_FAMILY] !== 6) return formatEndpoint(record);
  const scope = new DataView(record.buffer, record.byteOffset).getUint32(ENDPOINT_SCOPE, true);
  const name = scope !== 0 && isLinkLocal(record) ? zones.nameOf(scope) : undefined;
  if (name === undefined) return formatEndpoint(record);
  const address = formatAddress(record.subarray(ENDPOINT_ADDRESS, ENDPOINT_ADDRESS + 16));
  return `[${address}%${name}]:${(record[ENDPOINT_PORT]! << 8) | record[ENDPOINT_PORT + 1]!}`;
}

/** Parses a number from 0 to 65535. @returns undefined for anything else */
export function parsePort(text: string): number | undefined {
  return /^[0-9]{1,5}$/.test(text) && Number(text) <= 65535 ? Number(text) : undefined;
}

function parseZone(text: string, zones: Zones): number | undefined {
  const named = zones.indexOf(text);
  if (named !== undefined) return named;
  return /^[0-9]{1,10}$/.test(text) && Number(text) <= 0xffffffff ? Number(text) : undefined;
}

/** fe80::/10, ff02::/16. */
function isLinkLocal(record: Uint8Array): boolean {
  const first = record[ENDPOINT_ADDRESS]!;
  const second = record[ENDPOINT_ADDRESS + 1]!;
  return (first === 0xfe && (second & 0xc0) === 0x80) || (first === 0xff && (second & 0x0f) === 2);
}

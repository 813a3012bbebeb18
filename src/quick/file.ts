/**
 * wg-quick's file format: all keys of `wg setconf`, and in [Interface] also Address, DNS, MTU,
 * Table, PreUp, PostUp, PreDown, PostDown and SaveConfig (wg-quick(8) "CONFIGURATION"). Keys are
 * case-insensitive. `#` begins a comment, except in the value of a hook, where the shell interprets
 * it. Repeated list keys accumulate. Of MTU, Table and SaveConfig, the last line counts. A line
 * with an empty value has no effect. wg-quick finds errors while it works; this parser validates
 * the whole file first.
 */
import { parseAddress } from '../base/address.ts';
import { INTERFACE_NAME_MAX, isInterfaceName } from '../base/interface-name.ts';
import type { Mutable } from '../base/mutable.ts';
import { type ConfFile, parseConf } from '../config/conf.ts';
import { ConfigError, habitHint, quote } from '../config/errors.ts';
import { confLines, listItems, placeError, trimSpace, withoutComment, withoutSpace } from '../config/lines.ts';
import type { Zones } from '../config/zones.ts';
import { TABLE } from '../netlink/route.ts';
import { repeats } from './repeated-keys.ts';

export type HookEvent = 'PreUp' | 'PostUp' | 'PreDown' | 'PostDown';
export const HOOK_EVENTS: readonly HookEvent[] = ['PreUp', 'PostUp', 'PreDown', 'PostDown'];

export interface QuickAddress {
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

export interface QuickFile {
  /** The path as the user gave it, for messages. */
  readonly path: string;
  /** Name of the interface. */
  readonly name: string;
  readonly addresses: readonly QuickAddress[];
  readonly dns: readonly string[];
  /** Search domains. */
  readonly search: readonly string[];
  readonly mtu?: number;
  readonly table: 'auto' | 'off' | number;
  /** The value as written, to save it unchanged. */
  readonly tableText?: string;
  readonly saveConfig: boolean;
  readonly hooks: Readonly<Record<HookEvent, readonly string[]>>;
  readonly wireguard: ConfFile;
  /** The file without wg-quick's keys. */
  readonly stripped: string;
}

export interface FileOptions {
  readonly zones: Zones;
  /** Numbers of routing tables by name (rt_tables). */
  readonly tables?: ReadonlyMap<string, number>;
  readonly warn?: (message: string) => void;
  /** Rejects a file without [Interface]. */
  readonly needsInterface?: boolean;
}

type Draft = Mutable<Pick<QuickFile, 'table' | 'saveConfig'>> & {
  mtu: number | undefined;
  tableText: string | undefined;
  readonly addresses: QuickAddress[];
  readonly dns: string[];
  readonly search: string[];
  readonly hooks: Record<HookEvent, string[]>;
};

const BUILT_IN_TABLES: ReadonlyMap<string, number> = new Map(Object.entries(TABLE));
const LARGEST_TABLE = 0xffffffff;
const [SMALLEST_MTU, LARGEST_MTU] = [68, 65535];

/** @throws ConfigError that names file, line and value */
export function parseQuickFile(text: string, path: string, options: FileOptions): QuickFile {
  const { zones, tables = new Map(), warn, needsInterface = false } = options;
  const draft: Draft = {
    addresses: [],
    dns: [],
    search: [],
    mtu: undefined,
    table: 'auto',
    tableText: undefined,
    saveConfig: false,
    hooks: { PreUp: [], PostUp: [], PreDown: [], PostDown: [] },
  };
  const rest: (string | undefined)[] = [];
  const lines = confLines(text, path);
  let inInterface = false;
  let hasInterface = false;
  for (const [i, line] of lines.entries()) {
    const content = trimSpace(withoutComment(line));
    if (content.startsWith('[')) inInterface = withoutSpace(content).toLowerCase() === '[interface]';
    hasInterface ||= inInterface;
    try {
      // Indentation is removed, as in wg-quick.
      rest.push(inInterface && readKey(draft, content, line, tables) ? undefined : trimSpace(line, ' \t'));
    } catch (error) {
      throw placeError(error, path, i + 1, content);
    }
  }
  // Empty lines replace the lines that were read here, so that line numbers stay correct.
  const wireguard = parseConf(rest.map(line => line ?? '').join('\n'), path, zones, warn, 'quick');
  if (needsInterface && !hasInterface)
    throw new ConfigError('missing', 'there is no [Interface] section, which a file for `wgts up` begins with', {
      file: path,
    });
  if (warn) for (const each of repeats(lines, HOOK_EVENTS)) warn(`${path}:${each.line}: ${each.text}`);
  const { mtu, tableText, ...others } = draft;
  return {
    ...others,
    ...(mtu !== undefined && { mtu }),
    ...(tableText !== undefined && { tableText }),
    path,
    name: interfaceName(path),
    wireguard,
    stripped: strippedText(rest),
  };
}

/** Splits a text into lines, each with its newline. The last line may lack one. */
function strippedText(lines: readonly (string | undefined)[]): string {
  const kept = (lines.at(-1) === '' ? lines.slice(0, -1) : lines).filter(line => line !== undefined);
  return kept.map(line => `${line}\n`).join('');
}

/**
 * Returns the interface name of a file: its base name without `.conf`.
 * @throws ConfigError if that is not a valid name
 */
export function interfaceName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1);
  const name = /^([A-Za-z0-9_=+.-]+)\.conf$/.exec(base)?.[1];
  if (name !== undefined && isInterfaceName(name)) return name;
  if (name !== undefined && name.length > INTERFACE_NAME_MAX)
    throw new ConfigError(
      'bad-value',
      `${quote(base)}: the interface is named as the file without .conf, and ${name.length} characters are too long: Linux allows ${INTERFACE_NAME_MAX}`,
      { value: base },
    );
  throw new ConfigError(
    'bad-value',
    `the configuration file must be named for its interface: a name of 1 to 15 characters from a-z A-Z 0-9 _ = + . -, then .conf; ${quote(base)} is not`,
    { value: base },
  );
}

/**
 * Reads a line with one of wg-quick's keys.
 * @param content the line without its comment
 * @returns false if the key is not one of wg-quick's
 */
function readKey(draft: Draft, content: string, line: string, tables: ReadonlyMap<string, number>): boolean {
  const equals = content.indexOf('=');
  if (equals < 0) return false;
  const key = withoutSpace(content.slice(0, equals)).toLowerCase();
  const value = trimSpace(content.slice(equals + 1));
  const hook = HOOK_EVENTS.find(event => event.toLowerCase() === key);
  if (hook) {
    const command = trimSpace(line.slice(line.indexOf('=') + 1));
    if (command !== '') draft.hooks[hook].push(parseHook(hook, command));
    return true;
  }
  switch (key) {
    case 'address':
      for (const { item, context } of listItems(value)) draft.addresses.push(parseInterfaceAddress(item, context));
      return true;
    case 'dns':
      for (const { item, context } of listItems(value))
        (isNameServer(item) ? draft.dns : draft.search).push(domainOrServer(item, context));
      return true;
    case 'mtu':
      draft.mtu = value === '' ? undefined : parseMtu(value);
      return true;
    case 'table':
      draft.table = value === '' ? 'auto' : parseTable(value, tables);
      draft.tableText = value === '' ? undefined : value;
      return true;
    case 'saveconfig':
      draft.saveConfig = parseSwitch(value);
      return true;
    default:
      return false;
  }
}

/**
 * Returns a hook's command. Rejects a command that the shell would not receive exactly as written
 * in the file.
 */
function parseHook(hook: HookEvent, command: string): string {
  const why = command.includes('\0')
    ? 'a command has no NUL bytes'
    : command.includes('\ufffd') &&
      'it has bytes that are not UTF-8: convert the file, such as with iconv -f LATIN1 -t UTF-8';
  if (why) throw new ConfigError('bad-value', `${hook} ${quote(command)}: ${why}`, { value: command });
  return command;
}

/** Parses an address of the interface. @param context the text to show in the message */
function parseInterfaceAddress(text: string, context: string): QuickAddress {
  const [host, bits, ...more] = text.split('/');
  const address = parseAddress(host!);
  const longest = (address?.length ?? 0) * 8;
  const prefixLength = bits === undefined ? longest : parsePrefixLength(bits, longest);
  if (address && more.length === 0 && prefixLength >= 0 && prefixLength <= longest) return { address, prefixLength };
  const isName = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.[A-Za-z]/.test(text);
  const why = isName ? 'names are not looked up here; ' : '';
  throw badValue(
    'Address',
    context,
    `${why}write an address with its prefix length, such as 10.0.0.2/24 or fd00::2/64`,
  );
}

/**
 * Parses a prefix length or an IPv4 netmask such as 255.255.255.0, which ip(8), and therefore
 * wg-quick, accepts too. Returns -1 for any other text.
 */
function parsePrefixLength(text: string, longest: number): number {
  if (/^[0-9]{1,3}$/.test(text)) return Number(text);
  const mask = longest === 32 ? parseAddress(text) : undefined;
  if (mask?.length !== 4) return -1;
  const bits = [...mask].map(byte => byte.toString(2).padStart(8, '0')).join('');
  return /^1*0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : -1;
}

/**
 * Reports whether wg-quick would pass a text on as a name server: an address, which may have a zone
 * or a port for some resolvers.
 */
function isNameServer(text: string): boolean {
  const ported = /^\[(.*)\](?::[0-9]{1,5})?$/.exec(text) ?? /^([0-9.]+):[0-9]{1,5}$/.exec(text);
  const [address, zone, ...more] = (ported?.[1] ?? text).split('%');
  const plain = zone === undefined || (address!.includes(':') && /^[A-Za-z0-9_.@-]{1,15}$/.test(zone));
  return parseAddress(address!) !== undefined && plain && more.length === 0;
}

/**
 * Returns a search domain or a name server. Rejects any other text, because resolvconf reads its
 * input line by line.
 * @param context the text to show in the message
 */
function domainOrServer(text: string, context: string): string {
  const isDomain = /^[A-Za-z0-9_~.][A-Za-z0-9._~-]{0,252}$/.test(text) && (text === '.' || !/^[0-9.]+$/.test(text));
  if (isDomain || isNameServer(text)) return text;
  throw badValue(
    'DNS',
    context,
    'write addresses of name servers, and search domains, with commas or spaces between them',
  );
}

function parseMtu(text: string): number {
  const mtu = /^[0-9]{1,5}$/.test(text) ? Number(text) : -1;
  if (mtu >= SMALLEST_MTU && mtu <= LARGEST_MTU) return mtu;
  throw badValue('MTU', text, `an MTU is a number from ${SMALLEST_MTU} to ${LARGEST_MTU}`);
}

function parseTable(text: string, tables: ReadonlyMap<string, number>): QuickFile['table'] {
  const word = text.toLowerCase();
  if (word === 'auto' || word === 'off') return word;
  if (/^([0-9]{1,10}|0x[0-9a-f]{1,8})$/.test(word) && Number(word) > 0 && Number(word) <= LARGEST_TABLE)
    return Number(word);
  const named = tables.get(text) ?? BUILT_IN_TABLES.get(word);
  if (named !== undefined && named > 0) return named;
  throw badValue('Table', text, 'it is auto, off, a number, or a name from /etc/iproute2/rt_tables');
}

function parseSwitch(text: string): boolean {
  const word = text.toLowerCase();
  if (word === 'true' || word === 'false') return word === 'true';
  throw badValue('SaveConfig', text, 'it is true or false');
}

function badValue(key: string, text: string, fix: string): ConfigError {
  return new ConfigError('bad-value', `${key} ${quote(text)}: ${habitHint(text)}${fix}`, { value: text });
}
